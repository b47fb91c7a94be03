# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Temperatures by type, and cooling devices that cost clock."""

import math
from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.thermal_zones import ThermalZones
from support.kernel import Kernel, xavier_nx


def test_zones_by_type(tmp_path: Path) -> None:
    temperatures = ThermalZones(xavier_nx(tmp_path)).read()
    assert temperatures['CPU-therm'] == 41.5
    assert math.isnan(temperatures['CV-therm'])  # off: -256


def test_a_zone_that_cannot_be_read_is_not_a_number(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)
    path = kernel.thermal_zone(0, 'CV', 0)
    zones = ThermalZones(kernel)
    path.unlink()  # reads as EAGAIN does: no number
    assert math.isnan(zones.read()['CV'])


def test_zones_of_one_type_keep_apart(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)
    for index in (0, 1, 10):
        kernel.thermal_zone(index, 'acpitz', 30000 + index * 1000)
    assert ThermalZones(kernel).read() == {'acpitz': 30.0, 'acpitz_1': 31.0, 'acpitz_10': 40.0}


def test_devices_instead_of_the_class(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)
    kernel.file('/sys/devices/virtual/thermal/thermal_zone0/type', 'tj')
    kernel.file('/sys/devices/virtual/thermal/thermal_zone0/temp', 50000)
    assert ThermalZones(kernel).read() == {'tj': 50.0}


@pytest.mark.parametrize(
    ('kind', 'slows'),
    [
        ('cpufreq-cpu0', True),
        ('thermal-cpufreq-1', True),
        ('devfreq-17000000.gpu', True),
        ('Processor', True),
        ('CPU-balanced', True),
        ('pwm-fan', False),
        ('intel_powerclamp', False),
    ],
)
def test_what_slows_clocks_down(tmp_path: Path, kind: str, slows: bool) -> None:
    kernel = Kernel(tmp_path)
    device = kernel.cooling_device(0, kind)
    zones = ThermalZones(kernel)
    assert zones.slowing() == ()
    kernel.cool(device, 2)
    assert zones.slowing() == ((f'{kind} (cooling_device0)',) if slows else ())
