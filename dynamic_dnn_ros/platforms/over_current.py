# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Over-current and under-voltage: how often the hardware slowed itself down, and what may be taken.

Where it is read, all of it from documents, none of it from a board at hand:

* `oc1_event_cnt` to `oc3_event_cnt` of the hwmon device `soctherm_oc` of Jetson Orin and Thor:
  how often clocks were cut since the start; `ocN_throt_en` tells whether they are at all (driver
  of NVIDIA's kernel modules for Jetson Linux 36; Jetson Linux Developer Guide, platform power and
  performance: OC1 under-voltage, OC2 average and OC3 instantaneous over-current).
* `currN_crit_alarm`, `currN_max_alarm`, and the limits themselves, `currN_crit`, `currN_max` in
  mA, of an INA3221; channel 4 is the sum (Documentation/hwmon/ina3221.rst).
* `power1_max_alarm` of an INA238 (Documentation/hwmon/ina238.rst).
* `in0_lcrit_alarm` of `rpi_volt`: the supply of a Raspberry Pi sags
  (Documentation/hwmon/raspberrypi-hwmon.rst).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math
from pathlib import Path

from dynamic_dnn_ros.platforms.contract import Notice, NoticeKind
from dynamic_dnn_ros.platforms.power_rails import TOTAL_RAILS
from dynamic_dnn_ros.platforms.sysfs import Sysfs

PERIOD = 1.0
"""Seconds between two readings: each file costs a message to a controller, up to a millisecond."""

STEP = 2.0
"""Seconds between two steps of the budget down: clocks and averages have to follow."""

LOWER = 0.05
"""Share by which a step lowers the budget below what the board takes."""

LEAST = 0.7
"""Share of what the board took at the first event below which less power is no remedy."""

QUIET = 10.0
"""Seconds without an event after which the budget is raised by a step."""

RAISE = 0.03
"""Share by which a step raises it."""

FORGOTTEN = 60.0
"""Seconds without an event after which a board that less power did not help is tried again."""

_EVENTS = {1: 'under-voltage', 2: 'average over-current', 3: 'instantaneous over-current'}
_SUM = 4  # the channel of an INA3221 that adds up the others


@dataclass(frozen=True)
class Counter:
    """Events since the start, in one file; `enable` tells whether clocks are cut for them."""

    name: str
    file: Path
    enable: Path


@dataclass(frozen=True)
class Alarm:
    """A file that is not 0 while a limit is exceeded."""

    name: str
    file: Path


@dataclass(frozen=True)
class CurrentLimit:
    """The current at which the hardware begins to slow down, mA, and the voltage, mV."""

    currents: tuple[Path, ...]
    voltage: Path


class CurrentBudget:
    """
    What a board may take after its hardware has slowed itself down for the current.

    From event to event less than the board takes; after a quiet time step by step more. Spikes
    may come however little is taken, from a supply or a carrier board that is too weak: then the
    budget is given up, since it only costs.
    """

    def __init__(self) -> None:
        """Begin without a limit."""
        self.budget = math.inf
        self.helpless = False
        self._first = math.nan
        self._stepped = -math.inf
        self._last = -math.inf

    @property
    def holds(self) -> bool:
        """Tell whether plans may take less, or would if it helped."""
        return self.helpless or self.budget < math.inf

    def observe(self, now: float, happened: bool, power: float) -> None:
        """
        Take a reading.

        :param happened: whether the hardware slowed down since the last one
        :param power: that the board takes, W; NaN: not known, then nothing can be bounded
        """
        if happened:
            self._last = now
            self._lower(now, power)
        elif self.helpless:
            if now - self._last >= FORGOTTEN:
                self.helpless, self._first = False, math.nan
        elif self.budget < math.inf and now - max(self._last, self._stepped) >= QUIET:
            self._stepped = now
            self.budget *= 1 + RAISE
            if self.budget > self._first * (1 + LOWER):
                self.budget, self._first = math.inf, math.nan

    def _lower(self, now: float, power: float) -> None:
        if self.helpless or not power > 0 or now - self._stepped < STEP:
            return
        self._stepped = now
        if math.isnan(self._first):
            self._first = power
        self.budget = min(self.budget, power) * (1 - LOWER)
        if self.budget < LEAST * self._first:
            self.budget, self.helpless = math.inf, True


class OverCurrent:
    """Counters and alarms of one tree, and the budget that follows from them."""

    def __init__(self, sysfs: Sysfs) -> None:
        """Look for them."""
        self._sysfs = sysfs
        self._budget = CurrentBudget()
        self._counts: dict[str, float] = {}
        self._read = self._heard = -math.inf
        self._names: tuple[str, ...] = ()
        self._limit = math.inf
        self.look()

    def look(self) -> None:
        """Look again, for files that were not there before and for limits of a power mode."""
        self._counters = tuple(_counters(self._sysfs))
        self._alarms = tuple(_alarms(self._sysfs))
        limits = (self._watts(limit) for limit in _limits(self._sysfs))
        self._limit = min((watts for watts in limits if watts > 0), default=math.inf)

    def _watts(self, limit: CurrentLimit) -> float:
        currents = [value for path in limit.currents if (value := self._sysfs.number(path))]
        voltage = self._sysfs.number(limit.voltage) or 0.0
        # A voltage that is measured wavers, a limit should not.
        return round(min(currents, default=0.0) * voltage / 1e6, 1)

    @property
    def budget(self) -> float:
        """Return what the whole board may take, W; infinite where nothing says so."""
        return min(self._limit, self._budget.budget)

    def observe(self, now: float, power: float) -> None:
        """
        Read counters and alarms, once a second however often this is called.

        :param power: that the whole board takes now, W; NaN where not known
        """
        if not self._counters and not self._alarms:
            return
        if 0 <= now - self._read < PERIOD:
            return
        self._read = now
        names = [*self._counted(), *(a.name for a in self._alarms if self._sysfs.number(a.file))]
        self._budget.observe(now, bool(names), power)
        if names:
            self._heard = now
            self._names = tuple(dict.fromkeys((*self._names, *names)))
        elif not self._budget.holds and now - self._heard >= QUIET:
            self._names = ()

    def _counted(self) -> Iterator[str]:
        for counter in self._counters:
            count = self._sysfs.number(counter.file)
            before = self._counts.get(counter.name)
            if count is None:
                continue
            self._counts[counter.name] = count
            # What was counted before this node started is history. One that is not acted on, too.
            cuts = self._sysfs.number(counter.enable) != 0
            if before is not None and count > before and cuts:
                yield counter.name

    def notices(self) -> tuple[Notice, ...]:
        """Return what the operator should know; the text stays while it holds."""
        if not self._names:
            return ()
        names = ', '.join(self._names)
        if self._budget.helpless:
            text = (
                f'the hardware goes on slowing itself down ({names}), though less power was '
                'taken. The power supply, its cable or the carrier board is too weak for peaks: '
                'use a stronger one, or a power mode with lower clocks'
            )
        elif self._budget.holds:
            text = (
                f'the hardware slowed itself down ({names}), so plans may take less until it is '
                'quiet. Use a stronger power supply, or a power mode with a smaller budget'
            )
        else:
            text = (
                f'the hardware slowed itself down ({names}). What the board takes is not known, '
                'so the manager cannot take less: use a stronger power supply, or a power mode '
                'with a smaller budget'
            )
        return (Notice(NoticeKind.CURRENT, text),)


def _folders(sysfs: Sysfs) -> Iterator[tuple[str, Path]]:
    seen = set()
    for pattern in ('/sys/class/hwmon/hwmon*', '/sys/bus/i2c/devices/*/hwmon/hwmon*'):
        for folder in sysfs.glob(pattern):
            if folder.name not in seen:  # class and bus show the same sensor
                seen.add(folder.name)
                yield sysfs.text(folder / 'name') or '', folder


def _counters(sysfs: Sysfs) -> Iterator[Counter]:
    for chip, folder in _folders(sysfs):
        for number, name in _EVENTS.items() if chip == 'soctherm_oc' else ():
            file = folder / f'oc{number}_event_cnt'
            if file.exists():
                yield Counter(f'OC{number} {name}', file, folder / f'oc{number}_throt_en')


def _alarms(sysfs: Sysfs) -> Iterator[Alarm]:
    for chip, folder in _folders(sysfs):
        if chip == 'rpi_volt':
            yield Alarm('under-voltage', folder / 'in0_lcrit_alarm')
        elif chip == 'ina238':
            yield Alarm('power of VIN', folder / 'power1_max_alarm')
        elif chip == 'ina3221':
            for channel in range(1, _SUM + 1):
                label = sysfs.text(folder / f'in{channel}_label')
                name = 'sum of the rails' if channel == _SUM else label
                for kind in ('crit', 'max'):
                    file = folder / f'curr{channel}_{kind}_alarm'
                    if name and file.exists():
                        yield Alarm(f'current of {name}', file)


def _limits(sysfs: Sysfs) -> Iterator[CurrentLimit]:
    for chip, folder in _folders(sysfs):
        for channel in range(1, _SUM) if chip == 'ina3221' else ():
            if sysfs.text(folder / f'in{channel}_label') in TOTAL_RAILS:
                currents = (folder / f'curr{channel}_crit', folder / f'curr{channel}_max')
                yield CurrentLimit(currents, folder / f'in{channel}_input')
