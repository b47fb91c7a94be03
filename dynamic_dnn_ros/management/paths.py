# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The paths that pictures take through a sub-network of several stages, and how many take which.

A picture leaves after the first stage whose answer is good enough. What share of the pictures does
so was counted on calibration pictures. Another scene has other pictures: one number tells how much
harder they are, its *difficulty* g. Where a share c of the calibration pictures has left by a
stage, a share c ** g has left here: 1 is a scene as hard as the calibration pictures; at 2, 64 %
leave where 80 % did. The same number holds for every stage and every sub-network, so what one of
them teaches is known of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
import math

from dynamic_dnn_ros.management.observations import StageShare

MOST = 0.999
"""Share of the calibration pictures up to which it is believed that they have left by an exit."""

HIGHEST = 0.999
"""Quantile of one path that is looked at at most."""

_ROUNDED = 1e-3
"""By how much shares and works may miss 1: they are published rounded."""


class Paths:
    """
    The paths of one sub-network, the shortest first: each ends after another of its stages.

    `names` are those of the stages, `works` the shares of the largest path's cost, and `left` the
    shares of the calibration pictures that have left by each of them; the last of them is 1, and
    so is the last work, unless paths meet again before their end: then it is their mean.
    """

    def __init__(self, stages: Sequence[StageShare]) -> None:
        """
        Take the stages in the order in which they run.

        :raises ValueError: without stages, for works that fall or exceed 1, for shares below 0
            and for shares that do not add up to 1
        """
        self.names = tuple(stage.name for stage in stages)
        self.works = tuple(float(stage.work) for stage in stages)
        shares = [float(stage.taken) for stage in stages]
        if not stages:
            raise ValueError('there is no stage. A sub-network of one piece has no paths')
        if not all(0 < a <= b for a, b in pairwise((self.works[0], *self.works))):
            raise ValueError(f'works {self.works} have to be above 0 and must not fall')
        if not self.works[-1] < 1 + _ROUNDED:
            raise ValueError(f'work of the last stage is {self.works[-1]}: it is 1 at most')
        if not (all(share >= 0 for share in shares) and abs(sum(shares) - 1) < _ROUNDED):
            raise ValueError(f'shares {shares} have to add up to 1, none below 0')
        self.left = (*(min(left, MOST) for left in accumulate(shares[:-1])), 1.0)

    def shares(self, difficulty: float = 1.0) -> tuple[float, ...]:
        """Return the share of the pictures of a scene that takes each path; together 1."""
        left = [share**difficulty for share in self.left]
        return tuple(b - a for a, b in pairwise((0.0, *left)))

    def mean_work(self, difficulty: float = 1.0) -> float:
        """Return the mean work of a picture of a scene."""
        return sum(s * work for s, work in zip(self.shares(difficulty), self.works))

    def variation(self, difficulty: float = 1.0) -> float:
        """Return the standard deviation of the work of a scene's pictures over its mean."""
        mean = self.mean_work(difficulty)
        square = sum(s * work**2 for s, work in zip(self.shares(difficulty), self.works))
        return math.sqrt(max(square - mean**2, 0.0)) / mean

    def work_at(self, quantile: float, difficulty: float = 1.0) -> float:
        """Return the work that so large a share of the pictures of a scene does not exceed."""
        return next(
            work for work, left in zip(self.works, self.left) if left**difficulty >= quantile
        )

    def quantile_of_path(self, quantile: float, difficulty: float = 1.0) -> float:
        """
        Return which quantile of the path of `work_at` is that of all pictures of a scene.

        All that take longer paths exceed it and all that take shorter ones do not, so what is left
        over is the path's own.
        """
        at_most = 0.0
        for left in self.left:
            at_least, at_most = at_most, left**difficulty
            if at_most >= quantile:
                break
        return min((quantile - at_least) / (at_most - at_least), HIGHEST)

    def of_hardness(self, hardness: float) -> int:
        """
        Return the path of one picture.

        :param hardness: share of the calibration pictures that are easier than it, 0..1
        """
        last = len(self.left) - 1
        return next((i for i, left in enumerate(self.left) if hardness < left), last)

    def between(self, name: str) -> tuple[float, float] | None:
        """
        Return the hardness of pictures that leave after a stage: from and to, 0..1.

        None where there is no such stage.
        """
        if name not in self.names:
            return None
        index = self.names.index(name)
        return (self.left[index - 1] if index else 0.0), self.left[index]
