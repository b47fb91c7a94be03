# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How evenly the frames of a camera come, which says how long they wait near saturation.

What makes frames wait is by how much several intervals in a row come out too short. A camera that
triggers by its clock and stamps a little early or late makes that up with the next frame; so
frames are compared two by two. When a frame came is known from when its result was heard of, so
delays of that count too, and the figure is never too small.
"""

from __future__ import annotations

from collections import deque
import math

from dynamic_dnn_ros.management.estimator import CAMERA_VARIATION

WINDOW = 64
"""Pairs of intervals that are kept."""

ENOUGH = 24
"""Pairs after which what is measured counts."""

LEAST = 0.01
"""What a camera varies by at least, as a share of its period."""

STEP = 1.25
"""Factor by which the figure departs from the one in use before that follows."""

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

    def arrived(self, at: float, period: float) -> None:
        """
        Take the arrival of a served frame into account.

        :param at: s, by the clock that results are heard by
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
        count = len(self._departures)
        if count < ENOUGH:
            return
        # The period is known to some parts in a hundred, so their mean is no departure.
        mean = sum(self._departures) / count
        squares = sum((each - mean) ** 2 for each in self._departures)
        found = max(math.sqrt(squares / (2 * (count - 1))), LEAST)
        low, high = sorted((found, self.in_use))
        if high > low * STEP:
            self.in_use = found
