# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The threshold of an exit: as low as a promise on accuracy allows.

A picture leaves at the first exit whose answer has a confidence of at least the threshold. The
promise is that the accuracy of this mixture is at most so far below that of the whole network. It
is held against an upper bound, since pictures that were not calibrated with differ by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Confidences = NDArray[np.float64]
"""Of an answer to each picture, 0..1, shape (pictures,)."""
StagesTaken = NDArray[np.int64]
"""The index of the stage after which each picture leaves, shape (pictures,)."""

#: Standard errors between what was measured and what is promised: on nine of ten draws of
#: calibration pictures, the loss on all pictures there are is below a bound that lies so high.
MARGIN = 1.28

#: Decimals of a threshold.
_DECIMALS = 6


@dataclass(frozen=True)
class Loss:
    """
    By how much a mixture is less accurate than the whole network, in parts of 1.

    :param mean: on the pictures it was measured on; below 0 where the mixture is better
    :param error: the standard error of the mean
    """

    mean: float
    error: float

    def keeps(self, at_most: float) -> bool:
        """Tell whether the loss is at most so much, with the margin for other pictures."""
        return self.mean + MARGIN * self.error <= at_most


def stages_taken(
    confidences: Sequence[Confidences], thresholds: Sequence[float], pictures: int
) -> StagesTaken:
    """
    Return after which stage each picture leaves.

    A confidence that is not a number leaves nowhere.

    :param confidences: of the answers after each stage that has an exit: of all but the last
    :param thresholds: of these exits, 0..1
    """
    taken = np.full(pictures, len(thresholds), np.int64)
    for stage in reversed(range(len(thresholds))):
        taken[confidences[stage] >= thresholds[stage]] = stage
    return taken


def candidates(confidence: Confidences, most: int) -> NDArray[np.float64]:
    """
    Return thresholds worth trying, ascending: those at which one more picture leaves.

    :param most: of more, evenly spaced ones are taken; the highest is always among them
    """
    finite = confidence[np.isfinite(confidence)]
    scale = 10.0**_DECIMALS
    found = np.unique(np.floor(finite * scale) / scale)
    if len(found) > most:
        found = found[np.linspace(0, len(found) - 1, most).round().astype(np.int64)]
    return np.asarray(found[found > 0.0], np.float64)


def lowest_threshold(
    thresholds: NDArray[np.float64], loss: Callable[[float], Loss], at_most: float
) -> tuple[float, Loss] | None:
    """
    Return the lowest threshold that keeps a promise, and the loss with it; None where none does.

    It is found by halving, as if the loss fell with a rising threshold. Where it does not, the
    promise is kept all the same, and a looser promise never gives a higher threshold.

    :param thresholds: to choose from, ascending
    :param loss: with a threshold
    :param at_most: the loss that is promised, in parts of 1
    """
    first, last = 0, len(thresholds)
    found = None
    while first < last:
        middle = (first + last) // 2
        threshold = float(thresholds[middle])
        measured = loss(threshold)
        if measured.keeps(at_most):
            found, last = (threshold, measured), middle
        else:
            first = middle + 1
    return found
