# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dynamic_dnn_ros.management.baselines import carin
from dynamic_dnn_ros.management.baselines.carin import (
    BUSY,
    HOT,
    HOT_FROM,
    SLOW_MEMORY,
    STATES,
    STAY,
    Carin,
)
from dynamic_dnn_ros.management.observations import DomainLoad
from dynamic_dnn_ros.management.targets import Objective, Target
from support.applications import GPU, application, empty_points, operating_points
from support.loads import gpu_load
from support.scenarios import FRONT, REAR, mapping, simulated


def made(*targets: Target, **fields: Any) -> Carin:
    decider = Carin()
    for number, target in enumerate(targets):
        decider.add_application(application(target.application, **fields), 0.0)
        decider.set_target(target, number + 1)
    return decider


def asked(latency: float = 0.02, name: str = FRONT, **fields: Any) -> Target:
    return Target(name, latency=latency, rate=20.0, **fields)


def test_there_is_a_design_for_each_state_and_the_normal_one_takes_least() -> None:
    decider = made(asked(accuracy=0.85))
    decider.decide(0.0)
    assert set(decider.designs) == set(STATES) and len(STATES) == 8
    normal = decider.designs[frozenset()]
    # s1 takes 8 ms at the highest clock, 20 at 0.366 of it, at p95: the third of five fits.
    assert normal.options == {FRONT: ('s1', 'gpu')}
    assert normal.clocks == {'gpu': pytest.approx(GPU[2])}
    hot = decider.designs[frozenset({HOT})]
    assert hot.clocks['gpu'] <= 0.75 * GPU[-1]
    busy = decider.designs[frozenset({BUSY})]
    assert busy.clocks['gpu'] > normal.clocks['gpu']


def test_at_an_event_the_design_is_looked_up_and_not_sought_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decider = made(asked(accuracy=0.85))
    decider.observe_load(gpu_load(), 0.0)
    normal = decider.decide(0.0).setting
    monkeypatch.delattr(carin, '_design')
    assert decider.observe_load(gpu_load(utilisation_foreign=0.3), 1.0)
    busy = decider.decide(1.0).setting
    assert normal is not None and busy is not None
    assert busy[0].maximum == pytest.approx(decider.designs[frozenset({BUSY})].clocks['gpu'])
    assert busy[0].maximum > normal[0].maximum
    # It is over only once it has been for a while.
    assert not decider.observe_load(gpu_load(), 1.5)
    assert decider.observe_load(gpu_load(), 1.1 + STAY)
    assert decider.decide(5.0).setting == normal


@pytest.mark.parametrize(
    ('fields', 'state'),
    [
        ({'temperature': HOT_FROM + 1}, {HOT}),
        ({'limit': GPU[2]}, {HOT}),
        ({'utilisation_foreign': 0.2}, {BUSY}),
        ({}, set()),
    ],
)
def test_what_a_load_tells_of_the_state(fields: dict[str, Any], state: set[str]) -> None:
    decider = made(asked())
    decider.observe_load(gpu_load(**fields), 0.0)
    assert decider.decide(0.0).setting is not None
    assert decider.pick(0.0)[1] == decider.designs[frozenset(state)].clocks


def test_a_memory_clock_that_others_hold_is_a_state() -> None:
    points = operating_points(domain='memory')
    decider = made(asked(), operating_points=points)
    held = DomainLoad('memory', GPU, GPU[0], GPU[-1], GPU[1], requested_maximum=GPU[3])
    decider.observe_load(replace(gpu_load(), domains=(held,)), 0.0)
    assert decider.pick(0.0)[1] == decider.designs[frozenset({SLOW_MEMORY})].clocks


@pytest.mark.parametrize(
    ('objective', 'option'),
    [
        (Objective.MAXIMUM_ACCURACY, 's3'),
        (Objective.MINIMUM_LATENCY, 's0'),
        (Objective.MINIMUM_ENERGY, 's0'),
    ],
)
def test_the_objective_weighs_most(objective: Objective, option: str) -> None:
    decider = made(asked(0.5, objective=objective))
    assert decider.decide(0.0).switches[0].sub_network == option


def test_two_applications_leave_each_other_time() -> None:
    one = made(asked(0.021, accuracy=0.85))
    two = made(asked(0.021, accuracy=0.85), asked(0.021, REAR, accuracy=0.85))
    alone, together = one.pick(0.0)[1], two.pick(0.0)[1]
    assert alone is not None and together is not None
    assert together['gpu'] > alone['gpu']


def test_another_target_makes_other_designs() -> None:
    decider = made(asked(0.05, accuracy=0.85))
    before = decider.pick(0.0)[1]
    decider.set_target(asked(0.012, accuracy=0.85), 5)
    after = decider.pick(1.0)[1]
    assert before is not None and after is not None and after['gpu'] > before['gpu']


@pytest.mark.filterwarnings('error')
def test_without_figures_of_power_or_without_a_profile_it_still_answers() -> None:
    decider = made(asked(accuracy=0.85), operating_points=operating_points(power=False))
    assert decider.pick(0.0)[1] == {'gpu': pytest.approx(GPU[2])}
    nothing = made(asked(), operating_points=empty_points())
    assert nothing.pick(0.0) == ({FRONT: ('s3', 'gpu')}, None)
    assert Carin().pick(0.0) == ({}, None)


def test_in_simulation_it_saves_against_a_fixed_network_and_keeps_the_target() -> None:
    ours, fixed = (simulated(mapping(), name) for name in ('carin', 'best_fixed'))
    assert ours.energy[ours.total_rail] < fixed.energy[fixed.total_rail]
    frames = [f for f in ours.applications[FRONT].frames if f.time > 5.0]
    assert sum(f.latency > 0.075 for f in frames) <= 0.05 * len(frames)
