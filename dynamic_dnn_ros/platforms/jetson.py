# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
An NVIDIA Jetson: CPU, GPU and memory clocks, power rails and power mode, all by files.

Names and formats are those of the Jetson Linux Developer Guide and of listings that users of
jetson-stats have published: pull request 867 (Orin with JetPack 7.2: the files of JetPack 6 but
for `enable_3d_scaling`, which nothing here reads), issue 885 and pull request 886 (AGX Thor with
JetPack 7.2: `gpu-gpc-0`, which has no `load`, so that is NVML's).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from dynamic_dnn_ros.platforms.frequency_control import (
    FrequencyControl,
    MemoryControl,
    devfreq_control,
)
from dynamic_dnn_ros.platforms.jetson_stats import JetsonStats, Statistics, is_installed
from dynamic_dnn_ros.platforms.kernel_platform import (
    CPU,
    GPU,
    MEMORY,
    KernelDomain,
    KernelPlatform,
)
from dynamic_dnn_ros.platforms.linux import cpu_domains
from dynamic_dnn_ros.platforms.nvml import Card, cards_of
from dynamic_dnn_ros.platforms.registration import Board, PlatformOptions
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

BANDWIDTH_MANAGER = '/sys/class/devfreq/bwmgr'
"""The memory clock of AGX Thor, a devfreq device."""

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

NO_GPU = Notice(
    NoticeKind.SENSOR,
    'this Jetson shows no GPU: there is no devfreq device of one, so its clock is neither read '
    'nor set. Look whether its driver is loaded (`lsmod | grep nv`) and what `dmesg` says of it; '
    'in a container, mount /sys',
)
"""What is said of a Jetson whose GPU is not found; it is looked for again from time to time."""


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
        open_cards: Callable[[], Sequence[Card]] = cards_of,
    ) -> None:
        """
        Look for clocks and sensors.

        :param sysfs_root: folder that holds `sys`; load and memory are always this computer's
        :param manage_cpu: whether CPU clocks may be set; only read otherwise
        :param manage_gpu: the same of the GPU's
        :param manage_memory: the same of the memory's
        :param statistics: jetson-stats, None: without
        :param open_cards: asks NVML for GPUs, where no file tells how busy the GPU is
        """
        sysfs = Sysfs.of(sysfs_root)
        self.id = board_id(sysfs)
        self._statistics = statistics
        self._loads: tuple[Path, ...] = ()
        self._open_cards = open_cards
        self._cards: Sequence[Card] | None = None
        super().__init__(
            sysfs, lambda: self._look_for(sysfs, manage_cpu, manage_gpu, manage_memory)
        )

    def _look_for(
        self, sysfs: Sysfs, manage_cpu: bool, manage_gpu: bool, manage_memory: bool
    ) -> Sequence[KernelDomain]:
        gpu = self._find_gpu(sysfs)
        controls = () if gpu is None else (devfreq_control(sysfs, gpu),)
        domains = [*cpu_domains(sysfs, manage_cpu), KernelDomain(GPU, controls, manage_gpu)]
        memory: FrequencyControl = MemoryControl(sysfs)
        if memory.range() is None:
            memory = devfreq_control(sysfs, sysfs.path(BANDWIDTH_MANAGER))
        if memory.range() is not None:
            domains.append(KernelDomain(MEMORY, (memory,), manage_memory))
        beside = () if gpu is None else (gpu / 'device' / 'load',)
        self._loads = (*beside, sysfs.path('/sys/devices/gpu.0/load'))
        return domains

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

    def _more_notices(self) -> tuple[Notice, ...]:
        missing = () if self._has_gpu() else (NO_GPU,)
        return (*super()._more_notices(), *missing)

    def _has_gpu(self) -> bool:
        return any(domain.name == GPU and domain.controls for domain in self._domains)

    def _total(self, domain: KernelDomain) -> float:
        if domain.name != GPU:
            return super()._total(domain)
        for path in self._loads:
            load = self._sysfs.number(path)
            if load is not None:
                return load / _PER_MILLE
        if self._cards is None:
            # NVML is asked only where no file tells: it is another library, and on Orin it
            # answers that it does not support this.
            self._cards = self._open_cards() if self._has_gpu() else ()
        return self._cards[0].utilisation() if self._cards else math.nan


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


def _make(sysfs: Sysfs, options: PlatformOptions) -> JetsonPlatform:
    statistics = JetsonStats() if options.jetson_stats and is_installed() else None
    managed = options.manage_cpu, options.manage_gpu, options.manage_memory
    return JetsonPlatform(sysfs, *managed, statistics)


BOARD = Board(
    'jetson',
    'a Jetson',
    is_jetson,
    _make,
    'in a container, mount /proc/device-tree and /sys',
    'file trees of Xavier NX, Orin NX, AGX Orin (JetPack 7.2) and AGX Thor after published '
    'listings; never a board',
)
