# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Power by rail, from sensors by label and from counters that go round."""

import math
from pathlib import Path
import shutil

import pytest

from dynamic_dnn_ros.platforms.power_rails import LONGEST_WINDOW, PowerRails, total_rail
from support.boards import agx_orin, agx_thor
from support.kernel import Kernel, laptop, orin_nx, xavier_nx


@pytest.mark.parametrize(
    ('make', 'expected'),
    [
        (xavier_nx, {'VDD_IN': 6.048, 'VDD_CPU_GPU_CV': 1.512, 'VDD_SOC': 1.26}),
        (orin_nx, {'VDD_IN': 4.1712, 'VDD_CPU_GPU_CV': 0.566272, 'VDD_SOC': 1.375232}),
    ],
)
def test_rails_of_a_jetson_by_label(tmp_path: Path, make, expected) -> None:
    rails = PowerRails(make(tmp_path))
    assert rails.read(0.0) == pytest.approx(expected)
    assert rails.total == 'VDD_IN'


def test_channels_that_are_not_connected_are_no_rails(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)
    kernel.ina3221(
        '/sys/class/hwmon/hwmon4', [('NC', 1, 1), ('VDD_GPU_SOC', 5000, 1000), ('NC', 1, 1)]
    )
    kernel.ina3221('/sys/class/hwmon/hwmon5', [('VDD_CPU_CV', 5000, 500)])
    rails = PowerRails(kernel)
    assert rails.read(0.0) == {'VDD_GPU_SOC': 5.0, 'VDD_CPU_CV': 2.5}
    assert rails.total == ''


def test_the_total_of_a_module_without_one_is_a_sum(tmp_path: Path) -> None:
    """Of AGX Orin without the memory, which is in VIN_SYS_5V0; one part that fails, no sum."""
    kernel = agx_orin(tmp_path)
    rails = PowerRails(kernel)
    assert rails.total == 'MODULE'
    power = rails.read(0.0)
    parts = power['VDD_GPU_SOC'], power['VDD_CPU_CV'], power['VIN_SYS_5V0']
    assert power['MODULE'] == pytest.approx(sum(parts))
    assert 'VDDQ_VDD2_1V8AO' in power
    (tmp_path / 'sys/class/hwmon/hwmon3/curr2_input').unlink()
    assert math.isnan(rails.read(1.0)['MODULE'])


def test_thor_is_measured_at_its_input_else_summed(tmp_path: Path) -> None:
    kernel = agx_thor(tmp_path)
    assert PowerRails(kernel).total == 'VIN'
    shutil.rmtree(tmp_path / 'sys/class/hwmon/hwmon6')  # another carrier board
    rails = PowerRails(kernel)
    assert rails.read(0.0)[rails.total] == pytest.approx(5.51 + 5.89 + 6.50808)


def test_rails_that_appear_are_found_and_counters_go_on(tmp_path: Path) -> None:
    kernel = laptop(tmp_path)
    rails = PowerRails(kernel)
    rails.read(0.0)
    kernel.ina3221('/sys/class/hwmon/hwmon7', [('VDD_IN', 5000, 1000)])
    rails.look()
    counter(kernel, 1000 + 2_000_000)
    power = rails.read(1.0)
    assert (power['VDD_IN'], power['package-0']) == pytest.approx((5.0, 2.0))
    assert rails.total == 'VDD_IN'


def test_rails_of_the_old_driver(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)
    folder = '/sys/bus/i2c/devices/7-0040/iio:device0'
    for channel, (name, milliwatts) in enumerate([('VDD_IN', 4012), ('NC', 0), ('VDD_SOC', 811)]):
        kernel.file(f'{folder}/rail_name_{channel}', name)
        kernel.file(f'{folder}/in_power{channel}_input', milliwatts)
    rails = PowerRails(kernel)
    assert rails.read(0.0) == {'VDD_IN': 4.012, 'VDD_SOC': 0.811}
    assert rails.total == 'VDD_IN'


def test_a_sensor_that_fails_is_not_a_number(tmp_path: Path) -> None:
    kernel = xavier_nx(tmp_path)
    rails = PowerRails(kernel)
    (tmp_path / 'sys/bus/i2c/devices/7-0040/hwmon/hwmon3/curr1_input').unlink()
    power = rails.read(0.0)
    assert math.isnan(power['VDD_IN'])
    assert power['VDD_SOC'] == pytest.approx(1.26)


def test_no_sensor_no_rail(tmp_path: Path) -> None:
    rails = PowerRails(Kernel(tmp_path))
    assert (rails.read(0.0), rails.total) == ({}, '')


def counter(kernel: Kernel, microjoules: int, zone: str = '0') -> None:
    kernel.file(f'/sys/class/powercap/intel-rapl:{zone}/energy_uj', microjoules)


def test_counters_give_the_mean_since_the_last_reading(tmp_path: Path) -> None:
    kernel = laptop(tmp_path)
    rails = PowerRails(kernel)
    assert rails.total == 'package-0'
    assert math.isnan(rails.read(0.0)['package-0'])
    counter(kernel, 1000 + 3_000_000)
    assert rails.read(0.5)['package-0'] == pytest.approx(6.0)
    # Asked again at the same moment, it is the same.
    assert rails.read(0.5)['package-0'] == pytest.approx(6.0)
    assert rails.read(1.5)['package-0'] == 0.0


def test_counter_goes_round(tmp_path: Path) -> None:
    kernel = laptop(tmp_path)
    rails = PowerRails(kernel)
    counter(kernel, 262143328850 - 1_000_000)
    rails.read(0.0)
    counter(kernel, 999_999)
    assert rails.read(1.0)['package-0'] == pytest.approx(2.0)


def test_a_long_window_or_a_clock_that_jumps_gives_no_power(tmp_path: Path) -> None:
    kernel = laptop(tmp_path)
    rails = PowerRails(kernel)
    rails.read(0.0)
    counter(kernel, 5_000_000)
    assert math.isnan(rails.read(LONGEST_WINDOW + 1.0)['package-0'])
    counter(kernel, 6_000_000)
    assert math.isnan(rails.read(1.0)['package-0'])
    counter(kernel, 9_000_000)
    assert rails.read(LONGEST_WINDOW + 2.0)['package-0'] > 0.0


def test_counters_that_only_root_may_read_are_no_rails(tmp_path: Path) -> None:
    kernel = laptop(tmp_path)
    for zone in ('0', '0:0', '0:1'):
        (tmp_path / f'sys/class/powercap/intel-rapl:{zone}/energy_uj').unlink()
    assert PowerRails(kernel).read(0.0) == {}


def test_two_packages(tmp_path: Path) -> None:
    kernel = laptop(tmp_path)
    for zone, name in (('1', 'package-1'), ('1:0', 'core')):
        kernel.file(f'/sys/class/powercap/intel-rapl:{zone}/name', name)
        counter(kernel, 0, zone)
    rails = PowerRails(kernel)
    assert {'package-0', 'package-1', 'package-0/core', 'package-1/core'} <= set(rails.read(0.0))
    assert rails.total == ''


@pytest.mark.parametrize(
    ('names', 'total'),
    [
        (['POM_5V_IN', 'POM_5V_GPU'], 'POM_5V_IN'),
        (['package-0', 'psys', 'dram'], 'psys'),
        (['package-0', 'core'], 'package-0'),
        (['package-0', 'dram'], ''),
        ([], ''),
    ],
)
def test_total_rail(names: list[str], total: str) -> None:
    assert total_rail(names) == total
