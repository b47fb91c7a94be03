# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A board with a chip of Rockchip, such as RK3588: clusters, GPU, NPU and memory with own clocks.

RK3588 has three cpufreq policies: four Cortex-A55, and twice two Cortex-A76. Names of devfreq
devices and the format of `load`, percent and clock as `45@300000000Hz`, are those of the vendor's
kernel (Rockchip's 5.10 and 6.1); the load of the NPU is debugfs's `NPU load:  Core0: 12%,
Core1:  0%, Core2:  0%,` and root's. Kernels of kernel.org have the clocks of CPU and GPU only. No
engine of this package runs on the NPU; that of another package may.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
from pathlib import Path
import re

from dynamic_dnn_ros.platforms.frequency_control import devfreq_control
from dynamic_dnn_ros.platforms.kernel_platform import GPU, MEMORY, KernelDomain
from dynamic_dnn_ros.platforms.linux import LinuxPlatform, cpu_domains
from dynamic_dnn_ros.platforms.registration import Board, PlatformOptions
from dynamic_dnn_ros.platforms.sysfs import Sysfs

NPU = 'npu'
COMPATIBLE = '/proc/device-tree/compatible'
DEVICES = {GPU: '*.gpu*', NPU: '*.npu', MEMORY: 'dmc'}
"""Names of devfreq devices, by domain."""

NPU_LOAD = '/sys/kernel/debug/rknpu/load'

_LOAD = re.compile(r'(\d+)@\d+Hz')
_CORE = re.compile(r'Core\d+:\s*(\d+)%')
_CHIP = re.compile(r'rockchip,(rk\d+)')


class RockchipPlatform(LinuxPlatform):
    """Plain Linux with a domain for each cluster, and `gpu`, `npu`, `memory` where there are."""

    def __init__(
        self,
        sysfs_root: str | Path | Sysfs = '/',
        manage_cpu: bool = False,
        manage_gpu: bool = True,
        manage_memory: bool = False,
    ) -> None:
        """
        Look for clocks and sensors.

        :param manage_gpu: whether clocks of GPU and NPU may be set
        """
        sysfs = Sysfs.of(sysfs_root)
        self.id = board_id(sysfs)
        self._manage_memory = manage_memory
        self._devices: dict[str, Path] = {}
        super().__init__(sysfs, manage_cpu, manage_gpu)

    def _finder(
        self, sysfs: Sysfs, manage_cpu: bool, manage_gpu: bool
    ) -> Callable[[], Sequence[KernelDomain]]:
        def find() -> Sequence[KernelDomain]:
            domains = [*cpu_domains(sysfs, manage_cpu)]
            for name, pattern in DEVICES.items():
                managed = self._manage_memory if name == MEMORY else manage_gpu
                for folder in sysfs.glob(f'/sys/class/devfreq/{pattern}')[:1]:
                    self._devices[name] = folder
                    domains.append(KernelDomain(name, (devfreq_control(sysfs, folder),), managed))
            return domains

        return find

    def _total(self, domain: KernelDomain) -> float:
        folder = self._devices.get(domain.name)
        if folder is None:
            return super()._total(domain)
        load = _LOAD.match(self._sysfs.text(folder / 'load') or '')
        if load is not None:
            return min(1.0, int(load.group(1)) / 100.0)
        if domain.name == NPU:
            text = self._sysfs.text(self._sysfs.path(NPU_LOAD)) or ''
            cores = [int(percent) for percent in _CORE.findall(text)]
            return sum(cores) / len(cores) / 100.0 if cores else math.nan
        return math.nan


def board_id(sysfs: Sysfs) -> str:
    """Return the id of the platform by its chip, e.g. `rk3588`."""
    chip = _CHIP.search(sysfs.text(sysfs.path(COMPATIBLE)) or '')
    return chip.group(1) if chip else 'rockchip'


def is_this(sysfs: Sysfs) -> bool:
    """Return whether a tree is that of a board with a chip of Rockchip, by its device tree."""
    return _CHIP.search(sysfs.text(sysfs.path(COMPATIBLE)) or '') is not None


def _make(sysfs: Sysfs, options: PlatformOptions) -> RockchipPlatform:
    managed = options.manage_cpu, options.manage_gpu, options.manage_memory
    return RockchipPlatform(sysfs, *managed)


BOARD = Board(
    'rockchip',
    'a board with a chip of Rockchip',
    is_this,
    _make,
    'in a container, mount /proc/device-tree and /sys',
    'a file tree of an RK3588 after published listings; never a board',
)
