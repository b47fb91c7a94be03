# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
NVIDIA cards, through the real `nvidia-ml-py` and the real guard process.

Only the driver's library below them is a stand-in (`support/nvml.py`): no card was at hand.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
import signal
import sys
import time

import pytest

from dynamic_dnn_ros.platforms import guard_process
from dynamic_dnn_ros.platforms.checks import check_platform
from dynamic_dnn_ros.platforms.contract import (
    DomainRange,
    HardwareError,
    LimitsFound,
    NoticeKind,
    PlatformError,
)
from dynamic_dnn_ros.platforms.guard import Guard
from dynamic_dnn_ros.platforms.kernel_platform import REFUSED_FOR, SLOW_READINGS
from dynamic_dnn_ros.platforms.nvidia_pc import DRIVER, NvidiaPcPlatform
from dynamic_dnn_ros.platforms.nvml import cards_of, open_cards
from dynamic_dnn_ros.platforms.registry import PlatformOptions, make_platform
from support.kernel import Kernel, laptop
from support.nvml import UUID, Driver


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(tmp_path / 'card', monkeypatch)


@pytest.fixture
def computer(tmp_path: Path, driver: Driver) -> Kernel:
    kernel = laptop(tmp_path / 'root')
    kernel.file(DRIVER, 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54')
    return kernel


@pytest.fixture
def platform(computer: Kernel) -> NvidiaPcPlatform:
    return NvidiaPcPlatform(computer)


GPU = [DomainRange('gpu', 600e6, 1200e6)]


def test_a_card_is_read(driver: Driver) -> None:
    (card,) = open_cards()
    assert (card.uuid, card.name) == (UUID, 'NVIDIA Stand-in')
    assert (card.utilisation(), card.power(), card.temperature()) == (0.4, 71.5, 63.0)
    assert (card.clock(), card.memory_clock()) == (1.35e9, 7.001e9)
    assert (card.table()[0], card.table()[-1], len(card.table())) == (300e6, 2100e6, 13)


def test_what_a_card_does_not_have_is_not_a_number(driver: Driver) -> None:
    driver.say(utilisation=None, power=None, temperature=2**32 - 1, clock=None)
    (card,) = open_cards()
    for value in (card.utilisation(), card.power(), card.temperature(), card.clock()):
        assert math.isnan(value)
    assert card.is_there()  # it does not have them, which is no loss


def test_the_platform_is_found_and_keeps_the_contract(computer: Kernel, driver: Driver) -> None:
    platform = make_platform('auto', 0.0, PlatformOptions(str(computer.root)))
    assert (platform.id, platform.processors) == ('nvidia_pc', ('cpu', 'gpu'))
    check_platform(platform)
    assert driver.locked() == ()
    check_platform(NvidiaPcPlatform(computer, manage_gpu=False))


def test_load_power_and_temperature(computer: Kernel, platform: NvidiaPcPlatform) -> None:
    platform.read(0.0)
    computer.file('/sys/class/powercap/intel-rapl:0/energy_uj', 1000 + 20_000_000)
    platform.observe(0.0, '/a', 'i', 'gpu', {'gpu': 0.0})
    platform.observe(1.0, '/a', 'i', 'gpu', {'gpu': 0.1})
    sample = platform.read(1.0)
    gpu = sample.domains[1]
    assert (gpu.utilisation_own, gpu.utilisation_foreign) == pytest.approx((0.1, 0.3))
    assert gpu.granted == 1.35e9
    assert sample.power['gpu'] == 71.5
    assert sample.total_power_rail == 'CPU_AND_GPU'
    assert sample.power['CPU_AND_GPU'] == pytest.approx(91.5)
    assert sample.temperatures['gpu'] == 63.0


def test_locks_and_unlocks(platform: NvidiaPcPlatform, driver: Driver) -> None:
    assert platform.apply(0.0, GPU) == tuple(GPU)
    assert driver.locked() == (600, 1200)
    platform.apply(1.0, [])
    assert driver.locked() == ()
    platform.apply(2.0, GPU)
    platform.restore(3.0)
    assert driver.locked() == ()


def test_a_user_who_may_not(platform: NvidiaPcPlatform, driver: Driver) -> None:
    driver.say(refuse=4)
    with pytest.raises(HardwareError, match="Only root may.*'manage_gpu'"):
        platform.apply(0.0, GPU)
    sample = platform.read(1.0)
    assert sample.domains[1].available == ()
    assert sample.domains[1].utilisation_foreign == 0.4  # it is read all the same
    assert [notice.kind for notice in sample.notices] == [NoticeKind.REFUSED]
    driver.say(refuse=None)
    later = 2.0 + REFUSED_FOR
    assert platform.read(later).domains[1].available
    platform.apply(later, GPU)
    assert driver.locked() == (600, 1200)


def test_a_card_without_locked_clocks(platform: NvidiaPcPlatform, driver: Driver) -> None:
    driver.say(refuse=3)
    with pytest.raises(HardwareError, match='before the Volta'):
        platform.apply(0.0, GPU)


def test_a_card_that_falls_off_the_bus(platform: NvidiaPcPlatform, driver: Driver) -> None:
    """While its clock is locked: it is said, nothing fails, and it is unlocked when it is back."""
    platform.apply(0.0, GPU)
    driver.say(error=15)
    sample = platform.read(1.0)
    gpu = sample.domains[1]
    assert math.isnan(gpu.granted) and math.isnan(gpu.utilisation_foreign)
    assert math.isnan(sample.power['gpu']) and math.isnan(sample.temperatures['gpu'])
    assert gpu.available == ()
    (notice,) = sample.notices
    assert notice.kind is NoticeKind.SENSOR and 'Xid 79' in notice.text
    with pytest.raises(HardwareError, match='GPU is lost'):
        platform.restore(2.0)
    driver.say(error=None)
    platform.restore(3.0)
    assert driver.locked() == ()
    assert platform.read(4.0).notices == ()


def test_why_it_runs_slower_is_said(platform: NvidiaPcPlatform, driver: Driver) -> None:
    driver.say(clock=900, reasons=0x40)
    platform.apply(0.0, [DomainRange('gpu', 1800e6, 1800e6)])
    for second in range(SLOW_READINGS):
        sample = platform.read(float(second + 1))
    (notice,) = sample.notices
    assert notice.kind is NoticeKind.LIMITED and 'its temperature (hardware)' in notice.text


def test_the_guard_unlocks_after_a_kill(
    computer: Kernel, platform: NvidiaPcPlatform, driver: Driver, tmp_path: Path
) -> None:
    """The guard is a process of its own, which knows NVML by its C interface alone."""
    guard = Guard(computer.root, 'boot', tmp_path)
    guard.arm(platform.limits_found())
    platform.apply(0.0, GPU)
    assert driver.locked() == (600, 1200)
    guard.close()  # the pipe ends, as when the node is killed
    assert driver.locked() == ()
    assert not list(tmp_path.glob('*.json'))


def test_the_next_start_unlocks(
    computer: Kernel, platform: NvidiaPcPlatform, driver: Driver, tmp_path: Path
) -> None:
    """Node and guard were killed: the state file names the card."""
    guard = Guard(computer.root, 'boot', tmp_path)
    guard.arm(platform.limits_found())
    platform.apply(0.0, GPU)
    assert guard.process_id is not None
    os.kill(guard.process_id, signal.SIGKILL)
    guard.close()
    assert driver.locked() == (600, 1200)
    second = Guard(computer.root, 'boot', tmp_path)
    (restored,) = second.recover()
    second.close()
    assert restored == platform.limits_found()[0]
    assert driver.locked() == ()


@pytest.mark.parametrize('name', ['nvml:/etc/passwd', 'nvml:', 'nvml:GPU-1; rm', 'GPU-11'])
def test_a_state_file_names_cards_only(computer: Kernel, tmp_path: Path, name: str) -> None:
    guard = Guard(computer.root, 'boot', tmp_path)
    row = LimitsFound(name, name, 'unlocked', 'unlocked')
    guard_process.keep(str(guard.state_file), 'boot', [vars(row)])
    with pytest.raises(PlatformError, match='outside of this computer'):
        guard.recover()
    guard.close()


@pytest.mark.parametrize(('code', 'restored'), [(15, True), (6, True), (4, False), (999, False)])
def test_what_counts_as_unlocked(driver: Driver, code: int, restored: bool) -> None:
    """A card that is gone holds nothing; one that refuses is tried again."""
    assert guard_process.unlock(UUID)
    driver.say(error=code)
    assert guard_process.unlock(UUID) == restored


def test_without_the_package_or_the_driver(
    computer: Kernel, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.say(init=9)
    assert cards_of() == ()
    with pytest.raises(HardwareError, match='nvidia-smi'):
        open_cards()
    assert make_platform('auto', 0.0, PlatformOptions(str(computer.root))).id == 'linux'
    monkeypatch.setitem(sys.modules, 'pynvml', None)
    with pytest.raises(HardwareError, match='pip install nvidia-ml-py'):
        open_cards()
    with pytest.raises(PlatformError, match='pip install nvidia-ml-py'):
        make_platform('nvidia_pc', 0.0, PlatformOptions(str(computer.root)))


def test_no_card(computer: Kernel, driver: Driver) -> None:
    driver.say(count=0)
    with pytest.raises(PlatformError, match='nvidia-smi -L'):
        NvidiaPcPlatform(computer)


def test_reading_a_card_is_quick(platform: NvidiaPcPlatform) -> None:
    started = time.perf_counter()
    for step in range(50):
        platform.read(step / 10)
    assert (time.perf_counter() - started) / 50 < 0.02
