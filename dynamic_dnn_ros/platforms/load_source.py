# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whose samples of the load count, where more than one platform node is heard, and how long."""

from __future__ import annotations

import math

STALE_PERIODS = 3.0
"""Periods after which a load is stale."""

LEAST_STALE = 1.0
"""Seconds for which a load is never stale: a busy computer pauses any process that long."""

LONGEST_STALE = 15.0
"""Seconds after which every load is stale, whatever period it names."""

LONGEST_DELAY = 1.0
"""Seconds by which the clock of a platform may seem to run ahead of the time that has passed."""


def stale_after(period: float) -> float:
    """Return the seconds after which a load of a period, s, is stale."""
    return min(max(STALE_PERIODS * period, LEAST_STALE), LONGEST_STALE)


class LoadSource:
    """
    The platform that is listened to: another one counts only once this one is silent.

    So a platform node that comes for a moment and gives way changes nothing, and a single sample
    that makes no sense is forgotten when it is stale.
    """

    def __init__(self) -> None:
        """Begin without a platform."""
        self._platform = self._instance = ''
        self._sampled = self._received = -math.inf
        self._lasting = 0.0

    @property
    def platform(self) -> str:
        """Return the id of the platform that counts; empty: there was none yet."""
        return self._platform

    def is_fresh(self, now: float) -> bool:
        """Tell whether the platform that counts was heard lately."""
        return now - self._received <= self._lasting

    def takes(
        self, platform: str, instance: str, sampled: float, period: float, now: float
    ) -> bool:
        """
        Tell whether a sample counts; from then on its platform does.

        Not another platform's while this one is heard, nor one out of order, nor one from the
        future.

        :param instance: of the platform node
        :param sampled: when the sample was taken, s on the platform's own clock
        :param period: between two samples, s
        :param now: s on the clock of this process
        """
        if not math.isfinite(sampled):
            return False
        if self.is_fresh(now):
            if platform != self._platform:
                return False
            # A node that was started anew may run on another computer, with another clock.
            passed = sampled - self._sampled
            if instance == self._instance and not (
                0 <= passed <= now - self._received + LONGEST_DELAY
            ):
                return False
        self._platform, self._instance = platform, instance
        self._sampled, self._received = sampled, now
        self._lasting = stale_after(period)
        return True
