# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A plain Linux computer: load and memory through psutil, CPU clocks through cpufreq."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math
from pathlib import Path

import psutil

from dynamic_dnn_ros.platforms.activity import ActivityTracker
from dynamic_dnn_ros.platforms.contract import (
    DomainLimits,
    DomainRange,
    DomainState,
    HardwareError,
    LimitsFound,
    Platform,
    PlatformKind,
    PlatformSample,
)
from dynamic_dnn_ros.platforms.sysfs import FrequencyFiles, Sysfs, nearest_below

CPU = 'cpu'

KILOHERTZ = 1e3
"""The unit of cpufreq's files, Hz."""

STEP_WITHOUT_TABLE = 100e6
"""Hz between two frequencies that are offered where the driver has no table (intel_pstate)."""


@dataclass(frozen=True)
class _Policy:
    """One cpufreq policy: CPUs that share a clock. `table` in Hz, ascending, may be empty."""

    folder: Path
    files: FrequencyFiles
    table: tuple[float, ...]


class LinuxPlatform(Platform):
    """
    CPU load, memory and temperatures of this computer, and its CPU clocks where that is wanted.

    All policies together are the one domain `cpu`. Its table is that of the policy with the
    highest frequency; other policies get the nearest frequency of their own below it. Without a
    `scaling_available_frequencies` the driver takes any frequency, and steps of 100 MHz are
    offered. Only what lies within the limits found is offered, so an operator's floor and cap
    hold. The governor is left alone.
    """

    id = 'linux'
    kind = PlatformKind.MEASURED
    processors = (CPU,)

    def __init__(self, sysfs_root: str | Path = '/', manage_cpu: bool = False) -> None:
        """
        Look for policies and thermal zones.

        :param sysfs_root: folder that holds `sys`; load and memory are always this computer's
        :param manage_cpu: whether CPU clocks may be set; only read otherwise
        """
        self._sysfs = Sysfs(sysfs_root)
        self._manage_cpu = manage_cpu
        self._policies = [
            _Policy(
                folder,
                FrequencyFiles(
                    self._sysfs,
                    folder / 'scaling_min_freq',
                    folder / 'scaling_max_freq',
                    KILOHERTZ,
                ),
                tuple(
                    f * KILOHERTZ
                    for f in self._sysfs.numbers(folder / 'scaling_available_frequencies')
                ),
            )
            for folder in self._sysfs.glob('/sys/devices/system/cpu/cpufreq/policy*')
        ]
        self._zones = self._find_zones()
        self._activity = ActivityTracker()
        self._cores = psutil.cpu_count() or 1
        self._setting: DomainRange | None = None
        self._found: tuple[LimitsFound, ...] = ()
        self._limits: tuple[DomainLimits, ...] = ()
        self._limits = self.limits()
        psutil.cpu_percent()  # the first call only starts the measurement

    def limits(self) -> tuple[DomainLimits, ...]:
        """Return what may be set: the table within the limits found before a setting."""
        if self._setting is not None:
            return self._limits
        ranges = [(p, r) for p in self._policies if (r := p.files.read()) is not None]
        if not ranges:
            return (DomainLimits(CPU, (), math.nan, math.nan),)
        leading, (_, maximum) = max(ranges, key=lambda pair: pair[1][1])
        minimum = min(low for _, (low, _) in ranges)
        available: tuple[float, ...] = ()
        if self._manage_cpu:
            table = leading.table or _steps(minimum, maximum)
            available = tuple(f for f in table if minimum <= f <= maximum)
        return (DomainLimits(CPU, available, minimum, maximum),)

    def observe(
        self,
        now: float,
        application: str,
        instance: str,
        processor: str,
        busy: Mapping[str, float],
    ) -> None:
        """Take note of the CPU seconds, summed over cores, that an application used."""
        self._activity.observe(now, application, instance, processor, busy)

    def limits_found(self) -> tuple[LimitsFound, ...]:
        """Return what the policies' limits hold, or held before the setting in force."""
        if self._setting is not None:
            return self._found
        if not self._manage_cpu:
            return ()
        return tuple(f for p in self._policies if (f := p.files.found()) is not None)

    def apply(self, now: float, setting: Sequence[DomainRange]) -> tuple[DomainRange, ...]:
        """Put a setting in force on every policy; see `Platform`."""
        wanted = next((row for row in setting if row.name == CPU), None)
        if wanted is None:
            self.restore(now)
            return ()
        if self._setting is None:
            self._limits, self._found = self.limits(), self.limits_found()
        self._setting = wanted
        grants = []
        try:
            for policy in self._policies:
                if policy.files.read() is not None:  # a policy vanishes with its last CPU
                    grants.append(self._write(policy, wanted))
        except HardwareError:
            self.restore(now)
            raise
        if not grants:
            self.restore(now)
            raise HardwareError(
                'cpufreq', 'no policy has limits any more', 'Restart the platform node'
            )
        # The table is the leading policy's, so the highest read-back is what it granted.
        minimum, maximum = max(grants, key=lambda pair: pair[1])
        return (DomainRange(CPU, minimum, maximum),)

    @staticmethod
    def _write(policy: _Policy, wanted: DomainRange) -> tuple[float, float]:
        if not policy.table:
            return policy.files.write(wanted.minimum, wanted.maximum)
        return policy.files.write(
            nearest_below(wanted.minimum, policy.table),
            nearest_below(wanted.maximum, policy.table),
        )

    def restore(self, now: float) -> None:
        """Put back the limits found; see `Platform`."""
        found, self._found, self._setting = self._found, (), None
        errors = []
        for limits in found:
            try:
                self._files(limits).write(
                    float(limits.minimum) * KILOHERTZ, float(limits.maximum) * KILOHERTZ
                )
            except HardwareError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _files(self, limits: LimitsFound) -> FrequencyFiles:
        return FrequencyFiles(
            self._sysfs, Path(limits.minimum_file), Path(limits.maximum_file), KILOHERTZ
        )

    def read(self, now: float) -> PlatformSample:
        """Return load, clocks, temperatures and memory."""
        total = psutil.cpu_percent() / 100.0
        own = min(1.0, self._activity.total(now, CPU) / self._cores)
        clocks = [self._sysfs.number(p.folder / 'scaling_cur_freq') for p in self._policies]
        governors = {self._sysfs.text(p.folder / 'scaling_governor') for p in self._policies}
        (limits,) = self.limits()
        memory = psutil.virtual_memory()
        return PlatformSample(
            domains=(
                DomainState(
                    name=CPU,
                    available=limits.available,
                    limit_minimum=limits.minimum,
                    limit_maximum=limits.maximum,
                    requested=self._setting,
                    granted=max((c * KILOHERTZ for c in clocks if c), default=math.nan),
                    utilisation_own=own,
                    utilisation_foreign=min(1.0, max(0.0, total - own)),
                    governor='/'.join(sorted(governor for governor in governors if governor)),
                ),
            ),
            temperatures={
                name: math.nan if (t := self._sysfs.number(path)) is None else t / 1000.0
                for name, path in self._zones.items()
            },
            memory={'total': float(memory.total), 'available': float(memory.available)},
        )

    def _find_zones(self) -> dict[str, Path]:
        zones: dict[str, Path] = {}
        for folder in self._sysfs.glob('/sys/class/thermal/thermal_zone*'):
            name = self._sysfs.text(folder / 'type') or folder.name
            if name in zones:  # several zones may bear one name, e.g. acpitz
                name = f'{name}_{folder.name[len("thermal_zone") :]}'
            zones[name] = folder / 'temp'
        return zones


def _steps(minimum: float, maximum: float) -> tuple[float, ...]:
    """Return both ends and the multiples of 100 MHz between them."""
    first = math.floor(minimum / STEP_WITHOUT_TABLE) + 1
    last = math.ceil(maximum / STEP_WITHOUT_TABLE)
    between = (step * STEP_WITHOUT_TABLE for step in range(first, last))
    return tuple(sorted({minimum, maximum, *between}))
