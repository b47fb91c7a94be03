# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How hard the pictures of a scene are, learnt from the stages after which they leave.

A picture that leaves between the calibration shares a and b does so in a scene of difficulty g
with the probability b ** g - a ** g (`paths.py`). A Bayes filter keeps how likely each difficulty
of a grid is. With each frame the scene may have become another one, with a small probability;
that keeps the memory at some tens of frames, and lets a few unlikely frames in a row move the
estimate at once. The estimate is the median, so a single one does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

CHANGE = 1 / 128
"""Probability that the scene becomes another one with a frame."""

MISTAKEN = 0.01
"""Probability that the path of a frame says nothing of its scene."""

STEP = 1.4
"""Factor by which what is known departs from the difficulty in use before that follows."""

DOUBT = 1.25
"""Factor by which a scene is supposed to be harder than the difficulty in use at a quantile."""

UNSEEN = 512
"""Frames without a path after which the scene counts as unknown again."""

_OCTAVES = np.arange(-6.0, 6.25, 0.25)
_GRID = np.exp2(_OCTAVES)


def _around_calibration(octaves: float) -> FloatArray:
    """Return how likely difficulties are whose logarithms are normal, by their deviation."""
    belief: FloatArray = np.exp(-0.5 * (_OCTAVES / octaves) ** 2)
    return belief / belief.sum()


_CALIBRATED = _around_calibration(1.0)
"""Before any frame: the calibration pictures are believed within a factor of two."""

_ANY = _around_calibration(2.0)
"""Of a scene that has just become another one."""


class Difficulty:
    """
    The difficulty of one application's scene; 1 is that of the calibration pictures.

    `in_use` is what plans count with. It follows in steps: upwards the estimate, which one odd
    picture does not move, and downwards the mean. The mean counts how hard the scene may still be
    by how likely that is. So it tells what share of the pictures takes a long path, and falls only
    once a hard scene is out of the question. Where sub-networks of one piece serve for long, the
    calibration is believed again, so that one of several stages is given another chance.
    """

    def __init__(self) -> None:
        """Begin with the calibration pictures."""
        self._belief: FloatArray = _CALIBRATED
        self._unseen = 0
        self.in_use = 1.0

    @property
    def estimate(self) -> float:
        """Return the most credible difficulty: it is as likely too high as too low."""
        reached = np.cumsum(self._belief) - 0.5 * self._belief
        return float(np.exp2(np.interp(0.5, reached, _OCTAVES)))

    @property
    def mean(self) -> float:
        """Return the mean of what the difficulty may be."""
        return float(self._belief @ _GRID)

    def observe(self, easier: float, left: float) -> bool:
        """
        Take the path of a frame into account; tell whether the difficulty in use has changed.

        :param easier: share of the calibration pictures that leave before it
        :param left: share that has left with it, not less
        """
        self._unseen = 0
        likely = left**_GRID - easier**_GRID
        belief = (1 - CHANGE) * self._belief + CHANGE * _ANY
        belief = belief * ((1 - MISTAKEN) * likely + MISTAKEN)
        self._belief = belief / belief.sum()
        estimate, mean = self.estimate, self.mean
        if estimate > self.in_use * STEP:
            self.in_use = estimate
        elif mean * STEP < self.in_use:
            self.in_use = mean
        else:
            return False
        return True

    def pass_over(self) -> bool:
        """Take a frame without a path into account; tell as `observe` does."""
        self._unseen += 1
        if self._unseen < UNSEEN or self.in_use == 1.0:
            return False
        self._belief, self.in_use = _CALIBRATED, 1.0
        return True
