# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What sets the frequency of a simulated domain inside its limits, as the kernel's governors do.

Written from the formulas of L4T's kernels: `kernel/sched/cpufreq_schedutil.c` and
`kernel/sched/pelt.c` for the CPU, `drivers/devfreq/governor_*.c` for the GPU. Times in seconds,
frequencies in Hz, utilisation 0..1 of the time. Integers are divided as the kernel divides them.
"""

from __future__ import annotations

import abc
from bisect import bisect_left
from collections.abc import Callable, Sequence
import math

_TOLERANCE = 1e-9  # s, of sums of durations


class Governor(abc.ABC):
    """
    Chooses a frequency of a table again and again, from how busy the domain was in between.

    Who simulates calls `observe` for each stretch of time in which nothing changes and `choose`
    at the end of each `period`. What happens inside a period may be given in several stretches,
    or as one with its mean utilisation.
    """

    period: float
    """Seconds between two choices."""

    @abc.abstractmethod
    def observe(self, duration: float, utilisation: float, current: float) -> None:
        """Take note that the domain ran so long at `current`, busy for a share of that time."""

    @abc.abstractmethod
    def choose(self, current: float, table: Sequence[float]) -> float:
        """
        Return the next frequency.

        :param table: what may be chosen, ascending, not empty
        """

    def unchanged_for(self, current: float, utilisation: float, table: Sequence[float]) -> float:
        """
        Return the seconds from now in which `choose` would return `current` each time.

        That is if the domain stays so busy, 0 or 1, and its limits stay. So a simulation may
        leave out choices. 0 where that is not known beforehand.
        """
        return 0.0

    def step(self, current: float, utilisation: float, table: Sequence[float]) -> float:
        """Observe one period at `current` and return the next frequency."""
        self.observe(self.period, utilisation, current)
        return self.choose(current, table)


class _Unobserving(Governor):
    """A governor that does not look at the load."""

    period = 0.05

    def observe(self, duration: float, utilisation: float, current: float) -> None:
        """Ignore the load."""

    def unchanged_for(self, current: float, utilisation: float, table: Sequence[float]) -> float:
        """Return infinity where it is what would be chosen."""
        return math.inf if self.choose(current, table) == current else 0.0


class Performance(_Unobserving):
    """The highest frequency, always."""

    def choose(self, current: float, table: Sequence[float]) -> float:
        """Return the highest frequency."""
        return table[-1]


class Powersave(_Unobserving):
    """The lowest frequency, always."""

    def choose(self, current: float, table: Sequence[float]) -> float:
        """Return the lowest frequency."""
        return table[0]


class Userspace(_Unobserving):
    """What was set, inside the limits; until something is set, what it found."""

    def __init__(self) -> None:
        self._wanted: float | None = None

    def set(self, frequency: float) -> None:
        """
        Hold a frequency from the next choice on.

        :raises ValueError: unless it is a positive number
        """
        if not 0.0 < frequency < math.inf:
            raise ValueError(f'frequency {frequency!r} is not positive; give Hz')
        self._wanted = frequency

    def choose(self, current: float, table: Sequence[float]) -> float:
        """Return the lowest frequency of the table that is not below what was set."""
        return _round_up(current if self._wanted is None else self._wanted, table)


class Schedutil(Governor):
    """
    Follows the scheduler's average of utilisation with a quarter in reserve.

    next = 1.25 x f_maximum x utilisation, rounded up to the table. Utilisation is scaled to
    `maximum`, the highest frequency of the hardware, and averaged geometrically over periods of
    1.024 ms with y^32 = 1/2 (PELT). No change within 10 ms of the last one unless the limits
    changed: `cpufreq_policy_transition_delay_us` for the 300 us latency of a Tegra194.

    A policy of one CPU does not slow down while that CPU is busy, unless it has idled since
    the last choice, a period ago; policies that CPUs share (`shared`) have no such rule. Feed
    those the utilisation of their busiest CPU.

    The kernel chooses when the scheduler calls it: at ticks and when tasks come and go. Here it
    chooses once a millisecond. The boost for tasks that wait for I/O and estimated utilisation
    (util_est) are left out: a job that waits for frames does not wait for I/O.
    """

    period = 0.001
    _HALF_LIFE = 32 * 0.001024
    _RATE_LIMIT = 0.01

    def __init__(self, maximum: float, shared: bool = False) -> None:
        self._maximum = maximum
        self._shared = shared
        self._average = 0.0
        self._since_change = math.inf
        self._busy_for = 0.0
        self._limits = (0.0, 0.0)

    def observe(self, duration: float, utilisation: float, current: float) -> None:
        """Advance the average; for a constant load this is exact for any duration."""
        keep = 0.5 ** (duration / self._HALF_LIFE)
        self._average = keep * self._average + (1.0 - keep) * utilisation * current / self._maximum
        self._since_change += duration
        self._busy_for = self._busy_for + duration if utilisation >= 1.0 else 0.0

    def choose(self, current: float, table: Sequence[float]) -> float:
        """Return the next frequency."""
        limits = (table[0], table[-1])
        limited, self._limits = limits != self._limits, limits
        if not limited and self._since_change < self._RATE_LIMIT - _TOLERANCE:
            return _clamped(current, table)
        chosen = _round_up(1.25 * self._maximum * self._average, table)
        if chosen < current and self._held and not limited:
            return current
        if chosen != current:
            self._since_change = 0.0
        return chosen

    @property
    def _held(self) -> bool:
        return not self._shared and self._busy_for > self.period - _TOLERANCE

    def unchanged_for(self, current: float, utilisation: float, table: Sequence[float]) -> float:
        """Return when the average leaves the range that `current` serves, at the earliest."""
        if (table[0], table[-1]) != self._limits or not table[0] <= current <= table[-1]:
            return 0.0
        index = bisect_left(table, current)
        reserve = 1.25 * self._maximum
        lowest = table[index - 1] / reserve if index > 0 else -math.inf
        highest = current / reserve if current < table[-1] else math.inf
        goal = utilisation * current / self._maximum
        average = self._average
        if average > highest or (average <= lowest and not (self._held and utilisation >= 1.0)):
            reached = 0.0
        else:
            bound = highest if goal > average else lowest
            # Exponential approach to the goal; a bound that is not on the way is never reached.
            on_the_way = average <= bound < goal or goal < bound < average
            share = (average - goal) / (bound - goal) if on_the_way else math.inf
            reached = self._HALF_LIFE * math.log2(share)
        return max(reached - _TOLERANCE, self._RATE_LIMIT - self._since_change, 0.0)


class _Polling(Governor):
    """A devfreq governor: looks at busy and total time since its last look."""

    period = 0.025
    """As the GPU's driver asks for (nvgpu)."""

    def __init__(self) -> None:
        self._busy = 0.0
        self._total = 0.0

    def observe(self, duration: float, utilisation: float, current: float) -> None:
        """Add up the time."""
        self._busy += duration * utilisation
        self._total += duration

    def _counted(self) -> tuple[int, int]:
        """Return busy and total time since the last call, ns."""
        counted = round(self._busy * 1e9), round(self._total * 1e9)
        self._busy = self._total = 0.0
        return counted


class SimpleOndemand(_Polling):
    """
    The highest frequency above 90 % load, the same above 85 %, else one for a load of 88 %.

    `governor_simpleondemand.c`: upthreshold 90, downdifferential 5, of which integer division
    takes 2 from the threshold. Rounded up to the table, as the GPU's driver does.
    """

    _UP = 90
    _DOWN_DIFFERENTIAL = 5

    def choose(self, current: float, table: Sequence[float]) -> float:
        """Return the next frequency."""
        busy, total = self._counted()
        if total == 0 or current <= 0.0 or 100 * busy > self._UP * total:
            return table[-1]
        if 100 * busy > (self._UP - self._DOWN_DIFFERENTIAL) * total:
            return _clamped(current, table)
        wanted = busy * round(current) // total * 100
        return _round_up(wanted // (self._UP - self._DOWN_DIFFERENTIAL // 2), table)


class NvhostPodgov(_Polling):
    """
    The default of Jetson GPUs: aims at a load of 700 of 1000, boosts by a third above 900.

    `governor_pod_scaling.c`: load_max 900, load_target 700, bias 80, smooth 10, damp 7 (10 while
    boosted), block_window 50 ms. MHz and integers inside, as there. The history of newer
    releases is left out (its size is 0 where it is not configured), and so is rail gating.
    """

    _LOAD_MAXIMUM = 900
    _LOAD_TARGET = 700
    _BIAS = 80
    _SMOOTH = 10
    _DAMP = 7
    _BLOCK_WINDOW = 0.05

    def __init__(self, maximum: float) -> None:
        """Begin idle. `maximum` is the highest frequency of the hardware."""
        super().__init__()
        self._boost_maximum = round(maximum) // 3 // 1_000_000
        self._cycles = 0
        self._megahertz = 0
        self._since_change = math.inf

    def observe(self, duration: float, utilisation: float, current: float) -> None:
        """Add up the time."""
        super().observe(duration, utilisation, current)
        self._since_change += duration

    def choose(self, current: float, table: Sequence[float]) -> float:
        """Return the next frequency."""
        busy, total = self._counted()
        hertz = round(current)
        if total == 0 or hertz == 0:
            return _clamped(current, table)
        smooth = self._SMOOTH
        self._cycles = (self._cycles * smooth + hertz * busy // total) // (smooth + 1)
        if self._since_change < self._BLOCK_WINDOW - _TOLERANCE:
            return _clamped(current, table)
        megahertz = hertz // 1_000_000
        if 1000 * busy // total > self._LOAD_MAXIMUM:
            boost, damp = self._boost_maximum, 10
        else:
            excess = 1000 * self._cycles // hertz - self._LOAD_TARGET
            boost = _quotient(excess * self._BIAS * megahertz, 100 * self._LOAD_TARGET)
            boost, damp = min(boost, self._boost_maximum), self._DAMP
        wanted = megahertz + boost
        self._megahertz = (self._megahertz * smooth + wanted) // (smooth + 1)
        wanted = (damp * wanted + (10 - damp) * self._megahertz) // 10
        chosen = _round_up(wanted * 1e6, table)
        if chosen != current:
            self._since_change = 0.0
        return chosen


def make_governor(name: str, maximum: float, shared: bool = False) -> Governor:
    """
    Return a governor by the kernel's name for it.

    :param maximum: highest frequency of the hardware, Hz
    :param shared: whether CPUs share the frequency (a policy of several); for `schedutil`
    :raises ValueError: for a governor that is not modelled
    """
    makers: dict[str, Callable[[], Governor]] = {
        'nvhost_podgov': lambda: NvhostPodgov(maximum),
        'performance': Performance,
        'powersave': Powersave,
        'schedutil': lambda: Schedutil(maximum, shared),
        'simple_ondemand': SimpleOndemand,
        'userspace': Userspace,
    }
    if name not in makers:
        raise ValueError(f'governor {name!r} is not modelled; choose of: {", ".join(makers)}')
    return makers[name]()


def _round_up(frequency: float, table: Sequence[float]) -> float:
    return table[min(bisect_left(table, frequency), len(table) - 1)]


def _clamped(frequency: float, table: Sequence[float]) -> float:
    return min(max(frequency, table[0]), table[-1])


def _quotient(dividend: int, divisor: int) -> int:
    """Divide as C does, towards zero."""
    return dividend // divisor if dividend >= 0 else -(-dividend // divisor)
