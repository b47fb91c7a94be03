# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.contract import HardwareError, PlatformError
from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from dynamic_dnn_ros.profiling.clocks import Clocks
from support.profiled_computer import Board, Computer

FOUND = (800000, 2000000)


Installed = tuple[Computer, LinuxPlatform]
"""A computer with one clock, and what sets it."""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    computer = Computer(tmp_path / 'root')
    computer.install(monkeypatch)
    return computer, LinuxPlatform(computer.root, manage_cpu=True)


def test_clocks_are_fixed_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computer = Computer(tmp_path / 'root', policies=2)
    computer.install(monkeypatch)
    platform = LinuxPlatform(computer.root, manage_cpu=True)
    with Clocks(platform, str(computer.root)) as clocks:
        (limits,), refusals = clocks.settable()
        assert (limits.name, len(limits.available), refusals) == ('cpu', 5, ())
        assert computer.limits() == [FOUND] * 2
        assert clocks.set({'cpu': 1.2e9}) == {'cpu': 1.2e9}
        assert computer.clocks() == [1.2e9] * 2
    assert computer.limits() == [FOUND] * 2
    assert list(tmp_path.glob('*.json')) == []


def test_clocks_come_back_from_an_error(installed: Installed) -> None:
    computer, platform = installed

    def interrupted() -> None:
        with Clocks(platform, str(computer.root)) as clocks:
            clocks.set({'cpu': 1.2e9})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert computer.limits() == [FOUND]


def test_limits_that_somebody_set_meanwhile_stay(installed: Installed) -> None:
    """Also where the guard was told of others before."""
    computer, platform = installed
    with Clocks(platform, str(computer.root)) as clocks:
        clocks.set({'cpu': 1.2e9})
        (folder,) = computer.folders
        (folder / 'scaling_min_freq').write_text('1000000\n')
        (folder / 'scaling_max_freq').write_text('1600000\n')
    assert computer.limits() == [(1000000, 1600000)]


def test_one_clock_of_three_may_not_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer = Computer(tmp_path / 'root', policies=3, refused=[1])
    computer.install(monkeypatch)
    with Clocks(Board(computer), str(computer.root)) as clocks:
        limits, refusals = clocks.settable()
        assert [row.name for row in limits] == ['cpu', 'memory']
        (refusal,) = refusals
        assert "'gpu' is left alone" in refusal
        assert 'permission denied' in refusal
        clocks.set({'cpu': 1.2e9, 'memory': 1.0e9})
        assert computer.clocks() == [1.2e9, 2.0e9, 1.0e9]
    assert computer.limits() == [FOUND] * 3


def test_a_clock_that_is_taken_away_later_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer = Computer(tmp_path / 'root', policies=3)
    computer.install(monkeypatch)
    with Clocks(Board(computer), str(computer.root)) as clocks:
        clocks.set({'cpu': 1.2e9, 'gpu': 1.2e9})
        computer.refused = [computer.folders[0]]
        with pytest.raises(HardwareError, match='permission'):
            clocks.set({'gpu': 1.6e9, 'cpu': 1.6e9})
        computer.refused = []
    assert computer.limits() == [FOUND] * 3


def test_no_clock_to_set_is_said(tmp_path: Path) -> None:
    platform = LinuxPlatform(tmp_path, manage_cpu=True)
    with Clocks(platform, str(tmp_path)) as clocks:
        limits, (refusal,) = clocks.settable()
    assert limits == ()
    assert "'cpu' cannot be set" in refusal


def test_only_one_sets_the_clocks_of_a_computer(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer, platform = installed
    monkeypatch.setattr('dynamic_dnn_ros.platforms.guard.LOCK_TIMEOUT', 0.1)
    with Clocks(platform, str(computer.root)):
        second = Clocks(LinuxPlatform(computer.root, True), str(computer.root))
        with pytest.raises(PlatformError, match='another platform node'), second:
            pass
