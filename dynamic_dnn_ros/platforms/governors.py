# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What sets the frequency of a simulated domain inside its limits, as the kernel's governors do.

Written from their formulas: `kernel/sched/cpufreq_schedutil.c` and
`drivers/devfreq/governor_pod_scaling.c` of L4T. Frequencies in Hz, utilisation 0..1 of the
time, loads of the pod governor in thousandths.
"""

from __future__ import annotations

import abc
from bisect import bisect_left
from collections.abc import Sequence


class Governor(abc.ABC):
    """Chooses a frequency of a table, one step after the other."""

    period: float
    """Seconds between two steps."""

    @abc.abstractmethod
    def step(self, current: float, utilisation: float, table: Sequence[float]) -> float:
        """
        Return the next frequency.

        :param utilisation: share of the last period in which the domain was busy at `current`
        :param table: what may be chosen, ascending, not empty
        """


class Performance(Governor):
    """The highest frequency, always."""

    period = 0.05

    def step(self, current: float, utilisation: float, table: Sequence[float]) -> float:
        """Return the highest frequency."""
        return table[-1]


class Schedutil(Governor):
    """
    next = 1.25 x f_max x utilisation scaled to f_max; the lowest of the table above that.

    Utilisation is the kernel's PELT average: halves in 32 ms. `maximum` is the highest
    frequency of the hardware, to which the kernel scales.
    """

    period = 0.01

    def __init__(self, maximum: float) -> None:
        self._maximum = maximum
        self._average = 0.0

    def step(self, current: float, utilisation: float, table: Sequence[float]) -> float:
        """Return the next frequency."""
        keep = 0.5 ** (self.period / 0.032)
        scaled = utilisation * current / self._maximum
        self._average = keep * self._average + (1.0 - keep) * scaled
        return _round_up(1.25 * self._maximum * self._average, table)


class NvhostPodgov(Governor):
    """
    The Jetson GPU's default: aims at a load of 700 of 1000, boosts by a third above 900.

    Smoothing 10, damping 7 (10 while boosted), at least 50 ms between two changes.
    """

    period = 0.025
    _LOAD_MAXIMUM = 900
    _LOAD_TARGET = 700
    _BIAS = 80
    _SMOOTH = 10
    _DAMP = 7
    _BLOCK = 0.05

    def __init__(self, maximum: float) -> None:
        self._maximum = maximum
        self._cycles = 0.0
        self._frequency = 0.0
        self._since_change = self._BLOCK

    def step(self, current: float, utilisation: float, table: Sequence[float]) -> float:
        """Return the next frequency."""
        smooth = self._SMOOTH
        self._since_change += self.period
        self._cycles = (self._cycles * smooth + current * utilisation) / (smooth + 1)
        if self._since_change < self._BLOCK:
            return min(max(current, table[0]), table[-1])
        megahertz = current / 1e6
        boost_maximum = self._maximum / 3e6
        if 1000 * utilisation > self._LOAD_MAXIMUM:
            boost, damp = boost_maximum, 10
        else:
            busyness = 1000 * self._cycles / current
            gain = self._BIAS / (100 * self._LOAD_TARGET)
            boost = min((busyness - self._LOAD_TARGET) * megahertz * gain, boost_maximum)
            damp = self._DAMP
        wanted = megahertz + boost
        self._frequency = (self._frequency * smooth + wanted) / (smooth + 1)
        wanted = (damp * wanted + (10 - damp) * self._frequency) / 10
        chosen = _round_up(wanted * 1e6, table)
        if chosen != current:
            self._since_change = 0.0
        return chosen


def make_governor(name: str, maximum: float) -> Governor:
    """
    Return a governor by the kernel's name for it.

    :param maximum: highest frequency of the hardware, Hz
    :raises ValueError: for a governor that is not modelled
    """
    if name == 'performance':
        return Performance()
    if name == 'schedutil':
        return Schedutil(maximum)
    if name == 'nvhost_podgov':
        return NvhostPodgov(maximum)
    raise ValueError(f'governor {name!r} is not modelled')


def _round_up(frequency: float, table: Sequence[float]) -> float:
    return table[min(bisect_left(table, frequency), len(table) - 1)]
