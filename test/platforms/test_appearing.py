# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What appears after the start is found, and what is held meanwhile stays held."""

from __future__ import annotations

from pathlib import Path
import shutil

from dynamic_dnn_ros.platforms.contract import DomainRange, NoticeKind
from dynamic_dnn_ros.platforms.jetson import JetsonPlatform
from dynamic_dnn_ros.platforms.kernel_platform import LOOK_PERIOD
from support.kernel import ORIN_NX_CPU, ORIN_NX_GPU, Kernel, orin_nx, xavier_nx

GPU = 'sys/devices/platform/bus@0/17000000.gpu'


def without_gpu(root: Path) -> Kernel:
    kernel = orin_nx(root)
    shutil.rmtree(root / GPU)
    return kernel


def test_a_gpu_whose_driver_comes_late(tmp_path: Path) -> None:
    kernel = without_gpu(tmp_path)
    platform = JetsonPlatform(kernel)
    assert [notice.kind for notice in platform.read(0.0).notices] == [NoticeKind.SENSOR]
    kernel.devfreq(f'/{GPU}/devfreq/17000000.gpu', ORIN_NX_GPU)
    kernel.file(f'/{GPU}/load', 300)
    (tmp_path / GPU / 'devfreq/17000000.gpu/device').symlink_to('../..')
    assert platform.read(LOOK_PERIOD / 2).notices  # not looked for at each reading
    sample = platform.read(LOOK_PERIOD + 0.1)
    assert sample.notices == ()
    assert sample.domains[1].available == ORIN_NX_GPU
    assert sample.domains[1].utilisation_foreign == 0.3
    (granted,) = platform.apply(11.0, [DomainRange('gpu', 306e6, 408e6)])
    assert granted == DomainRange('gpu', 306e6, 408e6)
    platform.restore(12.0)
    assert kernel.requests()['17000000.gpu'] == (ORIN_NX_GPU[0], ORIN_NX_GPU[-1])


def test_a_change_of_the_power_mode_is_a_reason_to_look(tmp_path: Path) -> None:
    """Mode MAXN brings CPUs on line whose policy was not there before."""
    kernel = orin_nx(tmp_path)
    platform = JetsonPlatform(kernel, manage_cpu=True)
    platform.read(0.0)
    assert len(platform.limits_found()) == 3
    kernel.cpufreq(6, ORIN_NX_CPU, 729600)
    platform.read(1.0)
    assert len(platform.limits_found()) == 3
    kernel.power_mode(3)
    platform.read(2.0)
    assert len(platform.limits_found()) == 4


def test_looking_again_lets_nothing_go_that_is_set(tmp_path: Path) -> None:
    """A device that is away when it is looked for is restored when it is back."""
    kernel = xavier_nx(tmp_path, strict=False)
    platform = JetsonPlatform(kernel, manage_cpu=True)
    before, found = kernel.requests(), platform.limits_found()
    platform.apply(0.0, [DomainRange('cpu', 1.1904e9, 1.1904e9)])
    kernel.switch('policy2', online=False)
    folder = kernel.clocks['policy2'].folder
    away = folder.with_name('elsewhere')
    folder.rename(away)
    sample = platform.read(LOOK_PERIOD + 1.0)
    assert sample.domains[0].requested == DomainRange('cpu', 1.1904e9, 1.1904e9)
    away.rename(folder)
    kernel.switch('policy2', online=True)
    assert platform.limits_found() == found
    platform.restore(LOOK_PERIOD + 2.0)
    assert kernel.requests() == before


def test_zones_and_rails_that_come_late(tmp_path: Path) -> None:
    kernel = orin_nx(tmp_path)
    for folder in ('sys/class/thermal', 'sys/class/hwmon'):
        shutil.rmtree(tmp_path / folder)
    platform = JetsonPlatform(kernel)
    sample = platform.read(0.0)
    assert (sample.temperatures, sample.power) == ({}, {})
    kernel.thermal_zone(0, 'tj-thermal', 51000)
    kernel.ina3221('/sys/class/hwmon/hwmon1', [('VDD_IN', 5000, 1000)])
    sample = platform.read(LOOK_PERIOD + 1.0)
    assert (sample.temperatures, sample.power) == ({'tj-thermal': 51.0}, {'VDD_IN': 5.0})
    assert sample.total_power_rail == 'VDD_IN'
