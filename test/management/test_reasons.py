# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What is said to have kept a point from being chosen has kept it.

Problems are decided on; then what is named is taken away, and the decision has to be another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
import math

import numpy as np
import pytest

from dynamic_dnn_ros.management.assessment import (
    Demand,
    Problem,
    ResourceSettings,
    evaluate,
)
from dynamic_dnn_ros.management.decisions import SwitchReason
from dynamic_dnn_ros.management.estimator import SlowDownFilter
from dynamic_dnn_ros.management.reasons import LIMITS, Objection, in_words, objections
from dynamic_dnn_ros.management.reports import next_best
from dynamic_dnn_ros.management.resource_level import (
    Cause,
    Plan,
    ResourceLevel,
    alternatives,
    worth_a_change,
)
from dynamic_dnn_ros.management.tables import FIGURES, ApplicationTable, join
from dynamic_dnn_ros.management.targets import Objective, Target
from support.problems import problem

SETTINGS = ResourceSettings()
LATENCIES = ('mean', 'p50', 'p95', 'p99')


def decided(posed: Problem, learnt: bool) -> tuple[Problem, Plan]:
    """
    Return a problem and its plan.

    :param learnt: whether it is what is kept after more has been learnt of the slow-down
    """
    level = ResourceLevel(SETTINGS)
    plan = level.decide(posed, None, 0.0, SwitchReason.APPLICATION)
    if learnt:
        demands = []
        for demand in posed.demands:
            demands.append(replace(demand, slow_down=demand.slow_down.supposing(1.0)))
            demands[-1].slow_down.mean = demand.slow_down.mean * 0.97
            demands[-1].slow_down.variance = 1e-6
        posed = replace(posed, demands=tuple(demands))
        options = [plan.option(a) for a in range(len(posed.demands))]
        plan = level.decide(posed, (plan.setting, options), 1.0, None)
    return posed, plan


def changed(table: ApplicationTable, option: int, criteria: Sequence[str]) -> ApplicationTable:
    """Return a table in which an option is more accurate, faster, or takes no power."""
    figures = table.figures.copy()
    accuracy = table.accuracy.copy()
    if 'accuracy' in criteria:
        accuracy[option] = 1.0
    for name in LATENCIES if 'latency' in criteria else ():
        figures[FIGURES.index(name), option] *= 1e-3
    if 'power' in criteria:
        figures[FIGURES.index('dynamic_power'), option] = 0.0
    by_name = dict(zip(FIGURES, figures))
    return replace(table, accuracy=accuracy, figures=figures, **by_name)


def without(demand: Demand, criterion: str) -> Demand:
    """Return a demand without a limit."""
    target = demand.target
    if criterion == 'latency':
        target = replace(target, latency=0.0, latency_quantile=0.0)
    else:
        target = replace(target, **{criterion: 0.0})
    return replace(demand, target=target)


def taken_away(
    posed: Problem, index: int, option: int, found: Sequence[Objection], turned: bool
) -> Problem | None:
    """
    Return the problem without what is named; none where the dwell alone is.

    :param turned: whether the option is to be better by the objective, not only as good
    """
    demands = {demand.target.application: demand for demand in posed.demands}
    name = posed.demands[index].target.application
    better = []
    for criterion, application, _ in found:
        if criterion == 'cap':
            posed = replace(posed, power_cap=math.inf)
        elif criterion == 'load':
            posed = replace(posed, foreign={})
        elif criterion in LIMITS:
            demands[application] = without(demands[application], criterion)
        elif criterion == 'power':
            better.append('power')
        elif criterion == 'objective' and application == name and turned:
            accurate = demands[name].target.objective is Objective.MAXIMUM_ACCURACY
            better.append('accuracy' if accurate else 'latency')
        elif criterion == 'objective':
            target = replace(demands[application].target, objective=Objective.MINIMUM_ENERGY)
            demands[application] = replace(demands[application], target=target)
        else:
            return None
    tables = list(posed.joint.tables)
    tables[index] = changed(tables[index], option, better)
    return replace(posed, joint=join(tables), demands=tuple(demands.values()))


def nexts(posed: Problem, plan: Plan) -> Iterator[tuple[int, int, tuple[Objection, ...]]]:
    """Return each application, the option that comes next for it, and what speaks against it."""
    for index in range(len(posed.demands)):
        around = alternatives(plan, index, SETTINGS)
        second = next_best(plan, index, around)
        if second is not None:
            found = objections(plan, index, around, second, '')
            assert found and all(objection.words for objection in found)
            yield index, int(around.options[second, index]), found


@pytest.mark.parametrize('first', range(0, 400, 50))
def test_nothing_else_speaks_for_what_was_chosen(first: int) -> None:
    checked = 0
    for seed in range(first, first + 50):
        posed, plan = decided(problem(seed, 2), seed % 2 == 1)
        for index, option, found in nexts(posed, plan):
            other = taken_away(posed, index, option, found, False)
            if other is None:
                continue
            chosen = [plan.option(a) for a in range(len(posed.demands))]
            second = [option if a == index else o for a, o in enumerate(chosen)]
            rows = np.array([plan.setting] * 2)
            both = evaluate(other, rows, np.array([chosen, second]), SETTINGS)
            cause = worth_a_change(other, both, gain=0.001)
            assert not cause.departs, (seed, index, cause, found)
            checked += 1
    assert checked > 25


@pytest.mark.parametrize('learnt', [False, True])
def test_without_what_is_named_the_decision_is_another_one(learnt: bool) -> None:
    """For one application that has the board for itself, where the search misses nothing."""
    named = set()
    for seed in range(300):
        posed = replace(problem(seed, 1), power_cap=math.inf, foreign={})
        posed, plan = decided(posed, learnt)
        for index, option, found in nexts(posed, plan):
            other = taken_away(posed, index, option, found, True)
            if other is None:
                continue
            again = ResourceLevel(SETTINGS).decide(
                other, (plan.setting, [plan.option(0)]), 0.0, SwitchReason.TARGET
            )
            assert again.cause.departs or ties(other, plan, option), (seed, found)
            named |= {objection.criterion for objection in found}
    assert named == {*LIMITS, 'objective', 'power'}


def ties(posed: Problem, plan: Plan, option: int) -> bool:
    """Tell whether an option takes as much power as the one that was chosen, to a thousandth."""
    rows, options = np.array([plan.setting] * 2), np.array([[plan.option(0)], [option]])
    power = evaluate(posed, rows, options, SETTINGS).power
    return bool(power[1] > power[0] * 0.999)


def test_what_waits_is_said_to_wait_and_for_how_long() -> None:
    posed = problem(2, 1)
    level = ResourceLevel(SETTINGS)
    plan = level.decide(posed, None, 0.0, SwitchReason.APPLICATION)
    best = plan.option(0)
    accurate = Objective.MAXIMUM_ACCURACY
    target = Target(posed.demands[0].target.application, objective=accurate)
    demand = replace(posed.demands[0], target=target, usable=np.ones(4, dtype=bool))
    posed = replace(posed, demands=(demand,), foreign={}, power_cap=math.inf)
    for now, changing, cause, words in (
        (1.0, False, Cause.DWELL, 'it is better, but changes are at least 2 s apart'),
        (75.0, True, Cause.CHANGING, 'it is better, but waits until the last change is made'),
    ):
        put_off = level.decide(posed, (plan.setting, [best]), now, None, changing)
        assert put_off.cause is cause
        ((_, _, found),) = nexts(posed, put_off)
        assert in_words(found) == words
    # The counterfactual: with the time over, it is chosen.
    assert level.decide(posed, (plan.setting, [best]), 75.0, None).cause is Cause.OBJECTIVE


def test_room_below_a_limit_is_named_and_not_the_dwell() -> None:
    posed = replace(problem(2, 1), foreign={}, power_cap=math.inf)
    name = posed.demands[0].target.application
    slow_down = SlowDownFilter()
    slow_down.variance = 1e-6
    highest = len(posed.joint.settings) - 1
    latency = float(posed.joint.tables[0].p95[3, highest]) * 1.01
    target = Target(name, latency=latency, objective=Objective.MAXIMUM_ACCURACY)
    demand = replace(
        posed.demands[0],
        target=target,
        slow_down=slow_down,
        camera_rate=5.0,
        overhead=0.0,
        overhead_deviation=0.0,
        usable=np.ones(4, dtype=bool),
    )
    posed = replace(posed, demands=(demand,), settings=np.array([highest]))
    level = ResourceLevel(SETTINGS)
    options = [level.decide(posed, None, 0.0, None).option(0)]
    plan = level.decide(posed, (highest, options), 75.0, None)
    ((_, option, found),) = nexts(posed, plan)
    assert option == 3
    assert [objection.criterion for objection in found] == ['latency']
    assert 'too near' in in_words(found)
    roomy = replace(posed, demands=(replace(demand, target=replace(target, latency=0.2)),))
    assert level.decide(roomy, (highest, options), 150.0, None).option(0) == 3
