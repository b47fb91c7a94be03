# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What other load took of a board in a recorded run.

A load tells how busy a domain was in the period before it, but names the clock of now. So its
share of the time counts with the clock that the domain had in that period, in the mean over time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
import math

from dynamic_dnn_ros.management.observations import Load

MOST_CLOCKS = 64
"""Clocks of a domain that are remembered."""


class _Clocks:
    """The clocks of a domain: (time, Hz), each until the next one."""

    def __init__(self) -> None:
        """Begin without a load."""
        self._told: deque[tuple[float, float]] = deque(maxlen=MOST_CLOCKS)

    def mean(self, granted: float, period: float, now: float) -> float:
        """
        Take the clock of a load, and return the mean over the period before it; NaN: not known.

        :param granted: Hz
        :param period: of the platform's loads, s
        :param now: s
        """
        if not granted > 0:
            self._told.clear()
            return math.nan
        told, begin = self._told, now - period
        # The first to be known is supposed to hold before too.
        total, since = 0.0, -math.inf
        until = [at for at, _ in told][1:] + [now]
        for (_, clock), end in zip(told, until):
            total += clock * max(end - max(since, begin), 0.0)
            since = end
        told.append((now, granted))
        while len(told) > 1 and told[1][0] <= now - 2 * period:
            told.popleft()
        return total / period if since > -math.inf and period > 0 else granted


def other_load(
    loads: Iterable[tuple[float, Load]],
) -> dict[str, tuple[list[float], list[float]]]:
    """
    Return, for each domain, times and cycles a second, Hz, that other load took.

    :param loads: in the order of time, each with when it came, s
    """
    found: dict[str, tuple[list[float], list[float]]] = {}
    clocks: dict[str, _Clocks] = {}
    for now, load in loads:
        for domain in load.domains:
            clock = clocks.setdefault(domain.name, _Clocks())
            cycles = domain.utilisation_foreign * clock.mean(domain.granted, load.period, now)
            if math.isfinite(cycles):
                times, values = found.setdefault(domain.name, ([], []))
                times.append(now)
                values.append(cycles)
    return found
