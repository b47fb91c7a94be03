# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How evenly the frames of a camera come, which says how long they wait near saturation.

What makes frames wait is by how much several intervals in a row come out too short. A camera that
triggers by its clock and stamps a little early or late makes that up with the next frame; so
frames are compared two by two. When a frame came is told by its application's clock, so nothing
that delays the manager's hearing of it counts. A few frames that come very late do not count
either: nine tenths of the pairs do.
"""

from __future__ import annotations

from collections import deque
import math
from statistics import median

from dynamic_dnn_ros.management.estimator import CAMERA_VARIATION

WINDOW = 64
"""Pairs of intervals that are kept."""

ENOUGH = 16
"""Pairs after which what is measured counts."""

FRAMES_NEEDED = 2 * ENOUGH + 8
"""Frames within which that many pairs came, those included that tell the camera's rate."""

LEAST = 0.01
"""What a camera varies by at least, as a share of its period."""

STEP = 1.25
"""Factor by which the figure departs from the one in use before that follows."""

COUNTED = 0.9
"""Share of the pairs that count."""

SCORE = 1.645
"""Standard deviations that this share of a normal distribution stays within."""

UNCERTAINTY = 0.885
"""
Standard deviation of what so many of `n` pairs tell over what it tells, times the square root of
`n`, for a normal distribution. The figure in use is larger by it: few pairs only make it larger.
"""

LONGEST = 3.5
"""Periods after which two frames say nothing of each other: the camera stood still."""


class CameraVariation:
    """Standard deviation of the time between two frames, as a share of the camera's period."""

    def __init__(self) -> None:
        """Begin with what is assumed of any camera."""
        self.in_use = CAMERA_VARIATION
        self._departures: deque[float] = deque(maxlen=WINDOW)
        self._last: tuple[float, float] | None = None
        self._before = math.nan

    @property
    def is_known(self) -> bool:
        """Return whether enough frames came to tell."""
        return len(self._departures) >= ENOUGH

    def arrived(self, at: float, period: float) -> None:
        """
        Take the arrival of a served frame into account.

        :param at: s, by the application's clock
        :param period: of the camera, s; infinite where it is not known
        """
        last, self._last = self._last, (at, period)
        if last is None or not 0.0 < period < math.inf or not last[1] < math.inf:
            self._before = math.nan
            return
        passed = (at - last[0]) / period
        if not 0.5 < passed < LONGEST:
            self._before = math.nan
            return
        # Frames that were replaced lie between: only the departure from whole periods counts.
        departure = passed - round(passed)
        if math.isfinite(self._before):
            self._departures.append(departure + self._before)
            self._before = math.nan
            self._follow()
        else:
            self._before = departure

    def _follow(self) -> None:
        if not self.is_known:
            return
        count = len(self._departures)
        # The period is known to some parts in a hundred, so their middle is no departure.
        middle = median(self._departures)
        ordered = sorted(abs(each - middle) for each in self._departures)
        spread = ordered[math.ceil(COUNTED * count) - 1] / SCORE
        found = max((1 + UNCERTAINTY / math.sqrt(count)) * spread / math.sqrt(2), LEAST)
        low, high = sorted((found, self.in_use))
        if high > low * STEP:
            self.in_use = found
