# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What pictures take of sub-networks whose paths meet again before their end.

The stage after which a picture leaves says nothing then: all leave after the same one. What tells
is the work of each frame. The last ones make the paths that plans count with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
import math

import numpy as np

from dynamic_dnn_ros.management.observations import StageShare
from dynamic_dnn_ros.management.paths import Paths

FRAMES = 64
"""Frames that count, the last ones."""

ENOUGH = 8
"""Frames before which the calibration pictures are believed."""

STEP = 1.1
"""Factor by which what frames take departs from what is in use before that follows."""

_LEVELS = 20
_RARE = 0.1
"""Share of the pictures that is supposed to take the largest path while nobody knows."""


def merge(stages: Sequence[StageShare]) -> bool:
    """Tell whether several paths lead to the last stage: its work is a mean then, below 1."""
    return bool(stages) and stages[-1].work < 1 - 1e-3


class MergedPaths:
    """The paths of one sub-network in one scene: as many as its frames' works tell apart."""

    def __init__(self, stages: Sequence[StageShare]) -> None:
        """Begin with the mean of the calibration pictures, and some that take the largest path."""
        self._works: deque[float] = deque(maxlen=FRAMES)
        mean = Paths(stages).mean_work()
        rest = max((mean - _RARE) / (1 - _RARE), 0.5 * mean)
        self.in_use = Paths([StageShare('', rest, 1 - _RARE), StageShare('', 1.0, _RARE)])

    def observe(self, work: float) -> bool:
        """
        Take a frame into account; tell whether the paths in use have changed.

        :param work: share of the largest path's cost, above 0, at most 1
        """
        if not 0 < work <= 1:
            return False
        self._works.append(work)
        if len(self._works) < ENOUGH:
            return False
        found = self._found()
        if all(
            max(one, other) <= STEP * min(one, other)
            for one, other in (
                (found.mean_work(), self.in_use.mean_work()),
                (found.work_at(0.95), self.in_use.work_at(0.95)),
            )
        ):
            return False
        self.in_use = found
        return True

    def shown(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Return works in tenths of the largest path's, in words, and what share takes each."""
        shares: dict[int, float] = {}
        for work, share in zip(self.in_use.works, self.in_use.shares()):
            tenth = math.ceil(round(10 * work, 6))
            shares[tenth] = shares.get(tenth, 0.0) + share
        return tuple(f'{10 * tenth}% of the work' for tenth in shares), tuple(shares.values())

    def _found(self) -> Paths:
        levels = np.arange(1, _LEVELS + 1) / _LEVELS
        works = np.quantile(np.array(self._works), levels, method='higher')
        return Paths([StageShare('', float(work), 1 / _LEVELS) for work in works])
