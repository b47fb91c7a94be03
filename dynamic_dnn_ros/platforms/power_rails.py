# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Electrical power by rail: INA3221 and INA238 sensors of a board, RAPL counters of a processor.

Files and units are those of the kernel's documentation, Documentation/hwmon/ina3221.rst and
ina238.rst. Where a board has no rail that includes all others, the total is a sum of rails.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
import math
from pathlib import Path
import re

from dynamic_dnn_ros.platforms.sysfs import Sysfs

TOTAL_RAILS = ('VDD_IN', 'POM_5V_IN', 'VIN')
"""
Rails of Jetsons that include all others, by their label. `VIN` is the INA238 of the developer kit
of Jetson AGX Thor: it counts the carrier board too.
"""

MODULE = 'MODULE'
"""Name of the power of a module that is a sum of rails."""

MODULE_SUMS = (
    ('VDD_GPU_SOC', 'VDD_CPU_CV', 'VIN_SYS_5V0'),
    ('VDD_GPU', 'VDD_CPU_SOC_MSS', 'VIN_SYS_5V0'),
    ('GPU', 'CPU', 'SOC', 'CV', 'VDDRQ', 'SYS5V'),
)
"""
The rails of modules that have no total, which are disjoint: Jetson AGX Orin, AGX Thor, AGX Xavier.

A module of AGX Orin has two inputs (data sheet: SYS_VIN_HV, SYS_VIN_MV); its first two rails are
regulated down from the first, and VIN_SYS_5V0 is the second. The memory's VDDQ_VDD2_1V8AO comes
out of VIN_SYS_5V0, so it is not added again.
"""

_NOT_CONNECTED = 'NC'
_CHANNELS = (1, 2, 3)  # the inputs above add up shunt voltages

LONGEST_WINDOW = 5.0
"""
Seconds between two readings of a RAPL counter beyond which they give no power: at more than
100 W a counter of 262 kJ goes round within an hour, and a power of long ago is none of now.
"""


class Rail(abc.ABC):
    """One rail that power is read of."""

    name: str

    @abc.abstractmethod
    def read(self, now: float) -> float:
        """Return the power, W; NaN where it cannot be read."""


class _VoltageAndCurrent(Rail):
    """A channel of the hwmon drivers ina3221 (JetPack 5 and later) and ina238: mV and mA."""

    def __init__(self, sysfs: Sysfs, name: str, voltage: Path, current: Path) -> None:
        self.name = name
        self._sysfs, self._voltage, self._current = sysfs, voltage, current

    def read(self, now: float) -> float:
        voltage, current = self._sysfs.number(self._voltage), self._sysfs.number(self._current)
        if voltage is None or current is None:
            return math.nan
        return voltage * current / 1e6


class _Power(Rail):
    """An INA3221 channel of the old iio driver (JetPack 4): mW."""

    def __init__(self, sysfs: Sysfs, name: str, power: Path) -> None:
        self.name = name
        self._sysfs, self._power = sysfs, power

    def read(self, now: float) -> float:
        power = self._sysfs.number(self._power)
        return math.nan if power is None else power / 1e3


class _EnergyCounter(Rail):
    """A RAPL zone: the mean power since the last reading, from a counter that goes round."""

    def __init__(self, sysfs: Sysfs, name: str, folder: Path) -> None:
        self.name = name
        self._sysfs, self._energy = sysfs, folder / 'energy_uj'
        self._span = (sysfs.number(folder / 'max_energy_range_uj') or 0.0) + 1.0
        self._last: tuple[float, float] | None = None
        self._power = math.nan

    def read(self, now: float) -> float:
        energy = self._sysfs.number(self._energy)
        last, self._last = self._last, None if energy is None else (now, energy)
        if last is None or energy is None:
            return math.nan
        elapsed = now - last[0]
        if elapsed <= 0.0:  # asked twice at one moment: the same answer, from the same window
            self._last = last
            return self._power
        used = energy - last[1]
        if used < 0.0:
            used += self._span
        self._power = used / 1e6 / elapsed if elapsed <= LONGEST_WINDOW and used >= 0 else math.nan
        return self._power


class PowerRails:
    """All rails of one tree, and the one that includes all others."""

    def __init__(self, sysfs: Sysfs) -> None:
        """Look for rails by name and label; numbers of devices mean nothing."""
        self._sysfs = sysfs
        self._rails: dict[str, Rail] = {}
        self.look()

    def look(self) -> None:
        """Look for rails that were not there before; those that were keep their counts."""
        for rail in (*_hwmon(self._sysfs), *_iio(self._sysfs), *_rapl(self._sysfs)):
            self._rails.setdefault(rail.name, rail)  # class and bus show the same sensor
        self._parts = () if total_rail(tuple(self._rails)) else module_parts(self._rails)
        self.total = MODULE if self._parts else total_rail(tuple(self._rails))

    def read(self, now: float) -> dict[str, float]:
        """
        Return the power of each rail, W, and of the total; NaN where it cannot be read now.

        :param now: monotonic, s; counters give the mean since the last reading
        """
        power = {name: rail.read(now) for name, rail in self._rails.items()}
        if self._parts:
            power[MODULE] = sum(power[name] for name in self._parts)
        return power


def module_parts(names: Mapping[str, object]) -> tuple[str, ...]:
    """Return the rails whose sum is the power of the module; empty where they are not known."""
    return next((parts for parts in MODULE_SUMS if all(name in names for name in parts)), ())


def total_rail(names: Sequence[str]) -> str:
    """Return the rail that includes all others; empty where none does."""
    for name in (*TOTAL_RAILS, 'psys'):
        if name in names:
            return name
    packages = [name for name in names if name.startswith('package-')]
    inside = {'core', 'uncore'}
    if len(packages) == 1 and all(n in packages or n in inside for n in names):
        return packages[0]
    return ''


def _hwmon(sysfs: Sysfs) -> Iterator[Rail]:
    for pattern in ('/sys/class/hwmon/hwmon*', '/sys/bus/i2c/devices/*/hwmon/hwmon*'):
        for folder in sysfs.glob(pattern):
            chip = sysfs.text(folder / 'name')
            if chip == 'ina238':  # in0 is the voltage of the shunt, in1 that of the bus
                label = sysfs.text(folder / 'label') or sysfs.text(folder / 'in1_label')
                files = folder / 'in1_input', folder / 'curr1_input'
                yield _VoltageAndCurrent(sysfs, label or 'VIN', *files)
            if chip != 'ina3221':
                continue
            for channel in _CHANNELS:
                label = sysfs.text(folder / f'in{channel}_label')
                if label and label != _NOT_CONNECTED:
                    yield _VoltageAndCurrent(
                        sysfs,
                        label,
                        folder / f'in{channel}_input',
                        folder / f'curr{channel}_input',
                    )


def _iio(sysfs: Sysfs) -> Iterator[Rail]:
    for folder in sysfs.glob('/sys/bus/i2c/devices/*/iio:device*'):
        for channel in range(3):
            label = sysfs.text(folder / f'rail_name_{channel}')
            if label and label != _NOT_CONNECTED:
                yield _Power(sysfs, label, folder / f'in_power{channel}_input')


def _rapl(sysfs: Sysfs) -> Iterator[Rail]:
    folders = sysfs.glob('/sys/class/powercap/intel-rapl:*')
    packages = {}
    for folder in folders:
        zone = re.fullmatch(r'intel-rapl:(\d+)', folder.name)
        if zone:
            packages[zone.group(1)] = sysfs.text(folder / 'name') or folder.name
    several = len(packages) > 1
    for folder in folders:
        name = sysfs.text(folder / 'name')
        # Counters are root's unless a udev rule says otherwise; what cannot be read is no rail.
        if not name or sysfs.number(folder / 'energy_uj') is None:
            continue
        parts = folder.name.split(':')
        if several and len(parts) > 2:
            name = f'{packages.get(parts[1], parts[1])}/{name}'
        yield _EnergyCounter(sysfs, name, folder)
