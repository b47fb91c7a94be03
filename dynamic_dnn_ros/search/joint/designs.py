# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A backbone with a head at every place, and what a choice of its exits and of clocks comes to."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from itertools import accumulate
from typing import Any

import numpy as np

from dynamic_dnn_ros.platforms.board_model import NetworkCost
from dynamic_dnn_ros.search.joint.board_costs import BoardCosts, Setting, Spent
from dynamic_dnn_ros.search.joint.exit_answers import ExitAnswers, Mixture
from dynamic_dnn_ros.search.joint.genome import Choice

#: The quantile of latency that a limit is held against, as in targets.
QUANTILE = 0.95


@dataclasses.dataclass(frozen=True, eq=False)
class Backbone:
    """
    A sub-network of the super-network that was given a head at every place.

    :param places: names of the places, in the order in which they are reached
    :param trunk: what the network costs up to each place without heads, then all of it
    :param heads: what each head costs
    :param seconds: measured, of the parts of the trunk between two places, the last one after
        the last place; then of each head; none: nothing was measured
    :param answers: to the pictures that thresholds are chosen by
    """

    configuration: Any
    places: tuple[str, ...]
    trunk: tuple[NetworkCost, ...]
    heads: tuple[NetworkCost, ...]
    seconds: tuple[float, ...]
    answers: ExitAnswers

    def cost(self, exits: Sequence[int], after: int | None = None) -> NetworkCost:
        """
        Return what a picture costs that passes exits.

        :param after: the place after which it leaves; None: it takes the whole network
        """
        passed = [each for each in exits if after is None or each <= after]
        parts = [self.trunk[-1 if after is None else after], *(self.heads[e] for e in passed)]
        return NetworkCost(
            sum(part.multiply_adds for part in parts),
            sum(part.layers for part in parts),
            sum(part.parameters for part in parts),
        )

    def measured_works(self, exits: Sequence[int]) -> tuple[float, ...]:
        """Return the share of the largest path's time after each exit and after all."""
        count = len(self.places)
        reached = list(accumulate(self.seconds[: count + 1]))
        heads = list(accumulate(self.seconds[count + 1 + each] for each in exits))
        whole = reached[-1] + (heads[-1] if heads else 0.0)
        return (*((reached[each] + head) / whole for each, head in zip(exits, heads)), 1.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Design:
    """
    A backbone with exits, and the clocks at which it takes the least energy.

    :param works: share of the largest path's cost after each exit, and after all: 1
    :param setting: Hz by domain; none: the board's governors choose
    :param latency: that `QUANTILE` of the pictures do not exceed, s
    """

    backbone: Backbone
    mixture: Mixture
    works: tuple[float, ...]
    setting: Setting | None
    spent: Spent
    latency: float

    @property
    def accuracy(self) -> float:
        """Return the accuracy of the mixture on the pictures that chose it, 0..1."""
        return self.mixture.accuracy

    @property
    def work(self) -> float:
        """Return the mean work of a picture, as a share of the largest path's."""
        return sum(share * work for share, work in zip(self.mixture.taken, self.works))


class Designer:
    """Makes designs of backbones for one board; the same question has one answer."""

    def __init__(
        self,
        board: BoardCosts,
        promises: Sequence[float],
        measured: bool = True,
        oracle: bool = False,
    ) -> None:
        """
        Take what all designs have in common.

        :param promises: losses of accuracy against the backbone, parts of 1
        :param measured: works are those that were measured; False: those of the board's model
        :param oracle: each picture leaves at the first exit that is right, whatever is promised
        """
        self.board = board
        self._promises = tuple(promises)
        self._measured = measured
        self._oracle = oracle
        self._mixtures: dict[tuple[Any, ...], Mixture] = {}

    @property
    def promises(self) -> int:
        """Return how many promises there are to choose from."""
        return 1 if self._oracle else len(self._promises)

    def mixture(self, backbone: Backbone, exits: tuple[int, ...], promise: int) -> Mixture:
        """Return what pictures do at exits."""
        key = id(backbone), exits, promise
        if key not in self._mixtures:
            answers = backbone.answers
            self._mixtures[key] = (
                answers.oracle(exits)
                if self._oracle
                else answers.mixture(exits, self._promises[promise])
            )
        return self._mixtures[key]

    def works(self, backbone: Backbone, exits: Sequence[int]) -> tuple[float, ...]:
        """Return the share of the largest path's time after each exit and after all."""
        if self._measured:
            return backbone.measured_works(exits)
        board = self.board
        highest = board.setting([count - 1 for count in board.steps])
        reached = [board.latency(backbone.cost(exits, e), highest) for e in [*exits, None]]
        return tuple(each / reached[-1] for each in reached)

    def design(self, backbone: Backbone, choice: Choice) -> Design:
        """Return what a choice comes to."""
        mixture = self.mixture(backbone, choice.exits, choice.promise)
        return self._design(backbone, mixture, self.board.setting(choice.clocks))

    def at_best_clocks(self, design: Design, limit: float) -> Design:
        """
        Return the same exits at the clocks with the least energy.

        :param limit: of the latency at the quantile, s
        """
        backbone, mixture = design.backbone, design.mixture
        whole = limit / _longest(mixture, design.works)
        setting = self.board.best(backbone.cost(mixture.exits), design.work, whole)
        return self._design(backbone, mixture, setting)

    def governed(self, backbone: Backbone, exits: tuple[int, ...], promise: int) -> Design:
        """Return what exits come to where the board's governors set the clocks."""
        return self._design(backbone, self.mixture(backbone, exits, promise), None)

    def _design(self, backbone: Backbone, mixture: Mixture, setting: Setting | None) -> Design:
        works = self.works(backbone, mixture.exits)
        cost = backbone.cost(mixture.exits)
        work = float(np.dot(mixture.taken, works))
        longest = _longest(mixture, works)
        if setting is None:
            spent = self.board.governed(cost, work)
            latency = spent.time / work * longest
        else:
            spent = self.board.at(cost, work, setting)
            latency = self.board.latency(cost, setting) * longest
        return Design(backbone, mixture, works, setting, spent, latency)


def _longest(mixture: Mixture, works: Sequence[float]) -> float:
    """Return the work that `QUANTILE` of the pictures do not exceed."""
    reached = np.cumsum(mixture.taken)
    return works[int(np.argmax(reached >= QUANTILE - 1e-9))]
