# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A Jetson by its files, and by jetson-stats where files say nothing."""

import math
from pathlib import Path
import shutil

import pytest

from dynamic_dnn_ros.platforms.contract import HardwareError, NoticeKind
from dynamic_dnn_ros.platforms.frequency_control import MemoryControl
from dynamic_dnn_ros.platforms.jetson import JetsonPlatform, board_id, completed, is_jetson
from dynamic_dnn_ros.platforms.jetson_stats import Statistics
from support.boards import AGX_ORIN_GPU, THOR_EMC, THOR_GPU, agx_orin, agx_thor
from support.kernel import ORIN_NX_GPU, XAVIER_NX_GPU, Kernel, laptop, orin_nx, xavier_nx


def test_xavier_nx(tmp_path: Path) -> None:
    platform = JetsonPlatform(xavier_nx(tmp_path), manage_cpu=True, manage_memory=True)
    assert (platform.id, platform.processors) == ('xavier_nx', ('cpu', 'gpu'))
    cpu, gpu, memory = platform.limits()
    assert cpu.available == (1.1904e9, 1.2672e9, 1.344e9, 1.4208e9)  # of power mode 2
    assert gpu.available == XAVIER_NX_GPU
    assert memory.available[-1] == 1.6e9
    platform.observe(0.0, '/a', 'i', 'gpu', {'gpu': 0.0})
    platform.observe(1.0, '/a', 'i', 'gpu', {'gpu': 0.1})
    sample = platform.read(1.0)
    state = sample.domains[1]
    assert (state.utilisation_own, state.utilisation_foreign) == pytest.approx((0.1, 0.15))
    assert state.governor == 'nvhost_podgov'
    assert sample.total_power_rail == 'VDD_IN'
    assert sample.domains[2].granted == 1.866e9


def test_orin_nx(tmp_path: Path) -> None:
    platform = JetsonPlatform(orin_nx(tmp_path))
    assert platform.id == 'orin_nx'
    cpu, gpu = platform.limits()  # debugfs is closed: no memory
    assert cpu.available == ()
    assert gpu.available == ORIN_NX_GPU
    assert platform.read(0.0).domains[1].utilisation_foreign == pytest.approx(0.1)


@pytest.mark.parametrize(
    'folder',
    [
        '/sys/class/devfreq/17000000.ga10b',
        '/sys/class/devfreq/gpu-gpc-0',
        '/sys/devices/17000000.gv11b/devfreq/17000000.gv11b',
        '/sys/devices/platform/17000000.gpu/devfreq/17000000.gpu',
        '/sys/devices/platform/bus@0/17000000.gpu/devfreq/17000000.gpu',
        '/sys/devices/gpu.0/devfreq/57000000.gpu',
    ],
)
def test_the_gpu_is_found_under_all_its_names(tmp_path: Path, folder: str) -> None:
    kernel = Kernel(tmp_path)
    kernel.devfreq('/sys/class/devfreq/15340000.vic', (1, 2))  # no GPU
    kernel.devfreq(folder, ORIN_NX_GPU)
    assert JetsonPlatform(kernel).limits()[1].available == ORIN_NX_GPU


def test_a_domain_that_is_missing(tmp_path: Path) -> None:
    """Without GPU, rails, zones and power mode: what is left works, the rest is not known."""
    kernel = xavier_nx(tmp_path)
    for folder in ('sys/class/devfreq', 'sys/bus', 'sys/class/thermal', 'var', 'sys/kernel'):
        shutil.rmtree(tmp_path / folder)
    platform = JetsonPlatform(kernel, manage_cpu=True)
    cpu, gpu = platform.limits()
    assert cpu.available and not gpu.available
    sample = platform.read(0.0)
    assert math.isnan(sample.domains[1].granted)
    assert (sample.power, sample.total_power_rail, sample.temperatures) == ({}, '', {})
    (notice,) = sample.notices
    assert notice.kind is NoticeKind.SENSOR and 'lsmod' in notice.text
    assert len(platform.limits_found()) == 3


@pytest.mark.parametrize(
    ('model', 'expected'),
    [
        ('NVIDIA Jetson Xavier NX Developer Kit', 'xavier_nx'),
        ('NVIDIA Orin NX Developer Kit', 'orin_nx'),
        ('NVIDIA Jetson Orin Nano Developer Kit Super', 'orin_nano'),
        ('NVIDIA Jetson AGX Orin', 'agx_orin'),
        ('Jetson-AGX', 'agx_xavier'),
        ('NVIDIA Something New', 'jetson'),
    ],
)
def test_id_by_model(tmp_path: Path, model: str, expected: str) -> None:
    kernel = Kernel(tmp_path)
    kernel.file('/proc/device-tree/model', f'{model}\0')
    assert board_id(kernel) == expected


def test_what_is_a_jetson(tmp_path: Path) -> None:
    assert is_jetson(xavier_nx(tmp_path / 'xavier'))
    assert not is_jetson(laptop(tmp_path / 'laptop'))
    container = Kernel(tmp_path / 'container')
    container.file('/etc/nv_tegra_release', '# R35')
    assert is_jetson(container)


STATISTICS = Statistics(
    gpu_clock=306e6,
    gpu_load=0.5,
    memory_clock=2133e6,
    memory_load=0.25,
    power={'VDD_IN': 9.0, 'VDD_CPU_GPU_CV': 2.0},
    total_power_rail='VDD_IN',
    temperatures={'tj': 50.0, 'CPU-therm': 1.0},
)


def test_files_come_first_and_jetson_stats_fills_in(tmp_path: Path) -> None:
    kernel = orin_nx(tmp_path)
    (tmp_path / 'sys/devices/platform/bus@0/17000000.gpu/load').unlink()
    sample = completed(JetsonPlatform(kernel).read(0.0), STATISTICS)
    assert sample.power['VDD_IN'] == pytest.approx(4.1712)
    assert sample.temperatures['CPU-therm'] == 41.5
    assert sample.temperatures['tj'] == 50.0
    _, gpu, memory = sample.domains
    assert (gpu.granted, gpu.utilisation_foreign) == (918e6, 0.5)
    assert (memory.name, memory.granted, memory.utilisation_foreign) == ('memory', 2133e6, 0.25)
    assert memory.available == ()


def test_without_sensors_of_its_own(tmp_path: Path) -> None:
    kernel = orin_nx(tmp_path)
    shutil.rmtree(tmp_path / 'sys/class/hwmon')
    sample = completed(JetsonPlatform(kernel).read(0.0), STATISTICS)
    assert sample.power == STATISTICS.power
    assert sample.total_power_rail == 'VDD_IN'


class Silent:
    def read(self) -> Statistics:
        raise HardwareError('jetson-stats', 'the service is not active', 'Start it')

    def close(self) -> None:
        self.closed = True


def test_a_silent_service_is_said_and_costs_nothing(tmp_path: Path) -> None:
    silent = Silent()
    platform = JetsonPlatform(orin_nx(tmp_path), statistics=silent)  # type: ignore[arg-type]
    sample = platform.read(0.0)
    assert sample.power['VDD_IN'] == pytest.approx(4.1712)
    assert [notice.kind for notice in sample.notices] == [NoticeKind.SENSOR]
    platform.close()
    assert silent.closed


def test_memory_is_where_debugfs_tells_it(tmp_path: Path) -> None:
    assert MemoryControl(xavier_nx(tmp_path)).range() is not None


def test_agx_orin_with_jetpack_7(tmp_path: Path) -> None:
    """Nothing is read that this release no longer has, and its power is a sum."""
    platform = JetsonPlatform(agx_orin(tmp_path), manage_cpu=True)
    assert platform.id == 'agx_orin'
    cpu, gpu = platform.limits()
    assert (cpu.minimum, gpu.available) == (729.6e6, AGX_ORIN_GPU)
    sample = platform.read(0.0)
    assert sample.domains[1].utilisation_foreign == pytest.approx(0.42)
    assert sample.total_power_rail == 'MODULE'
    assert sample.power['MODULE'] == pytest.approx(6.08 + 1.9 + 4.968 * 0.953)
    assert sample.notices == ()


class Card:
    """A GPU that NVML tells of; the real one is in test_nvml.py."""

    def utilisation(self) -> float:
        return 0.75


def test_the_load_of_thor_is_of_nvml(tmp_path: Path) -> None:
    asked = []

    def open_cards() -> list[Card]:
        asked.append(1)
        return [Card()]

    platform = JetsonPlatform(agx_thor(tmp_path), manage_memory=True, open_cards=open_cards)  # type: ignore[arg-type]
    assert platform.id == 'agx_thor'
    _, gpu, memory = platform.limits()
    assert (gpu.available, memory.available) == (THOR_GPU, THOR_EMC)
    for now in (0.0, 1.0):
        sample = platform.read(now)
    assert sample.domains[1].utilisation_foreign == 0.75
    assert asked == [1]
    assert sample.total_power_rail == 'VIN'
    assert sample.power['VIN'] == pytest.approx(23.04)


def test_thor_without_nvml(tmp_path: Path) -> None:
    platform = JetsonPlatform(agx_thor(tmp_path), open_cards=lambda: ())
    assert math.isnan(platform.read(0.0).domains[1].utilisation_foreign)


def test_a_file_comes_before_nvml(tmp_path: Path) -> None:
    """NVML of Orin says that it does not support this; it is not asked."""

    def never() -> list[Card]:
        raise AssertionError('NVML was asked')

    platform = JetsonPlatform(agx_orin(tmp_path), open_cards=never)  # type: ignore[arg-type]
    assert platform.read(0.0).domains[1].utilisation_foreign == pytest.approx(0.42)
