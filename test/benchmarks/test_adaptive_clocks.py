# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Latencies at clocks that were not measured, on boards that others measured."""

from __future__ import annotations

from typing import Any

import pytest

from dynamic_dnn_ros.platforms.calibration.table import Row
from support.shared_data import shared_data

MOST = 0.08
"""Mean error that was asked for."""


@pytest.fixture
def clocks(benchmark: Any) -> Any:
    return benchmark('adaptive_clocks')


def rows(law: Any) -> list[Row]:
    """Return a table of one network that a law makes."""
    return [
        Row(line, 'network', 'gpu', 0, 0, {'gpu': gpu, 'memory': memory}, law(gpu, memory))
        for line, (gpu, memory) in enumerate(
            (step * 1e8, part * 4e8) for step in range(1, 8) for part in range(1, 5)
        )
    ]


def test_each_second_clock_is_left_out_but_no_end(clocks: Any) -> None:
    known, others = clocks.parted(rows(lambda gpu, memory: 0.1))
    assert {row.clocks['gpu'] for row in known} == {1e8, 3e8, 5e8, 7e8}
    assert {row.clocks['memory'] for row in known} == {4e8, 1.2e9, 1.6e9}
    assert len(known) == 12 and len(others) == 16
    assert all(
        row.clocks['gpu'] in {2e8, 4e8, 6e8} or row.clocks['memory'] == 8e8 for row in others
    )


def test_a_sum_is_found_again_and_what_is_none_is_off(clocks: Any) -> None:
    assert clocks.of_sum(rows(lambda gpu, memory: 2e6 / gpu + 3e6 / memory + 1e-3)) < 1e-6
    assert clocks.of_sum(rows(lambda gpu, memory: max(2e6 / gpu, 6e6 / memory))) > 0.02


@pytest.mark.parametrize('board', ['TX2', 'AGX Orin', 'Orin NX'])
def test_latency_at_clocks_that_were_left_out(clocks: Any, board: str) -> None:
    for name in (clocks.TX2, clocks.AGX_ORIN, clocks.ORIN_NX):
        shared_data(name)
    assert clocks.of_law(dict(clocks.tables())[board]) < MOST
