# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Temperatures by the type of their zone, and whether the kernel slows clocks down for them."""

from __future__ import annotations

import math
from pathlib import Path

from dynamic_dnn_ros.platforms.sysfs import Sysfs

_SLOWING = ('cpufreq', 'devfreq', 'processor', 'throttle', 'balanced')
"""Parts of the types of cooling devices that cost clock; a fan does not."""

OFFLINE = -200.0
"""Degrees below which a reading means that the zone is off, e.g. -256 on a Jetson."""


class ThermalZones:
    """The thermal zones and cooling devices of one tree."""

    def __init__(self, sysfs: Sysfs) -> None:
        self._sysfs = sysfs
        self._zones: dict[str, Path] = {}
        self._cooling: dict[str, Path] = {}
        self.look()

    def look(self) -> None:
        """Look for them; where class thermal is not there, for the devices themselves."""
        sysfs = self._sysfs
        folders = sysfs.glob('/sys/class/thermal/thermal_zone*') or sysfs.glob(
            '/sys/devices/virtual/thermal/thermal_zone*'
        )
        zones: dict[str, Path] = {}
        for folder in folders:
            name = sysfs.text(folder / 'type') or folder.name
            if name in zones:  # several zones may bear one name, e.g. acpitz
                name = f'{name}_{folder.name[len("thermal_zone") :]}'
            zones[name] = folder / 'temp'
        cooling: dict[str, Path] = {}
        for folder in sysfs.glob('/sys/class/thermal/cooling_device*'):
            kind = sysfs.text(folder / 'type') or ''
            if any(part in kind.lower() for part in _SLOWING):
                cooling[f'{kind} ({folder.name})'] = folder / 'cur_state'
        self._zones, self._cooling = zones, cooling

    def read(self) -> dict[str, float]:
        """Return degrees Celsius by zone; NaN for one that is off (EAGAIN) or cannot be read."""
        temperatures = {}
        for name, path in self._zones.items():
            value = self._sysfs.number(path)
            celsius = math.nan if value is None else value / 1000.0
            temperatures[name] = celsius if celsius > OFFLINE else math.nan
        return temperatures

    def slowing(self) -> tuple[str, ...]:
        """Return the cooling devices that hold clocks down now."""
        return tuple(
            name for name, path in self._cooling.items() if (self._sysfs.number(path) or 0.0) > 0.0
        )
