# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Governors of a simulated domain against published behaviour of the kernel's."""

import pytest

from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.governors import (
    Governor,
    NvhostPodgov,
    Performance,
    Schedutil,
    make_governor,
)

DOMAINS = load_board('xavier_nx_simulated').domains
GPU = DOMAINS['gpu'].frequencies
CPU = DOMAINS['cpu'].frequencies


def settle(governor: Governor, table: tuple[float, ...], work: float, period: float) -> float:
    """Return the mean frequency after 20 s of a periodic job of so much work at the top clock."""
    current, seen = table[0], []
    for step in range(round(20.0 / governor.period)):
        utilisation = min(1.0, work / period * table[-1] / current)
        current = governor.step(current, utilisation, table)
        if step * governor.period > 10.0:
            seen.append(current)
    return sum(seen) / len(seen)


def test_podgov_ramp_of_a_saturated_gpu() -> None:
    """510 MHz after 50 ms, 905 after 100, 1109 after 150, from the lowest clock."""
    governor, current, reached = NvhostPodgov(GPU[-1]), GPU[0], {}
    for poll in range(1, 9):
        current = governor.step(current, 1.0, GPU)
        reached[poll * 25] = current
    assert reached[50] == 510.0e6
    assert reached[100] == pytest.approx(905.25e6, abs=51e6)  # one step of the table
    assert reached[150] == 1109.25e6


@pytest.mark.parametrize(
    ('work', 'megahertz'), [(0.005, 306), (0.010, 510), (0.015, 752.25), (0.020, 1007.25)]
)
def test_podgov_equalises_the_load(work: float, megahertz: float) -> None:
    """
    A job at 30 Hz settles where published simulation has it, to one step of the table.

    Utilisation is given as its mean here, a job's bursts are not resolved; that costs one step
    more at most.
    """
    steps = [f / 1e6 for f in GPU]
    mean = settle(NvhostPodgov(GPU[-1]), GPU, work, 1 / 30) / 1e6
    nearest = min(range(len(steps)), key=lambda i: abs(steps[i] - mean))
    assert abs(nearest - steps.index(megahertz)) <= 2


def test_schedutil_keeps_a_quarter_in_reserve() -> None:
    frequency = settle(Schedutil(CPU[-1]), CPU, 0.4, 1.0)
    assert frequency == pytest.approx(1.25 * 0.4 * CPU[-1], abs=76.8e6)


def test_schedutil_of_a_saturated_cpu_reaches_the_top() -> None:
    assert settle(Schedutil(CPU[-1]), CPU, 2.0, 1.0) == CPU[-1]


def test_idle_settles_at_the_bottom() -> None:
    for governor, table in ((Schedutil(CPU[-1]), CPU), (NvhostPodgov(GPU[-1]), GPU)):
        assert settle(governor, table, 0.0, 1.0) == table[0]


def test_performance_takes_the_highest() -> None:
    assert Performance().step(GPU[0], 0.0, GPU) == GPU[-1]


@pytest.mark.parametrize('name', ['performance', 'schedutil', 'nvhost_podgov'])
def test_a_limited_table_is_kept(name: str) -> None:
    governor = make_governor(name, GPU[-1])
    table = GPU[4:7]
    current = GPU[-1]
    for step in range(200):
        current = governor.step(current, (step % 20) / 19, table)
        assert current in table


def test_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match='ondemand'):
        make_governor('ondemand', GPU[-1])
