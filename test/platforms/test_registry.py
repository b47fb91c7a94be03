# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Platforms by name."""

from collections.abc import Callable
import importlib
from pathlib import Path
import pkgutil

import pytest

from dynamic_dnn_ros import platforms
from dynamic_dnn_ros.platforms.contract import PlatformError, PlatformKind
from dynamic_dnn_ros.platforms.registration import Board
from dynamic_dnn_ros.platforms.registry import (
    BOARDS,
    ENTRY_POINTS,
    PlatformOptions,
    make_platform,
    this_board,
)
from dynamic_dnn_ros.platforms.sysfs import Sysfs
from support.boards import agx_orin, agx_thor, raspberry_pi_5, rk3588
from support.cpufreq import CpufreqTree
from support.kernel import Kernel, laptop, orin_nx, xavier_nx


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


@pytest.mark.parametrize(
    ('make', 'name', 'identifier'),
    [
        (xavier_nx, 'jetson', 'xavier_nx'),
        (orin_nx, 'jetson', 'orin_nx'),
        (agx_orin, 'jetson', 'agx_orin'),
        (agx_thor, 'jetson', 'agx_thor'),
        (raspberry_pi_5, 'raspberry_pi', 'raspberry_pi_5'),
        (rk3588, 'rockchip', 'rk3588'),
        (laptop, 'linux', 'linux'),
    ],
)
def test_each_board_is_found_by_its_files(
    tmp_path: Path, make: Callable[[Path], Kernel], name: str, identifier: str
) -> None:
    make(tmp_path)
    assert this_board(Sysfs(tmp_path)).name == name
    for chosen in ('auto', name):
        platform = make_platform(chosen, 0.0, PlatformOptions(str(tmp_path)))
        assert platform.id == identifier
        platform.close()


def test_a_board_is_one_file_and_one_line() -> None:
    """Each module that has a board is in the list, and users can name it and read what it is."""
    modules = (
        importlib.import_module(f'{platforms.__name__}.{module.name}')
        for module in pkgutil.iter_modules(platforms.__path__)
    )
    found = [board for each in modules if isinstance(board := getattr(each, 'BOARD', 0), Board)]
    assert {board.name for board in found} == {board.name for board in BOARDS}
    assert all(board.tried and board.title for board in found)
    assert BOARDS[-1].name == 'linux'  # what any other computer is


@pytest.mark.parametrize('name', ['jetson', 'raspberry_pi', 'rockchip', 'nvidia_pc'])
def test_a_board_that_this_computer_is_not(tmp_path: Path, name: str) -> None:
    laptop(tmp_path)
    with pytest.raises(PlatformError, match="Set parameter 'platform' to 'auto'"):
        make_platform(name, 0.0, PlatformOptions(str(tmp_path)))


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
    with pytest.raises(PlatformError, match="'nvidia_pc', 'linux', 'board', 'gone'"):
        make_platform('toaster', 0.0, PlatformOptions())
