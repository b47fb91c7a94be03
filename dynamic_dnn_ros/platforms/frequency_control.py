# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One clock of the kernel that can be limited: a cpufreq policy, a devfreq device, the memory."""

from __future__ import annotations

import abc
from collections.abc import Sequence
import math
from pathlib import Path

from dynamic_dnn_ros.platforms.contract import HardwareError, LimitsFound
from dynamic_dnn_ros.platforms.guard_process import PROCESSORS
from dynamic_dnn_ros.platforms.sysfs import FrequencyFiles, Sysfs, nearest_below

KILOHERTZ = 1e3
"""The unit of cpufreq's files, Hz."""

STEP_WITHOUT_TABLE = 100e6
"""Hz between two frequencies that are offered where the driver has no table (intel_pstate)."""

Range = tuple[float, float]
"""Lowest and highest frequency, Hz."""


class FrequencyControl(abc.ABC):
    """
    One clock with limits; frequencies in Hz. Everything is read anew: tables change too.

    Two are equal that limit the same clock, so one that is found again is the one that it was.
    """

    name: str

    @abc.abstractmethod
    def key(self) -> object:
        """Return what names the clock on this computer, such as a file of it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrequencyControl) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())

    @abc.abstractmethod
    def table(self) -> tuple[float, ...]:
        """Return the frequencies that there are, ascending; empty where the driver has none."""

    @abc.abstractmethod
    def range(self) -> Range | None:
        """Return the limits in force; None where the clock is away or cannot be read."""

    @abc.abstractmethod
    def current(self) -> float | None:
        """Return what it runs at; None where that cannot be read."""

    @abc.abstractmethod
    def governor(self) -> str:
        """Return what sets the clock inside the limits; empty where that is not known."""

    @abc.abstractmethod
    def found(self) -> LimitsFound | None:
        """Return what its files hold now, to be restored later; None where it is away."""

    @abc.abstractmethod
    def found_for(self, limits: Range, before: LimitsFound) -> LimitsFound:
        """Return what is to be restored for other limits than those found before."""

    @abc.abstractmethod
    def limits_of(self, found: LimitsFound) -> Range:
        """Return the limits that were found, Hz."""

    @abc.abstractmethod
    def denied(self) -> HardwareError | None:
        """Return what is wrong where this user may not write it."""

    @abc.abstractmethod
    def rounded(self, wanted: Range) -> Range:
        """Return what of its table a range stands for: what is nearest below."""

    @abc.abstractmethod
    def write(self, wanted: Range) -> Range:
        """
        Limit the clock, and return the limits that are in force then.

        :raises HardwareError: when a file refuses
        """

    @abc.abstractmethod
    def put_back(self, found: LimitsFound) -> None:
        """
        Restore what was found.

        :raises HardwareError: when a file refuses, or the clock is away
        """


class MinimumMaximumControl(FrequencyControl):
    """A clock with a file for its lowest and one for its highest frequency."""

    def __init__(
        self,
        sysfs: Sysfs,
        name: str,
        files: FrequencyFiles,
        unit: float,
        *,
        table: Path,
        current: Path,
        governor: Path,
        processors: Path | None = None,
    ) -> None:
        """
        Describe the control.

        :param unit: hertz that one unit of its files stands for
        :param processors: lists those on line that it serves; without one it is away
        """
        self.name = name
        self._processors = processors
        self._sysfs, self._files, self._unit = sysfs, files, unit
        self._table, self._current, self._governor = table, current, governor

    def key(self) -> object:
        """Return the file of its maximum."""
        return self._files.maximum_file

    def table(self) -> tuple[float, ...]:
        """Return the frequencies that there are now."""
        return tuple(value * self._unit for value in self._sysfs.numbers(self._table))

    def range(self) -> Range | None:
        """Return what the two files hold."""
        return None if self._is_away() else self._files.read()

    def _is_away(self) -> bool:
        # Before Linux 5.20 the limits of CPUs that are off line can be read, but not written.
        path = self._processors
        return path is not None and path.exists() and not self._sysfs.text(path)

    def current(self) -> float | None:
        """Return what it runs at."""
        value = self._sysfs.number(self._current)
        return None if value is None else value * self._unit

    def governor(self) -> str:
        """Return the name of the governor."""
        return self._sysfs.text(self._governor) or ''

    def found(self) -> LimitsFound | None:
        """Return what the two files hold, as the kernel prints it."""
        return None if self._is_away() else self._files.found()

    def found_for(self, limits: Range, before: LimitsFound) -> LimitsFound:
        """Return the same files with other limits."""
        low, high = (f'{limit / self._unit:.0f}' for limit in limits)
        return LimitsFound(before.minimum_file, before.maximum_file, low, high)

    def limits_of(self, found: LimitsFound) -> Range:
        """Return the limits found, Hz."""
        return float(found.minimum) * self._unit, float(found.maximum) * self._unit

    def denied(self) -> HardwareError | None:
        """Return what is wrong where one of the two files may not be written."""
        for path in (self._files.minimum_file, self._files.maximum_file):
            if not self._sysfs.writable(path):
                return self._sysfs.denied(path)
        return None

    def rounded(self, wanted: Range) -> Range:
        """Return the range by its own table, as it is where there is none."""
        table = self.table()
        if not table:
            return wanted
        return nearest_below(wanted[0], table), nearest_below(wanted[1], table)

    def write(self, wanted: Range) -> Range:
        """Limit the clock to what its own table has nearest below."""
        return self._files.write(*self.rounded(wanted))

    def put_back(self, found: LimitsFound) -> None:
        """Restore both files."""
        self._files.write(*self.limits_of(found))


class MemoryControl(FrequencyControl):
    """
    The memory clock of a Jetson (EMC), which debugfs fixes or leaves to the bandwidth manager.

    Only a fixed clock can be asked for: of a range its highest frequency. Debugfs belongs to
    root, so elsewhere than in a test this is for a node that an administrator runs so.
    """

    FOLDER = '/sys/kernel/debug/bpmp/debug/clk/emc'
    TABLE = '/sys/kernel/debug/bpmp/debug/emc/possible_rates'
    CAPS = (
        '/sys/kernel/nvpmodel_clk_cap/emc',
        '/sys/kernel/nvpmodel_emc_cap/emc_iso_cap',
    )

    def __init__(self, sysfs: Sysfs) -> None:
        self.name = 'emc'
        self._sysfs = sysfs
        folder = sysfs.path(self.FOLDER)
        self._rate, self._state = folder / 'rate', folder / 'state'
        self._lock = folder / 'mrq_rate_locked'

    def key(self) -> object:
        """Return the file of its rate."""
        return self._rate

    def table(self) -> tuple[float, ...]:
        """Return the rates that there are; some releases print kilohertz."""
        rates = self._sysfs.numbers(self._sysfs.path(self.TABLE))
        unit = KILOHERTZ if rates and rates[-1] < 1e8 else 1.0
        return tuple(rate * unit for rate in rates)

    def range(self) -> Range | None:
        """Return the fixed rate, or all rates up to the cap of the power mode."""
        rate, lock = self._sysfs.number(self._rate), self._sysfs.number(self._lock)
        table = self.table()
        if rate is None or lock is None or not table:
            return None
        return (rate, rate) if lock else self._unlocked(table)

    def _unlocked(self, table: Sequence[float]) -> Range:
        if not table:
            return math.nan, math.nan
        caps = (self._sysfs.number(self._sysfs.path(cap)) for cap in self.CAPS)
        return table[0], min([table[-1], *(cap for cap in caps if cap)])

    def current(self) -> float | None:
        """Return the rate."""
        return self._sysfs.number(self._rate)

    def governor(self) -> str:
        """Return that the bandwidth manager sets it, which has no name in sysfs."""
        return ''

    def found(self) -> LimitsFound | None:
        """Return the lock alone: unlocked, the rate is the bandwidth manager's again."""
        lock = self._sysfs.text(self._lock)
        if lock != '0' or self.range() is None:
            return None  # fixed by somebody else: not ours to change
        return LimitsFound(str(self._lock), str(self._lock), lock, lock)

    def found_for(self, limits: Range, before: LimitsFound) -> LimitsFound:
        """Return the lock that was found: what others fix now, they free again."""
        return before

    def limits_of(self, found: LimitsFound) -> Range:
        """Return all rates up to the cap of the power mode."""
        return self._unlocked(self.table())

    def denied(self) -> HardwareError | None:
        """Return what is wrong where debugfs refuses."""
        for path in (self._lock, self._rate):
            if not self._sysfs.writable(path):
                return HardwareError(
                    path,
                    'cannot be written (permission denied)',
                    "Debugfs belongs to root: leave parameter 'manage_memory' off",
                )
        return None

    def rounded(self, wanted: Range) -> Range:
        """Return the highest rate of the range, for both."""
        rate = nearest_below(wanted[1], self.table())
        return rate, rate

    def write(self, wanted: Range) -> Range:
        """Fix the rate at the highest of a range."""
        present = self.range()
        if present is None:
            raise HardwareError(self._rate, 'cannot be read', 'Mount debugfs')
        for path, value in (
            (self._lock, '1'),
            (self._rate, f'{self.rounded(wanted)[1]:.0f}'),
            (self._state, '1'),
        ):
            self._sysfs.write(path, value)
        return self.range() or present

    def put_back(self, found: LimitsFound) -> None:
        """Restore the lock."""
        self._sysfs.write(self._lock, found.minimum)


def cpufreq_control(sysfs: Sysfs, folder: Path) -> MinimumMaximumControl:
    """Return the control of one cpufreq policy: CPUs that share a clock."""
    files = FrequencyFiles(
        sysfs, folder / 'scaling_min_freq', folder / 'scaling_max_freq', KILOHERTZ
    )
    return MinimumMaximumControl(
        sysfs,
        folder.name,
        files,
        KILOHERTZ,
        table=folder / 'scaling_available_frequencies',
        current=folder / 'scaling_cur_freq',
        governor=folder / 'scaling_governor',
        processors=folder / PROCESSORS,
    )


def devfreq_control(sysfs: Sysfs, folder: Path) -> MinimumMaximumControl:
    """Return the control of one devfreq device, such as a GPU."""
    return MinimumMaximumControl(
        sysfs,
        folder.name,
        FrequencyFiles(sysfs, folder / 'min_freq', folder / 'max_freq', 1.0),
        1.0,
        table=folder / 'available_frequencies',
        current=folder / 'cur_freq',
        governor=folder / 'governor',
    )


def steps(minimum: float, maximum: float) -> tuple[float, ...]:
    """Return both ends and the multiples of 100 MHz between them."""
    first = math.floor(minimum / STEP_WITHOUT_TABLE) + 1
    last = math.ceil(maximum / STEP_WITHOUT_TABLE)
    between = (step * STEP_WITHOUT_TABLE for step in range(first, last))
    return tuple(sorted({minimum, maximum, *between}))


def merged(found: Range, written: Range, present: Range) -> Range:
    """
    Return what is to be restored after somebody else changed limits that we had written.

    What was changed is the new limit. The kernel keeps the minimum below the maximum, so one
    that was only pushed along by the other one's change keeps what was found, as far as it can.
    """
    low = found[0] if _same(present[0], written[0]) else present[0]
    high = found[1] if _same(present[1], written[1]) else present[1]
    if low == high and low != found[0] and high != found[1]:
        if high < written[0]:
            low = min(found[0], high)
        elif low > written[1]:
            high = max(found[1], low)
    return low, high


def made_of(present: Range, *written: Range | None) -> bool:
    """
    Return whether each limit is that of one of some ranges.

    Where two ranges were written, the kernel may show the minimum of one and the maximum of the
    other for a moment.
    """
    ranges = [each for each in written if each is not None]
    return all(any(_same(limit, r[i]) for r in ranges) for i, limit in enumerate(present))


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-6 * max(abs(one), abs(other))


def differs(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether two ranges differ by more than rounding."""
    return not all(_same(a, b) for a, b in zip(one, other))
