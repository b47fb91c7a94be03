# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

from dynamic_dnn_ros.management.baselines.baseline import SETTLED
from dynamic_dnn_ros.management.baselines.probes import FRAMES, LOADS, LONGEST, Probe
from dynamic_dnn_ros.management.targets import Target
from support.applications import GPU, served_frame
from support.loads import gpu_load
from support.scenarios import FRONT

HIGHEST = {'gpu': GPU[-1]}


def probe() -> Probe:
    return Probe((1, 2), {FRONT: ('s1', 'gpu')}, {'gpu': GPU[2]}, begun=0.0)


def served(
    tried: Probe, latencies: list[float], begin: float = 1.0, sub_network: str = 's1'
) -> None:
    for index, latency in enumerate(latencies):
        frame = served_frame(FRONT, 'x', sub_network, latency)
        tried.take_frame(frame, begin + 0.05 * index)


def granted(tried: Probe, count: int = LOADS, power: float = 5.0, clock: float = GPU[2]) -> None:
    for index in range(count):
        tried.take_load(gpu_load(clock, power), 0.1 + 0.1 * index)


def test_what_ran_at_other_clocks_or_on_another_sub_network_does_not_count() -> None:
    tried = probe()
    granted(tried, clock=GPU[4])
    served(tried, [0.01] * 5)
    assert tried.frames(FRONT) == 0 and not tried.watts
    granted(tried)
    served(tried, [0.01] * 5, sub_network='s2')
    assert tried.frames(FRONT) == 0
    # This one began before the clock had settled.
    served(tried, [0.01], begin=0.1 + SETTLED)
    assert tried.frames(FRONT) == 0
    served(tried, [0.01])
    assert tried.frames(FRONT) == 1


def test_clocks_that_are_never_granted_are_measured_as_they_are() -> None:
    tried = probe()
    tried.take_load(gpu_load(GPU[1]), 2.0)
    served(tried, [0.01], begin=3.0)
    assert tried.frames(FRONT) == 1


def test_it_ends_when_enough_is_known_or_nothing_is_to_be_hoped_for() -> None:
    targets = {FRONT: Target(FRONT, latency=0.02)}
    enough, late = probe(), probe()
    granted(enough, 12)
    served(enough, [0.01] * (FRAMES - 1))
    assert not enough.is_over(targets, 2.0)
    assert enough.is_over(targets, LONGEST + 0.1)
    served(enough, [0.01])
    assert enough.is_over(targets, 2.0)
    granted(late, 5)
    served(late, [0.031] * 4)
    assert not late.is_over(targets, 2.0)
    served(late, [0.031])
    assert late.is_over(targets, 2.0)


def test_excess_is_of_the_quantile_and_of_the_period() -> None:
    tried = probe()
    granted(tried)
    assert tried.excess({FRONT: Target(FRONT, latency=0.02)}) == math.inf
    served(tried, [0.018, 0.022] * 20)
    deviation = 0.002 * math.sqrt(40 / 39)
    expected = (0.02 + 1.6449 * deviation) / 0.02 - 1
    assert tried.excess({FRONT: Target(FRONT, latency=0.02)}) == pytest.approx(expected, rel=1e-3)
    assert tried.excess({FRONT: Target(FRONT, rate=60.0)}) == pytest.approx(0.2)
    assert tried.excess({}) < 0.0


def test_without_a_power_sensor_slower_clocks_count_as_less_power() -> None:
    tried, measured = probe(), probe()
    granted(tried, power=math.nan)
    assert tried.power(HIGHEST) == pytest.approx((GPU[2] / GPU[-1]) ** 2)
    granted(measured, 12, power=4.5)
    assert measured.power(HIGHEST) == pytest.approx(4.5)
