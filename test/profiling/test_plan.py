# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from itertools import product
import json
import math

import numpy as np
import pytest

from dynamic_dnn_ros.profiling.plan import MINIMUM_RUNS, ROUNDS, Place, Visit, VisitKind
from support.profiled_computer import make_plan


def test_every_point_has_its_turn_in_each_round_between_two_controls() -> None:
    plan = make_plan()
    steps = plan.steps(0, 0)
    assert [steps[0].position, steps[-1].position] == [0, 1]
    assert replace(steps[-1], position=0) == steps[0] == plan.control
    assert plan.setting(plan.control) == {'gpu': 8e8}
    assert plan.control.sub_network == 's1'
    runs = [place for place in steps if place.kind is VisitKind.RUN]
    assert len(set(runs)) == len(runs) == 3 * 3 * 2
    assert len(set(steps)) == len(steps)


def test_order_differs_by_round_and_is_the_same_after_a_kill() -> None:
    plan = make_plan()
    orders = [plan.steps(number, attempt) for number in range(ROUNDS) for attempt in (0, 1)]
    assert len(set(orders)) == len(orders)
    assert [make_plan().steps(n, a) for n in range(ROUNDS) for a in (0, 1)] == orders


@pytest.mark.parametrize(('rail', 'looks'), [(False, 1), (True, 3)])
def test_looks_at_the_idle_board_at_each_setting_where_there_is_a_rail(
    rail: bool, looks: int
) -> None:
    steps = make_plan(rail=rail).steps(2, 0)
    assert sum(place.kind is VisitKind.IDLE for place in steps) == looks


def test_enough_is_enough_time_and_enough_runs() -> None:
    plan = make_plan(seconds=2.0)
    runs = MINIMUM_RUNS // ROUNDS
    assert plan.enough(runs, 2.0 / ROUNDS)
    assert not plan.enough(runs - 1, 60.0)
    assert not plan.enough(10**6, 1.9 / ROUNDS)


def test_duration_grows_with_what_is_asked_for_and_with_slow_sub_networks() -> None:
    plan = make_plan()
    latencies = dict.fromkeys(product(plan.processors, plan.sub_networks), 1e-3)
    # 3 settings x 3 sub-networks x 2 processors x 2 s, the controls, 4 looks at the idle board
    assert plan.duration(latencies) == pytest.approx(18 * 2 + 2 * 2 + 4)
    assert make_plan(None).duration(latencies) > plan.duration(latencies)
    latencies['cpu', 's2'] = 1.0
    assert plan.duration(latencies) == pytest.approx(18 * 2 + 2 * 2 + 4 + 3 * (MINIMUM_RUNS - 2))


def test_visit_survives_its_file() -> None:
    visit = Visit(
        round=1,
        attempt=0,
        place=Place(VisitKind.RUN, 2, 'gpu', 's1'),
        latencies=np.array([1e-3, 2.5e-3]),
        duration=3.6e-3,
        energy=math.nan,
        granted={'gpu': 4e8},
        temperatures={'zone': 50.0, 'asleep': math.nan},
        foreign_utilisation={},
    )
    read = Visit.from_mapping(json.loads(json.dumps(visit.to_mapping())))
    assert read.key == visit.key
    np.testing.assert_allclose(read.latencies, visit.latencies)
    assert math.isnan(read.energy)
    assert (read.granted, read.temperatures) == ({'gpu': 4e8}, {'zone': 50.0})
