# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How many seconds of work a second fill a CPU's clock domain: the number of its cores."""

from __future__ import annotations

from collections import deque
import math
from statistics import median

from dynamic_dnn_ros.management.observations import Load, Status
from dynamic_dnn_ros.platforms.activity import ActivityTracker

CPU = 'cpu'
"""The domain in which applications report seconds of one core."""

WINDOW = 50
"""Loads that are remembered; a power mode takes cores away."""

ENOUGH = 10
"""Loads before the number of cores is believed."""

LEAST = 0.005
"""Share of the CPU that has to be ours in a load, or the two figures are mostly noise."""

SPAN = 1.0
"""Seconds between two reports that make a rate."""

_ROUNDING = 0.3


class CpuCores:
    """
    Finds the number of cores out of what applications and the platform say of the same work.

    Applications report seconds of one core, the platform the share of all cores that this is. No
    message names the number itself, and the manager may run on another computer.
    """

    def __init__(self) -> None:
        """Begin with one core, for which nothing is underestimated."""
        self._activity = ActivityTracker(SPAN)
        self._ratios: deque[float] = deque(maxlen=WINDOW)

    @property
    def number(self) -> int:
        """Return the number of cores; 1 before it is known, and rather too few than too many."""
        if len(self._ratios) < ENOUGH:
            return 1
        return max(1, math.floor(median(self._ratios) + _ROUNDING))

    def hear(self, status: Status, now: float) -> None:
        """Take what an application says it kept busy."""
        self._activity.observe(
            now, status.application, status.instance, status.processor, status.busy
        )

    def compare(self, load: Load, now: float) -> None:
        """Take what the platform says of it."""
        domain = load.domain(CPU)
        if domain is None or not domain.utilisation_own >= LEAST:
            return
        seconds = self._activity.total(now, CPU)
        if seconds > 0:
            self._ratios.append(seconds / domain.utilisation_own)
