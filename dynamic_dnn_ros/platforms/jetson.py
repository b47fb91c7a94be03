# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An NVIDIA Jetson: CPU, GPU and memory clocks, power rails and power mode, all by files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import math
from pathlib import Path

from dynamic_dnn_ros.platforms.contract import (
    DomainState,
    HardwareError,
    Notice,
    NoticeKind,
    PlatformSample,
)
from dynamic_dnn_ros.platforms.frequency_control import MemoryControl, devfreq_control
from dynamic_dnn_ros.platforms.jetson_stats import JetsonStats, Statistics
from dynamic_dnn_ros.platforms.kernel_platform import (
    CPU,
    GPU,
    MEMORY,
    KernelDomain,
    KernelPlatform,
)
from dynamic_dnn_ros.platforms.linux import cpu_domain
from dynamic_dnn_ros.platforms.sysfs import Sysfs

COMPATIBLE = '/proc/device-tree/compatible'
RELEASE = '/etc/nv_tegra_release'
MODEL = '/proc/device-tree/model'

GPU_PATTERNS = (
    '/sys/class/devfreq/17000000.gpu',
    '/sys/class/devfreq/17000000.ga10b',
    '/sys/class/devfreq/17000000.gv11b',
    '/sys/class/devfreq/gpu-gpc-0',
    '/sys/class/devfreq/*.gp10b',
    '/sys/class/devfreq/*.gpu',
    '/sys/devices/17000000.gv11b/devfreq/*',
    '/sys/devices/17000000.ga10b/devfreq/*',
    '/sys/devices/platform/17000000.gpu/devfreq/*',
    '/sys/devices/platform/*/17000000.gpu/devfreq/*',
    '/sys/devices/gpu.0/devfreq/*',
)
"""Where a GPU's devfreq folder is looked for; its name changes with board and release."""

_IDS = (
    ('xavier nx', 'xavier_nx'),
    ('orin nx', 'orin_nx'),
    ('orin nano', 'orin_nano'),
    ('agx orin', 'agx_orin'),
    ('agx xavier', 'agx_xavier'),
    ('jetson-agx', 'agx_xavier'),
    ('thor', 'agx_thor'),
)
_PER_MILLE = 1000.0


def is_jetson(sysfs: Sysfs) -> bool:
    """Return whether a tree is that of a Jetson, by its device tree or its release file."""
    compatible = sysfs.text(sysfs.path(COMPATIBLE)) or ''
    return 'nvidia,tegra' in compatible or sysfs.text(sysfs.path(RELEASE)) is not None


def board_id(sysfs: Sysfs) -> str:
    """Return the id of the platform by the model in the device tree, e.g. `xavier_nx`."""
    model = (sysfs.text(sysfs.path(MODEL)) or '').strip('\0').lower()
    return next((name for part, name in _IDS if part in model), 'jetson')


class JetsonPlatform(KernelPlatform):
    """
    A Jetson through its files; jetson-stats fills in what the files do not tell this user.

    The memory clock is a domain where debugfs can be read, or where jetson-stats tells it.
    """

    processors = (CPU, GPU)

    def __init__(
        self,
        sysfs_root: str | Path | Sysfs = '/',
        manage_cpu: bool = False,
        manage_gpu: bool = True,
        manage_memory: bool = False,
        statistics: JetsonStats | None = None,
    ) -> None:
        """
        Look for clocks and sensors.

        :param sysfs_root: folder that holds `sys`; load and memory are always this computer's
        :param manage_cpu: whether CPU clocks may be set; only read otherwise
        :param manage_gpu: the same of the GPU's
        :param manage_memory: the same of the memory's
        :param statistics: jetson-stats, None: without
        """
        sysfs = Sysfs.of(sysfs_root)
        self.id = board_id(sysfs)
        self._statistics = statistics
        domains = [cpu_domain(sysfs, manage_cpu)]
        gpu = self._find_gpu(sysfs)
        controls = () if gpu is None else (devfreq_control(sysfs, gpu),)
        domains.append(KernelDomain(GPU, controls, manage_gpu))
        memory = MemoryControl(sysfs)
        if memory.range() is not None:
            domains.append(KernelDomain(MEMORY, (memory,), manage_memory))
        self._loads = [] if gpu is None else [gpu / 'device' / 'load']
        self._loads.append(sysfs.path('/sys/devices/gpu.0/load'))
        super().__init__(sysfs, domains)

    @staticmethod
    def _find_gpu(sysfs: Sysfs) -> Path | None:
        for pattern in GPU_PATTERNS:
            for folder in sysfs.glob(pattern):
                if sysfs.number(folder / 'max_freq') is not None:
                    return folder
        return None

    def read(self, now: float) -> PlatformSample:
        """Return the state; what files do not tell is taken from jetson-stats."""
        sample = super().read(now)
        if self._statistics is None:
            return sample
        try:
            return completed(sample, self._statistics.read())
        except HardwareError as error:
            notice = Notice(NoticeKind.SENSOR, str(error))
            return replace(sample, notices=(*sample.notices, notice))

    def close(self) -> None:
        """End the connection to jetson-stats."""
        if self._statistics is not None:
            self._statistics.close()

    def _total(self, name: str) -> float:
        if name != GPU:
            return super()._total(name)
        for path in self._loads:
            load = self._sysfs.number(path)
            if load is not None:
                return load / _PER_MILLE
        return math.nan


def completed(sample: PlatformSample, statistics: Statistics) -> PlatformSample:
    """Return a sample in which jetson-stats fills in what files did not tell."""
    domains = [_completed_domain(state, statistics) for state in sample.domains]
    if not any(state.name == MEMORY for state in domains) and statistics.memory_clock > 0:
        nan = math.nan
        memory = DomainState(MEMORY, (), nan, nan, None, nan, nan, nan, '')
        domains.append(_completed_domain(memory, statistics))
    power = _merged(sample.power, statistics.power)
    return replace(
        sample,
        domains=tuple(domains),
        power=power,
        total_power_rail=sample.total_power_rail or statistics.total_power_rail,
        temperatures=_merged(sample.temperatures, statistics.temperatures),
    )


def _completed_domain(state: DomainState, statistics: Statistics) -> DomainState:
    load, clock = {
        GPU: (statistics.gpu_load, statistics.gpu_clock),
        MEMORY: (statistics.memory_load, statistics.memory_clock),
    }.get(state.name, (math.nan, math.nan))
    if math.isnan(state.utilisation_foreign) and not math.isnan(load):
        own = state.utilisation_own if math.isfinite(state.utilisation_own) else 0.0
        state = replace(state, utilisation_foreign=min(1.0, max(0.0, load - own)))
    if math.isnan(state.granted):
        state = replace(state, granted=clock)
    return state


def _merged(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    known = {name for name, value in ours.items() if math.isfinite(value)}
    return {**ours, **{name: v for name, v in theirs.items() if name not in known}}
