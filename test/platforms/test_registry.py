# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Platforms by name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.contract import PlatformError, PlatformKind
from dynamic_dnn_ros.platforms.registry import ENTRY_POINTS, PlatformOptions, make_platform
from support.cpufreq import CpufreqTree
from support.kernel import laptop, xavier_nx


@pytest.mark.parametrize('name', ['auto', 'linux'])
def test_this_computer(tmp_path: Path, name: str) -> None:
    CpufreqTree(tmp_path)
    platform = make_platform(name, 0.0, PlatformOptions(sysfs_root=str(tmp_path), manage_cpu=True))
    assert platform.id == 'linux'
    assert platform.limits()[0].available


def test_simulated_board() -> None:
    options = PlatformOptions(power_mode='10W_4CORE', foreign_load={'gpu': 0.5})
    platform = make_platform('xavier_nx_simulated', 0.0, options)
    assert platform.id == 'xavier_nx_simulated'
    assert platform.kind is PlatformKind.SIMULATED
    limits = {row.name: row for row in platform.limits()}
    assert limits['gpu'].maximum == 803.25e6
    assert platform.read(1.0).domains[1].utilisation_foreign > 0.0


@pytest.mark.parametrize('mode', ['', '10W', '15W', '25W', 'MAXN'])
def test_second_simulated_board(mode: str) -> None:
    platform = make_platform('orin_nx_simulated', 0.0, PlatformOptions(power_mode=mode))
    assert platform.id == 'orin_nx_simulated'
    assert platform.processors == ('gpu',)
    sample = platform.read(1.0)
    assert sample.power['VDD_IN'] > sum(sample.power.values()) / 2
    assert {row.name for row in sample.domains} == {'cpu', 'gpu', 'memory'}


@pytest.mark.parametrize('name', ['auto', 'jetson'])
def test_a_jetson_is_found_by_its_files(tmp_path: Path, name: str) -> None:
    xavier_nx(tmp_path)
    root = str(tmp_path)
    platform = make_platform(name, 0.0, PlatformOptions(root, manage_gpu=False))
    assert platform.id == 'xavier_nx'
    assert not any(row.available for row in platform.limits())
    assert platform.limits_found() == ()
    platform = make_platform(name, 0.0, PlatformOptions(root, manage_cpu=True, manage_memory=True))
    assert all(row.available for row in platform.limits())


def test_a_jetson_may_be_taken_for_plain_linux(tmp_path: Path) -> None:
    xavier_nx(tmp_path)
    platform = make_platform('linux', 0.0, PlatformOptions(str(tmp_path)))
    assert platform.id == 'linux'
    assert [row.name for row in platform.limits()] == ['cpu', 'gpu']


def test_what_is_no_jetson_is_refused_as_one(tmp_path: Path) -> None:
    laptop(tmp_path)
    with pytest.raises(PlatformError, match="'auto'"):
        make_platform('jetson', 0.0, PlatformOptions(str(tmp_path)))


@pytest.mark.parametrize('name', ['jetson_nano', 'toaster_simulated', '', '../linux'])
def test_unknown_names_are_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(PlatformError, match='xavier_nx_simulated'):
        make_platform(name, 0.0, PlatformOptions())


#: A board that another package might offer: one that is simulated here.
BOARD = """
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.simulated import SimulatedPlatform
def make(now, options):
    return SimulatedPlatform(load_board('orin_nx_simulated'), now, options.seed)
"""


def test_another_package_offers_a_platform(offer: Callable[..., None]) -> None:
    offer(ENTRY_POINTS, BOARD, board='HERE:make', linux='nowhere:make', gone='nowhere:make')
    assert make_platform('board', 0.0, PlatformOptions()).id == 'orin_nx_simulated'
    assert make_platform('linux', 0.0, PlatformOptions()).id == 'linux'
    with pytest.raises(PlatformError, match="'gone', nowhere:make of package .* cannot be loaded"):
        make_platform('gone', 0.0, PlatformOptions())
    with pytest.raises(PlatformError, match="'auto', 'linux', 'jetson', 'board', 'gone'"):
        make_platform('toaster', 0.0, PlatformOptions())
