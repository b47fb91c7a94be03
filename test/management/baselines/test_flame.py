# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.management.baselines.flame import ENOUGH, Flame, LatencyLaw, layer_kinds
from dynamic_dnn_ros.management.observations import DomainLoad
from dynamic_dnn_ros.management.targets import Target
from support.applications import GPU, application, served_frame
from support.loads import gpu_load
from support.scenarios import FRONT, REAR, mapping, simulated

CLOCKS = np.array([(c, g) for c in (500, 1000, 1500, 2000) for g in (250, 500, 750, 1000)], float)
HIGHEST = np.array([2000.0, 1000.0])


def truth(clocks: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Three layers: one waits for the CPU, one for the GPU, one for the slower of both."""
    cpu, gpu = (HIGHEST / clocks).T
    return 0.001 + 0.004 * cpu + 0.008 * gpu + 0.006 * np.maximum(cpu, gpu)


def test_kinds_of_layers_add_up_what_overlaps_and_what_does_not() -> None:
    kinds = layer_kinds(np.array([[2.0, 3.0]]), parts=1)
    # No clock, the second, the first, the slower of both.
    np.testing.assert_allclose(kinds, [[1.0, 3.0, 2.0, 3.0]])
    assert layer_kinds(np.ones((1, 3)), parts=2).min() == pytest.approx(1.0)


def test_a_few_settings_tell_of_all() -> None:
    law = LatencyLaw()
    samples = [(2000, 1000), (1000, 1000), (2000, 500), (1000, 500), (500, 500)]
    for setting in samples:
        seconds = float(truth(np.array([setting], float))[0])
        for _ in range(ENOUGH):
            law.take(setting, seconds, np.nan)
    error = law.predict(CLOCKS, HIGHEST) / truth(CLOCKS) - 1
    assert np.abs(error).mean() < 0.0814  # published
    assert np.abs(error).max() < 0.25


def test_what_changed_for_good_is_learnt_anew() -> None:
    law = LatencyLaw()
    for _ in range(ENOUGH):
        law.take((2000, 1000), 0.02, np.nan)
    for _ in range(100):
        law.take((1000, 1000), 0.03, 0.02)
    assert (2000, 1000) not in law.known()
    assert law.known()[1000, 1000] == pytest.approx(0.03)


def run(decider: Flame, limit: float, frames: int) -> list[float]:
    """Serve s2 of the made-up table at what is set; return the clocks, Hz."""
    decider.add_application(application(FRONT, sub_network='s2'), 0.0)
    decider.set_target(Target(FRONT, latency=limit, rate=20.0), 1)
    clock, clocks = GPU[-1], []
    for index in range(frames):
        now = 0.05 * index
        decider.observe_load(gpu_load(clock), now)
        latency = 0.014 * (0.15 + 0.85 * GPU[-1] / clock)
        latency *= 1 + 0.01 * (-1) ** index
        asked = decider.observe(served_frame(FRONT, 'x', 's2', latency, received=index), now)
        if asked or index % 10 == 0:
            decision = decider.decide(now)
            assert all(switch.sub_network == 's2' for switch in decision.switches)
            assert decision.setting is not None
            clock = decision.setting[0].maximum
        clocks.append(clock)
    return clocks


def test_it_comes_to_the_slowest_clock_that_meets_the_deadline() -> None:
    for limit, wanted in ((0.030, GPU[2]), (0.020, GPU[3]), (0.015, GPU[4])):
        clocks = run(Flame(), limit, 400)
        # p95 at the profile's spread: 28.0, 18.6 and 14.0 ms at these.
        assert set(clocks[-100:]) == {wanted}
        assert min(clocks) >= wanted


def test_a_limit_of_the_board_is_heeded() -> None:
    decider = Flame()
    run(decider, 0.020, 300)
    decider.observe_load(gpu_load(GPU[1], limit=GPU[1]), 20.0)
    _, clocks = decider.pick(20.1)
    assert clocks is not None and clocks['gpu'] <= GPU[1]


def test_where_nothing_can_be_set_nothing_is() -> None:
    decider = Flame()
    decider.add_application(application(FRONT, sub_network='s2'), 0.0)
    assert decider.decide(0.0).setting is None
    held = DomainLoad('gpu', (), GPU[0], GPU[-1], GPU[-1])
    decider.observe_load(replace(gpu_load(), domains=(held,)), 0.1)
    assert decider.decide(0.2).setting is None


def test_a_clock_that_is_never_granted_or_not_known_stops_nothing() -> None:
    for granted in (GPU[2], float('nan')):
        decider = Flame()
        decider.add_application(application(FRONT, sub_network='s2'), 0.0)
        decider.set_target(Target(FRONT, latency=0.05, rate=20.0), 1)
        clocks = None
        for index in range(200):
            now = 0.05 * index
            decider.observe_load(gpu_load(granted), now)
            decider.observe(served_frame(FRONT, 'x', 's2', 0.028, received=index), now)
            _, clocks = decider.pick(now)
            assert clocks is not None
            assert not np.isnan(granted) or clocks['gpu'] == GPU[-1]
        assert clocks is not None
        # Where something was measured it is taken from there, else the highest is safe.
        assert (clocks['gpu'] == GPU[-1]) == np.isnan(granted)


def test_a_camera_that_is_silent_keeps_nobody_at_high_clocks() -> None:
    decider = Flame()
    decider.add_application(application(REAR, sub_network='s3'), 0.0)
    assert run(decider, 0.030, 300)[-1] == GPU[2]


def test_in_simulation_it_saves_by_clocks_alone_and_keeps_deadlines() -> None:
    governed = simulated(mapping(duration=30.0), 'flame')
    highest = {'cpu': 'performance', 'gpu': 'performance'}
    fixed = simulated(mapping(duration=30.0), 'largest', governors=highest)
    assert governed.energy[governed.total_rail] < 0.9 * fixed.energy[fixed.total_rail]
    record = governed.applications[FRONT]
    assert len({frame.sub_network for frame in record.frames}) == 1
    late = [frame.latency > 0.075 for frame in record.frames if frame.time > 15.0]
    assert np.mean(late) <= 0.06
