# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A manager that is told of one rail saves there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.simulation.figures import energy, shortfall
from dynamic_dnn_ros.simulation.rails import with_power_of
from dynamic_dnn_ros.simulation.runner import run
from support.scenarios import job, mapping

RAIL = 'VDD_CPU_GPU_CV'
BOARD = load_board('xavier_nx_simulated')


def test_a_profile_has_the_power_of_its_rail() -> None:
    (workload,) = job(mapping()).workloads.values()
    other = with_power_of(workload, BOARD, RAIL)
    assert with_power_of(workload, BOARD, RAIL) is other
    points = other.points
    assert (points.power < workload.points.power).all()
    assert (points.idle_power < points.power).all()
    assert np.array_equal(points.latency_mean, workload.points.latency_mean)
    setting = dict(zip(points.domains, points.frequencies[0].tolist()))
    assert points.idle_power[0] == BOARD.power(setting, {})[RAIL]


def test_no_rail_and_that_of_the_module_change_nothing() -> None:
    (workload,) = job(mapping()).workloads.values()
    assert with_power_of(workload, BOARD, '') is workload
    assert with_power_of(workload, BOARD, 'VDD_IN') is workload


def test_a_rail_that_the_board_lacks_is_refused() -> None:
    (workload,) = job(mapping()).workloads.values()
    with pytest.raises(PlatformError, match='VDD_GPU.*VDD_CPU_GPU_CV'):
        with_power_of(workload, BOARD, 'VDD_GPU')


@pytest.mark.parametrize('manager', ['dynamic_dnn', 'oracle'])
def test_each_saves_on_the_rail_that_it_is_told_of(manager: str) -> None:
    module = run(job(mapping(), manager))
    processing = run(replace(job(mapping(), manager), rail=RAIL))
    assert shortfall(module) == shortfall(processing) == 0
    assert energy(processing, RAIL) < energy(module, RAIL)
    assert energy(module, 'VDD_IN') < energy(processing, 'VDD_IN')
