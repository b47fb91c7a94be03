# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The power mode of a Jetson, as nvpmodel keeps it; read only."""

from __future__ import annotations

import math
import re

from dynamic_dnn_ros.platforms.sysfs import Sysfs

STATUS = '/var/lib/nvpmodel/status'
CONFIGURATION = '/etc/nvpmodel.conf'

_STATUS = re.compile(r'pmode:\s*(\d+)')
_BUDGET = re.compile(r'(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)W(?![A-Za-z0-9])')
_MODEL = re.compile(r'<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>')


class PowerMode:
    """Which power mode is in force."""

    def __init__(self, sysfs: Sysfs) -> None:
        self._sysfs = sysfs

    def read(self) -> str:
        """Return the mode as `2 (15W_6CORE)`, its number alone without a name; empty: none."""
        status = _STATUS.search(self._sysfs.text(self._sysfs.path(STATUS)) or '')
        if status is None:
            return ''
        identifier = int(status.group(1))
        name = self.names().get(identifier)
        return f'{identifier} ({name})' if name else str(identifier)

    def names(self) -> dict[int, str]:
        """Return the names of the modes that this board has, by their number."""
        text = self._sysfs.text(self._sysfs.path(CONFIGURATION)) or ''
        return {int(identifier): name for identifier, name in _MODEL.findall(text)}


def budget_of(mode: str) -> float:
    """
    Return what a mode allows the module by its name, W; infinite without one, as for MAXN.

    NVIDIA names a mode after its budget (Jetson Linux Developer Guide, supported modes and power
    efficiency): 15W_6CORE, MODE_30W_ALL.
    """
    found = _BUDGET.search(mode)
    return float(found.group(1)) if found else math.inf
