# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A Raspberry Pi 5 by its files, and by a program that says what its firmware would."""

from __future__ import annotations

from collections.abc import Iterator
import math
from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms import raspberry_pi
from dynamic_dnn_ros.platforms.contract import DomainRange, NoticeKind
from dynamic_dnn_ros.platforms.raspberry_pi import RaspberryPiPlatform, board_id, rails_of
from support.boards import PI_5_CPU, PMIC, raspberry_pi_5
from support.kernel import Kernel


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return raspberry_pi_5(tmp_path)


@pytest.fixture
def platform(kernel: Kernel) -> Iterator[RaspberryPiPlatform]:
    platform = RaspberryPiPlatform(kernel, manage_cpu=True)
    yield platform
    platform.close()


def test_clocks_sensors_and_rails(kernel: Kernel, platform: RaspberryPiPlatform) -> None:
    assert (platform.id, platform.processors) == ('raspberry_pi_5', ('cpu',))
    (cpu,) = platform.limits()
    assert cpu.available == tuple(1e3 * clock for clock in PI_5_CPU)
    sample = platform.read(0.0)
    assert sample.temperatures == {'cpu-thermal': 60.6}
    assert sample.total_power_rail == 'PMIC'
    assert sample.power['VDD_CORE'] == pytest.approx(6.22421 * 0.861733)
    assert sample.power['PMIC'] == pytest.approx(6.576, abs=0.001)
    assert 'EXT5V' not in sample.power  # its current is not known
    assert sample.notices == ()  # a fan that turns slows nothing down
    platform.apply(1.0, [DomainRange('cpu', 1.5e9, 1.8e9)])
    assert kernel.requests()['policy0'] == (1500000, 1800000)
    platform.restore(2.0)
    assert kernel.requests()['policy0'] == (1500000, 2400000)


@pytest.mark.parametrize(
    ('text', 'rails'),
    [
        ('VDD_CORE_A current(7)=2.0A\nVDD_CORE_V volt(15)=0.5V\n', {'VDD_CORE': 1.0}),
        ('VDD_CORE_A current(7)=2.0A\n', {}),
        ('VDD_CORE_A current(7)=2.0V\nVDD_CORE_V volt(15)=0.5V\n', {}),
        ('VDD_CORE_A current(7)=nanA\nVDD_CORE_V volt(15)=0.5V\n', {}),
        ('error=1 error_msg="Command not registered"\n', {}),
        ('', {}),
    ],
)
def test_what_the_firmware_says(text: str, rails: dict[str, float]) -> None:
    assert rails_of(text) == rails


def test_only_the_pi_5_has_a_power_controller(tmp_path: Path, kernel: Kernel) -> None:
    (tmp_path / 'pmic').write_text('error=1 error_msg="Command not registered"\n')
    platform = RaspberryPiPlatform(kernel)
    sample = platform.read(0.0)
    platform.close()
    assert (sample.power, sample.total_power_rail) == ({}, '')
    (notice,) = sample.notices
    assert notice.kind is NoticeKind.SENSOR and 'knows no power controller' in notice.text


@pytest.mark.parametrize('kind', ['absent', 'refused'])
def test_a_firmware_that_cannot_be_asked(tmp_path: Path, kernel: Kernel, kind: str) -> None:
    program = tmp_path / 'usr/bin/vcgencmd'
    if kind == 'absent':
        program.unlink()
    else:
        program.write_text('#!/bin/sh\nexit 255\n')
    platform = RaspberryPiPlatform(kernel)
    (notice,) = platform.read(0.0).notices
    platform.close()
    assert ('raspi-utils' if kind == 'absent' else 'group video') in notice.text


def test_a_firmware_that_falls_silent(
    platform: RaspberryPiPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old figures are none of now."""
    monkeypatch.setattr(raspberry_pi, 'STALE', -1.0)
    power = platform.read(0.0).power
    assert power and all(math.isnan(value) for value in power.values())


@pytest.mark.parametrize(
    ('model', 'identifier'),
    [
        ('Raspberry Pi 5 Model B Rev 1.0', 'raspberry_pi_5'),
        ('Raspberry Pi Compute Module 5 Rev 1.0', 'raspberry_pi_5'),
        ('Raspberry Pi 4 Model B Rev 1.5', 'raspberry_pi_4'),
        ('Raspberry Pi Zero 2 W Rev 1.0', 'raspberry_pi'),
    ],
)
def test_id_by_model(kernel: Kernel, model: str, identifier: str) -> None:
    kernel.file('/proc/device-tree/model', f'{model}\0')
    assert board_id(kernel) == identifier


def test_all_rails_of_the_listing_are_paired() -> None:
    assert set(rails_of(PMIC)) == {'3V7_WL_SW', '3V3_SYS', '1V8_SYS', 'DDR_VDD2', 'VDD_CORE'}
