# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A plain Linux computer: load through psutil, clocks through cpufreq and devfreq."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
import re

from dynamic_dnn_ros.platforms.cpu_load import cpu_numbers
from dynamic_dnn_ros.platforms.frequency_control import cpufreq_control, devfreq_control
from dynamic_dnn_ros.platforms.kernel_platform import CPU, GPU, KernelDomain, KernelPlatform
from dynamic_dnn_ros.platforms.registration import Board, PlatformOptions
from dynamic_dnn_ros.platforms.sysfs import Sysfs

_GPU = re.compile(r'gpu|mali|panfrost|adreno|kgsl|gv11b|ga10b|gp10b', re.IGNORECASE)


class LinuxPlatform(KernelPlatform):
    """
    Load, memory, temperatures and RAPL rails of this computer, and its clocks where wanted.

    All cpufreq policies together are the one domain `cpu`, unless CPUs of different kinds have
    clocks of their own: see `cpu_domains`. A GPU with a devfreq device is the domain `gpu`.
    Without a table of frequencies the driver takes any, and steps of 100 MHz are offered.
    """

    id = 'linux'
    processors: tuple[str, ...] = (CPU,)

    def __init__(
        self,
        sysfs_root: str | Path | Sysfs = '/',
        manage_cpu: bool = False,
        manage_gpu: bool = True,
    ) -> None:
        """
        Look for clocks and sensors.

        :param sysfs_root: folder that holds `sys`; load and memory are always this computer's
        :param manage_cpu: whether CPU clocks may be set; only read otherwise
        :param manage_gpu: the same of a GPU's
        """
        sysfs = Sysfs.of(sysfs_root)
        super().__init__(sysfs, self._finder(sysfs, manage_cpu, manage_gpu))

    def _finder(
        self, sysfs: Sysfs, manage_cpu: bool, manage_gpu: bool
    ) -> Callable[[], Sequence[KernelDomain]]:
        """Return what finds the domains; boards that know more of theirs have another one."""

        def find() -> Sequence[KernelDomain]:
            return (*cpu_domains(sysfs, manage_cpu), *gpu_domains(sysfs, manage_gpu))

        return find


def gpu_domains(sysfs: Sysfs, managed: bool) -> tuple[KernelDomain, ...]:
    """Return the domain of the first GPU with a devfreq device; empty without one."""
    return tuple(
        KernelDomain(GPU, (devfreq_control(sysfs, folder),), managed)
        for folder in sysfs.glob('/sys/class/devfreq/*')
        if _GPU.search(folder.name)
    )[:1]


def cpu_domains(sysfs: Sysfs, managed: bool) -> tuple[KernelDomain, ...]:
    """
    Return the domains of the cpufreq policies.

    CPUs of one kind are the domain `cpu`. Where the kernel gives CPUs different capacities
    (`cpu_capacity`, Documentation/devicetree/bindings/cpu/cpu-capacity.txt: big.LITTLE), each
    cluster is a domain of its own, named after its first CPU: `cpu0`, `cpu4`. CPUs that have a
    clock each, as in PCs of two kinds of cores, are put together by their capacity.
    """
    folders = sysfs.glob('/sys/devices/system/cpu/cpufreq/policy*')
    clusters: dict[object, list[tuple[Path, tuple[int, ...]]]] = {}
    capacities = set()
    for folder in folders:
        related = sysfs.text(folder / 'related_cpus') or folder.name[len('policy') :]
        processors = cpu_numbers(related)
        first = processors[0] if processors else 0
        capacity = sysfs.number(sysfs.path(f'/sys/devices/system/cpu/cpu{first}/cpu_capacity'))
        capacities.add(capacity)
        cluster = folder.name if len(processors) > 1 else capacity
        clusters.setdefault(cluster, []).append((folder, processors))
    if len(capacities) < 2:
        controls = tuple(cpufreq_control(sysfs, folder) for folder in folders)
        return (KernelDomain(CPU, controls, managed, ()),)
    return tuple(
        KernelDomain(
            f'{CPU}{members[0][1][0]}',
            tuple(cpufreq_control(sysfs, folder) for folder, _ in members),
            managed,
            tuple(number for _, processors in members for number in processors),
        )
        for members in clusters.values()
    )


def _make(sysfs: Sysfs, options: PlatformOptions) -> LinuxPlatform:
    return LinuxPlatform(sysfs, options.manage_cpu, options.manage_gpu)


BOARD = Board(
    LinuxPlatform.id,
    'plain Linux',
    lambda sysfs: True,
    _make,
    '',
    'virtual machines, which show no clocks; clocks on file trees alone',
)
