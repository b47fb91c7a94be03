# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A plain Linux computer: load through psutil, clocks through cpufreq and devfreq."""

from __future__ import annotations

from pathlib import Path
import re

from dynamic_dnn_ros.platforms.frequency_control import cpufreq_control, devfreq_control
from dynamic_dnn_ros.platforms.kernel_platform import CPU, GPU, KernelDomain, KernelPlatform
from dynamic_dnn_ros.platforms.sysfs import Sysfs

_GPU = re.compile(r'gpu|mali|panfrost|adreno|kgsl|gv11b|ga10b|gp10b', re.IGNORECASE)


class LinuxPlatform(KernelPlatform):
    """
    Load, memory, temperatures and RAPL rails of this computer, and its clocks where wanted.

    All cpufreq policies together are the one domain `cpu`; a GPU with a devfreq device is the
    domain `gpu`. Without a table of frequencies the driver takes any, and steps of 100 MHz are
    offered.
    """

    id = 'linux'
    processors = (CPU,)

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
        domains = [cpu_domain(sysfs, manage_cpu)]
        devices = [
            devfreq_control(sysfs, folder)
            for folder in sysfs.glob('/sys/class/devfreq/*')
            if _GPU.search(folder.name)
        ]
        if devices:
            domains.append(KernelDomain(GPU, (devices[0],), manage_gpu))
        super().__init__(sysfs, domains)


def cpu_domain(sysfs: Sysfs, managed: bool) -> KernelDomain:
    """Return the domain of all cpufreq policies; it has no control where there is no cpufreq."""
    folders = sysfs.glob('/sys/devices/system/cpu/cpufreq/policy*')
    controls = tuple(cpufreq_control(sysfs, folder) for folder in folders)
    return KernelDomain(CPU, controls, managed)
