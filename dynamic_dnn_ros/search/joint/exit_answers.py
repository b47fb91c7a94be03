# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a backbone with a head at every place answers, and the mixture that thresholds make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.exits.calibration import (
    Loss,
    StagesTaken,
    candidates,
    lowest_threshold,
    stages_taken,
)

#: Thresholds that are tried of an exit: so many that a share of the pictures is met to 0.1 %.
_TRIED = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class ExitAnswers:
    """
    Answers to the same labelled pictures after each place, and of the whole network.

    :param confidences: places x pictures, 0..1
    :param right: whether they are right, (places + 1) x pictures; the whole network comes last
    """

    confidences: NDArray[np.float64]
    right: NDArray[np.bool_]

    @property
    def pictures(self) -> int:
        """Return how many pictures there are."""
        return self.right.shape[1]

    @property
    def accuracy(self) -> float:
        """Return the accuracy of the whole network, 0..1."""
        return float(self.right[-1].mean())

    def loss(self, exits: Sequence[int], taken: StagesTaken) -> Loss:
        """Return how far a mixture is below the whole network."""
        lost = self.right[-1] - self._right_of(exits, taken).astype(np.float64)
        return Loss(float(lost.mean()), float(lost.std()) / math.sqrt(len(lost)))

    def _right_of(self, exits: Sequence[int], taken: StagesTaken) -> NDArray[np.bool_]:
        rows = np.array([*exits, len(self.right) - 1])
        return np.asarray(self.right[rows[taken], np.arange(self.pictures)])

    def leaving(self, exits: Sequence[int], thresholds: Sequence[float]) -> StagesTaken:
        """Return after which exit each picture leaves; the last number: after none."""
        return stages_taken([self.confidences[e] for e in exits], thresholds, self.pictures)

    def mixture(self, exits: Sequence[int], at_most: float) -> Mixture:
        """
        Return the mixture with the lowest thresholds that keep a promise.

        First all exits have the same threshold, as low as can be. What the promise still allows
        is then spent from the first exit on, where most is saved. An exit that cannot be used
        without breaking the promise lets nothing leave.

        :param at_most: loss of accuracy that is promised against the whole network, parts of 1
        """
        if not exits:
            return self._mixture(exits, ())
        tried = candidates(np.concatenate([self.confidences[each] for each in exits]), _TRIED)

        def same(threshold: float) -> Loss:
            return self.loss(exits, self.leaving(exits, [threshold] * len(exits)))

        found = lowest_threshold(tried, same, at_most)
        thresholds = [1.0 if found is None else found[0]] * len(exits)
        for index, each in enumerate(exits):
            lower = lowest_threshold(
                candidates(self.confidences[each], _TRIED),
                self._loss_with(exits, thresholds, index),
                at_most,
            )
            if lower is not None and lower[0] < thresholds[index]:
                thresholds[index] = lower[0]
        return self._mixture(exits, tuple(thresholds))

    def _loss_with(
        self, exits: Sequence[int], thresholds: Sequence[float], index: int
    ) -> Callable[[float], Loss]:
        def loss(threshold: float) -> Loss:
            changed = [*thresholds[:index], threshold, *thresholds[index + 1 :]]
            return self.loss(exits, self.leaving(exits, changed))

        return loss

    def oracle(self, exits: Sequence[int]) -> Mixture:
        """
        Return the mixture in which each picture leaves at the first exit that is right.

        Nobody knows that while serving: it is the bound that published figures assume.
        """
        taken = np.full(self.pictures, len(exits), np.int64)
        for stage in reversed(range(len(exits))):
            taken[self.right[exits[stage]]] = stage
        return self._of(exits, (), taken)

    def with_thresholds(self, exits: Sequence[int], thresholds: Sequence[float]) -> Mixture:
        """Return the mixture of given thresholds, for pictures that did not choose them."""
        return self._mixture(exits, tuple(thresholds))

    def _mixture(self, exits: Sequence[int], thresholds: tuple[float, ...]) -> Mixture:
        return self._of(exits, thresholds, self.leaving(exits, thresholds))

    def _of(
        self, exits: Sequence[int], thresholds: tuple[float, ...], taken: StagesTaken
    ) -> Mixture:
        shares = np.bincount(taken, minlength=len(exits) + 1) / self.pictures
        return Mixture(
            tuple(exits),
            thresholds,
            tuple(shares.tolist()),
            float(self._right_of(exits, taken).mean()),
            self.loss(exits, taken),
        )


@dataclasses.dataclass(frozen=True)
class Mixture:
    """
    Pictures that leave at some exits, and those that take all of the network.

    :param exits: positions among the places
    :param thresholds: of the exits, 0..1; none: of an oracle
    :param taken: share of the pictures that leave at each exit, then of those that do at none
    :param accuracy: 0..1
    :param loss: against the whole network
    """

    exits: tuple[int, ...]
    thresholds: tuple[float, ...]
    taken: tuple[float, ...]
    accuracy: float
    loss: Loss
