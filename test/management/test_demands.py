# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A problem that has hardly changed counts as the one before."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.management.assessment import Demand, Problem
from dynamic_dnn_ros.management.demands import NOMINAL_RATE, demand_of, steadied
from dynamic_dnn_ros.management.estimator import SlowDownFilter
from dynamic_dnn_ros.management.records import Registry
from dynamic_dnn_ros.management.tables import application_table, join
from dynamic_dnn_ros.management.targets import Objective, Target
from support.applications import application

NAME = '/front/inference_node'


def before() -> Problem:
    joint = join([application_table(application())])
    slow_down = SlowDownFilter()
    slow_down.variance = 1e-6
    options = len(joint.tables[0].options)
    demand = Demand(
        Target(NAME, latency=0.03),
        0,
        slow_down,
        30.0,
        0.001,
        0.0001,
        np.ones(options, dtype=bool),
        np.ones((options, 1)),
    )
    return Problem(joint, np.arange(len(joint.settings)), (demand,), {'gpu': 1e8})


def changed(problem: Problem, **fields: Any) -> Problem:
    return replace(problem, demands=(replace(problem.demands[0], **fields),))


def slowed(problem: Problem, mean: float) -> SlowDownFilter:
    found = copy(problem.demands[0].slow_down)
    found.mean = mean
    return found


def test_what_has_hardly_moved_is_the_same() -> None:
    old = before()
    assert steadied(replace(old), old) is old
    assert steadied(changed(old, slow_down=slowed(old, 1.008)), old) is old
    assert steadied(changed(old, camera_rate=30.1), old) is old
    assert steadied(replace(old, foreign={'gpu': 1.005e8}), old) is old


@pytest.mark.parametrize(
    'fields',
    [
        {'camera_rate': 31.0},
        {'overhead': 0.002},
        {'target': Target(NAME, latency=0.029)},
        {'usable': np.array([True, True, True, False])},
        {'shares': np.full((4, 1), 0.5)},
        {'camera_variation': 0.02},
        {'disturbed': True},
    ],
)
def test_what_has_moved_is_another(fields: dict[str, Any]) -> None:
    old = before()
    assert steadied(changed(old, **fields), old) is not old


def test_other_load_settings_and_budgets_are_another() -> None:
    old = before()
    assert steadied(changed(old, slow_down=slowed(old, 1.02)), old) is not old
    assert steadied(replace(old, foreign={'gpu': 1.1e8}), old) is not old
    assert steadied(replace(old, foreign={}), old) is not old
    assert steadied(replace(old, settings=old.settings[:2]), old) is not old
    assert steadied(replace(old, power_cap=7.0), old) is not old
    assert steadied(old, None) is old


def test_an_estimate_may_move_by_as_much_as_it_was_unsure() -> None:
    old = before()
    old.demands[0].slow_down.variance = 0.05**2
    assert steadied(changed(old, slow_down=slowed(old, 1.04)), old) is old
    assert steadied(changed(old, slow_down=slowed(old, 1.06)), old) is not old


def test_an_application_that_was_asked_for_nothing_keeps_up_with_its_camera() -> None:
    record, _ = Registry(1.0).add(application(), 0.0)
    assert record is not None and record.table is not None
    found = demand_of(record, record.table, ('gpu',), None, Objective.MAXIMUM_ACCURACY, 0.0)
    assert found.priority == -1
    assert found.target.latency == pytest.approx(1 / NOMINAL_RATE)
    assert found.target.objective is Objective.MAXIMUM_ACCURACY
    assert found.usable.all()
    assert found.shares.tolist() == [[1.0]] * 4
