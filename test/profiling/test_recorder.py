# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from pathlib import Path
import threading
import time

import pytest

from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from dynamic_dnn_ros.profiling.recorder import Recorder, energy, has_rail
from support.profiled_computer import Board, Computer


@pytest.mark.parametrize(
    ('times', 'powers', 'joules'),
    [
        ([0.0, 1.0, 2.0], [5.0, 5.0, 5.0], 5.0),
        ([0.5, 1.0, 1.5], [0.0, 10.0, 10.0], 7.5),
        ([0.5, 1.5], [0.0, 10.0], 5.0),
        ([0.0, 1.0, 2.0], [0.0, 10.0, 0.0], 10.0),  # the idle moments outside do not count
        ([0.0, 2.0], [4.0, 8.0], 6.0),  # none inside: between those outside
        ([0.6, 1.0, 1.4], [5.0, math.nan, 5.0], 5.0),
    ],
)
def test_integral_of_the_rail(times: list[float], powers: list[float], joules: float) -> None:
    assert energy(times, powers, 0.5, 1.5) == pytest.approx(joules)


def test_integral_of_a_ramp_is_exact() -> None:
    times = [0.01 * step for step in range(101)]
    assert energy(times, [3.0 * t for t in times], 0.0, 1.0) == pytest.approx(1.5)


def test_no_reading_no_energy() -> None:
    assert math.isnan(energy([], [], 0.0, 1.0))
    assert math.isnan(energy([0.5], [math.nan], 0.0, 1.0))


def test_reads_the_rail_while_something_runs(tmp_path: Path) -> None:
    board = Board(Computer(tmp_path / 'root', policies=3))
    idle = board.read(0.0).power['VDD_IN']
    threads = threading.active_count()
    with Recorder(board, period=0.005) as recorder:
        board.running = True
        started = time.perf_counter()
        time.sleep(0.1)
        ended = time.perf_counter()
        board.running = False
    assert threading.active_count() == threads
    joules = recorder.energy(started, ended)
    assert joules == pytest.approx((idle + 2.0) * (ended - started), rel=0.1)


def test_no_thread_without_a_rail(tmp_path: Path) -> None:
    platform = LinuxPlatform(tmp_path)
    threads = threading.active_count()
    with Recorder(platform) as recorder:
        assert threading.active_count() == threads
    assert not has_rail(recorder.last)
    assert math.isnan(recorder.energy(0.0, 1.0))
    assert 0.0 <= recorder.foreign_utilisation()['cpu'] <= 1.0
