# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The number of cores, out of what applications and the platform say of the same work."""

from __future__ import annotations

import random

import pytest

from dynamic_dnn_ros.management.cpu_cores import ENOUGH, WINDOW, CpuCores
from dynamic_dnn_ros.management.measurements import Measurements
from dynamic_dnn_ros.management.observations import DomainLoad, Load, Status, StatusEvent


def status(seconds: float, **fields: float) -> Status:
    return Status('/a', 'one', StatusEvent.HEARTBEAT, 's0', 'gpu', busy={'cpu': seconds}, **fields)


def load(own: float, domain: str = 'cpu') -> Load:
    state = DomainLoad(domain, (1e9,), 1e9, 1e9, 1e9, utilisation_own=own)
    return Load(platform='board', boot_id='', period=0.1, domains=(state,))


def heard(
    cores: CpuCores, count: int, number: int, begin: float = 0.0, noise: float = 0.0
) -> None:
    """Have an application keep 0.8 cores busy on a board of a number of cores."""
    chance = random.Random(1)
    for step in range(count):
        now = begin + 0.1 * step
        cores.hear(status(0.8 * now), now)
        cores.compare(load(0.8 / number * chance.uniform(1 - noise, 1 + noise)), now)


@pytest.mark.parametrize('number', [1, 2, 6, 8, 12])
def test_it_is_found(number: int) -> None:
    cores = CpuCores()
    assert cores.number == 1
    heard(cores, 40, number, noise=0.02)
    assert cores.number == number


def test_a_power_mode_takes_some_away() -> None:
    cores = CpuCores()
    heard(cores, 40, 8)
    heard(cores, WINDOW, 4, begin=4.0)
    assert cores.number == 4


def test_what_is_not_told_counts_as_one_core() -> None:
    """Without a platform that tells our share, nothing is taken to be less than it may be."""
    cores = CpuCores()
    for step in range(4 * ENOUGH):
        now = 0.1 * step
        cores.hear(status(0.8 * now), now)
        cores.compare(load(float('nan')), now)
        cores.compare(load(0.0), now)
        cores.compare(load(0.1, 'gpu'), now)
    assert cores.number == 1


def test_one_busy_core_of_eight_is_an_eighth() -> None:
    measurements = Measurements()
    for index in range(30):
        one = Status(
            '/a', 'one', StatusEvent.SERVED, 's0', 'gpu', preprocessing=0.004, inference=0.016,
            total=0.021, busy={'cpu': 0.02 * index, 'gpu': 0.016 * index}, served=index,
        )  # fmt: skip
        measurements.frame(one, 0.1)
    assert measurements.busy_share('gpu', 'cpu') == pytest.approx(1.0)
    assert measurements.busy_share('gpu', 'cpu', 8) == pytest.approx(0.125)
    assert measurements.busy_share('gpu', 'gpu', 8) == pytest.approx(0.8)
    assert measurements.busy_share('cpu', 'cpu', 8) == 1.0  # not measured yet
