# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A file tree in place of sysfs, and what the kernel does when its files are written."""

from __future__ import annotations

from bisect import bisect_left
import errno
from pathlib import Path

from dynamic_dnn_ros.platforms.contract import HardwareError

TABLE = (800000, 1000000, 1200000, 1600000, 2000000)
"""Frequencies of a made-up CPU, kHz."""


class CpufreqTree:
    """
    `sys/devices/system/cpu/cpufreq` below a folder.

    :param policies: number of policies with the same table
    :param table: kHz; empty: no table, as intel_pstate has it
    """

    def __init__(
        self,
        root: Path,
        policies: int = 2,
        table: tuple[int, ...] = TABLE,
        minimum: int = 800000,
        maximum: int = 2000000,
    ) -> None:
        self.root = root
        self.folders = []
        for index in range(policies):
            folder = root / f'sys/devices/system/cpu/cpufreq/policy{index * 2}'
            folder.mkdir(parents=True)
            self.folders.append(folder)
            if table:
                text = ' '.join(map(str, table)) + ' \n'
                (folder / 'scaling_available_frequencies').write_text(text)
            (folder / 'scaling_min_freq').write_text(f'{minimum}\n')
            (folder / 'scaling_max_freq').write_text(f'{maximum}\n')
            (folder / 'scaling_cur_freq').write_text(f'{maximum}\n')
            (folder / 'scaling_governor').write_text('schedutil\n')
        zone = root / 'sys/class/thermal/thermal_zone0'
        zone.mkdir(parents=True)
        (zone / 'type').write_text('x86_pkg_temp\n')
        (zone / 'temp').write_text('45500\n')

    def limits(self) -> list[tuple[int, int]]:
        """Return minimum and maximum of each policy, kHz."""
        return [
            (
                int((folder / 'scaling_min_freq').read_text() or -1),
                int((folder / 'scaling_max_freq').read_text() or -1),
            )
            for folder in self.folders
        ]


def kernel_write(self: object, path: Path, value: str) -> None:
    """Write as the kernel does: refuse minimum above maximum, round up to the table."""
    frequency = int(value)
    table = sorted(
        int(word) for word in (path.parent / 'scaling_available_frequencies').read_text().split()
    )
    minimum, maximum = path.parent / 'scaling_min_freq', path.parent / 'scaling_max_freq'
    low, high = int(minimum.read_text()), int(maximum.read_text())
    if path == minimum:
        low = frequency
    else:
        high = frequency
    if low > high:
        raise HardwareError(path, f'{value!r}: errno {errno.EINVAL}', 'Mind the order')
    path.write_text(f'{table[min(bisect_left(table, frequency), len(table) - 1)]}\n')
