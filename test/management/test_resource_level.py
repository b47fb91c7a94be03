# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The joint choice: against an exhaustive search, and without oscillation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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
from dynamic_dnn_ros.management.resource_level import (
    PATIENCE,
    Cause,
    Plan,
    ResourceLevel,
    alternatives,
    neighbours,
)
from dynamic_dnn_ros.management.tables import application_table, join
from dynamic_dnn_ros.management.targets import Objective, Target
from support.applications import GPU, SUB_NETWORKS, application, operating_points

SETTINGS = ResourceSettings(margin=0.0)
NAMES = ('/a/node', '/b/node', '/c/node')


def known(mean: float = 1.0) -> SlowDownFilter:
    slow_down = SlowDownFilter()
    slow_down.mean, slow_down.variance, slow_down.observations = mean, 1e-9, 100
    return slow_down


def problem(
    targets: Sequence[Target],
    slow_downs: Sequence[float] = (),
    rate: float = 30.0,
    foreign: dict[str, float] | None = None,
    power: bool = True,
    frequencies: Sequence[float] = GPU,
    sub_networks: dict[str, tuple[float, float]] = SUB_NETWORKS,
) -> Problem:
    tables = [
        application_table(
            application(
                target.application,
                operating_points=operating_points(frequencies, sub_networks, power=power),
                accuracies={name: accuracy for name, (_, accuracy) in sub_networks.items()},
            )
        )
        for target in targets
    ]
    joint = join(tables)
    demands = tuple(
        Demand(
            target,
            target.priority,
            known(slow_down),
            rate,
            0.0,
            0.0,
            np.ones(len(table.options), dtype=bool),
            np.ones((len(table.options), len(joint.domains))),
        )
        for target, table, slow_down in zip(targets, tables, slow_downs or [1.0] * len(targets))
    )
    return Problem(joint, np.arange(len(joint.settings)), demands, foreign or {})


def decide(task: Problem) -> Plan:
    return ResourceLevel(SETTINGS).decide(task, None, 0.0, fresh=SwitchReason.PLATFORM)


def sub_networks(plan: Plan) -> list[str]:
    tables = plan.problem.joint.tables
    return [table.options[plan.option(a)][0] for a, table in enumerate(tables)]


def frequency(plan: Plan) -> float:
    return plan.problem.joint.frequencies(plan.setting)['gpu']


def test_least_power_that_meets_latency_and_accuracy() -> None:
    task = problem([Target(NAMES[0], latency=0.03, accuracy=0.85)])
    plan = decide(task)
    assert sub_networks(plan) == ['s1']
    everything = evaluate(
        task,
        np.repeat(task.settings, 4),
        np.tile(np.arange(4), len(task.settings))[:, None],
        SETTINGS,
    )
    meets = everything.applications[0].shortfall == 0
    assert plan.evaluation.power[plan.row] == pytest.approx(everything.power[meets].min())


def test_maximum_accuracy_within_the_limits() -> None:
    target = Target(NAMES[0], latency=0.028, objective=Objective.MAXIMUM_ACCURACY)
    assert sub_networks(decide(problem([target]))) == ['s3']
    assert sub_networks(decide(problem([target], [2.0]))) == ['s1']


def test_a_little_more_accuracy_is_worth_a_change() -> None:
    close = {'s0': (0.012, 0.8800), 's1': (0.016, 0.8910), 's2': (0.020, 0.8912)}
    target = Target(NAMES[0], latency=0.05, objective=Objective.MAXIMUM_ACCURACY)
    task = problem([target], frequencies=GPU[-1:], sub_networks=close)
    plan = decide(task)
    # A fifth of a thousandth counts as equal: the cheaper one of the two best.
    assert sub_networks(plan) == ['s1']
    level = ResourceLevel(SETTINGS)
    level.note_change(0.0)
    less = level.decide(task, (plan.setting, [0]), 60.0, fresh=None)
    assert (less.cause, sub_networks(less)) == (Cause.OBJECTIVE, ['s1'])
    equal = level.decide(task, (plan.setting, [2]), 120.0, fresh=None)
    assert equal.cause in (Cause.SMALL, Cause.ENERGY)


def test_minimum_latency_takes_the_highest_clock() -> None:
    target = Target(NAMES[0], objective=Objective.MINIMUM_LATENCY)
    plan = decide(problem([target]))
    assert (sub_networks(plan), frequency(plan)) == (['s0'], GPU[-1])


def test_energy_limit_counts() -> None:
    free = decide(problem([Target(NAMES[0], accuracy=0.8, latency=0.03)]))
    energy = float(free.evaluation.applications[0].energy[free.row])
    limited = Target(NAMES[0], latency=0.03, energy=energy, objective=Objective.MAXIMUM_ACCURACY)
    plan = decide(problem([limited]))
    assert float(plan.evaluation.applications[0].energy[plan.row]) <= energy * 1.0001


def test_rate_limit_needs_a_fast_enough_sub_network() -> None:
    target = Target(NAMES[0], rate=60.0, objective=Objective.MAXIMUM_ACCURACY)
    assert sub_networks(decide(problem([target], rate=60.0))) == ['s2']


def test_impossible_target_gets_the_nearest_point() -> None:
    plan = decide(problem([Target(NAMES[0], latency=0.002)]))
    assert (sub_networks(plan), frequency(plan)) == (['s0'], GPU[-1])
    found = plan.evaluation.applications[0]
    assert found.shortfall[plan.row] == pytest.approx(found.latency[plan.row] / 0.002 - 1)


def test_the_higher_priority_is_met_first() -> None:
    for first in (0, 1):
        targets = [
            Target(
                name,
                accuracy=0.92,
                latency=0.03,
                rate=29.0,
                priority=5 if index == first else 1,
            )
            for index, name in enumerate(NAMES[:2])
        ]
        plan = decide(problem(targets))
        shortfall = [float(a.shortfall[plan.row]) for a in plan.evaluation.applications]
        assert shortfall[first] == 0
        assert shortfall[1 - first] > 0


def test_a_greedy_application_does_not_cost_another_its_target() -> None:
    greedy = Target(NAMES[0], latency=0.1, objective=Objective.MAXIMUM_ACCURACY, priority=9)
    modest = Target(NAMES[1], latency=0.017, accuracy=0.9)
    plan = decide(problem([greedy, modest]))
    assert plan.evaluation.applications[1].shortfall[plan.row] == 0
    assert sub_networks(plan) == ['s0', 's2']


def test_foreign_load_raises_the_clock() -> None:
    target = Target(NAMES[0], accuracy=0.86)
    alone = decide(problem([target], rate=20.0))
    shared = decide(problem([target], rate=20.0, foreign={'gpu': 0.5 * GPU[3]}))
    assert frequency(shared) > frequency(alone)
    busy = shared.evaluation.applications[0].busy[shared.row]
    assert busy + 0.5 * GPU[3] / frequency(shared) <= SETTINGS.utilisation_limit
    assert shared.evaluation.excess[shared.row] == 0


def test_without_figures_of_power_less_work_at_lower_clocks_is_cheaper() -> None:
    plan = decide(problem([Target(NAMES[0], latency=0.05)], power=False))
    assert sub_networks(plan) == ['s0']
    assert frequency(plan) < GPU[-1]
    assert not plan.evaluation.power_known


def test_without_domains_only_sub_networks_are_chosen() -> None:
    target = Target(NAMES[0], latency=0.012, objective=Objective.MAXIMUM_ACCURACY)
    plan = decide(problem([target], frequencies=()))
    assert sub_networks(plan) == ['s1']


def test_what_may_not_be_used_is_not_chosen() -> None:
    task = problem([Target(NAMES[0], objective=Objective.MAXIMUM_ACCURACY)])
    task.demands[0].usable[3] = False
    assert sub_networks(decide(task)) == ['s2']


def test_keeps_what_is_not_worth_a_change_and_waits_for_the_dwell() -> None:
    level = ResourceLevel(ResourceSettings(dwell=2.0, margin=0.0))
    loose = problem([Target(NAMES[0], latency=0.05)])
    tight = problem([Target(NAMES[0], latency=0.0075)])
    plan = level.decide(tight, None, 0.0, fresh=SwitchReason.PLATFORM)
    high = (plan.setting, [plan.option(0)])
    assert level.decide(loose, high, 1.0, fresh=None).cause is Cause.DWELL
    assert level.decide(loose, high, 2.5, fresh=None).cause is Cause.ENERGY
    for fresh in (SwitchReason.PLATFORM, SwitchReason.APPLICATION):
        assert level.decide(loose, high, 3.0, fresh=fresh).cause is Cause.DWELL
    cheap = level.decide(loose, high, 3.0, fresh=SwitchReason.TARGET)
    assert cheap.cause is Cause.ENERGY
    low = (cheap.setting, [cheap.option(0)])
    assert level.decide(loose, low, 9.0, fresh=None).cause is Cause.KEPT
    # A miss waits for nothing.
    assert level.decide(tight, low, 9.0, fresh=None).cause is Cause.MISSED


def test_what_nobody_asked_for_waits_for_the_dwell_and_for_changes_on_their_way() -> None:
    level = ResourceLevel(ResourceSettings(dwell=2.0, margin=0.0))
    camera = Target(NAMES[0], latency=0.012, objective=Objective.MAXIMUM_ACCURACY)
    task = problem([camera])
    unasked = replace(task, demands=(replace(task.demands[0], priority=-1),))
    late = (int(task.settings[-1]), [3])
    for posed, cause in ((task, Cause.MISSED), (unasked, Cause.CAMERA)):
        level.note_change(10.0)
        now = level.decide(posed, late, 11.0, fresh=None).cause
        assert now is (Cause.DWELL if cause is Cause.CAMERA else cause)
        assert level.decide(posed, late, 14.0, fresh=None).cause is cause
        level.note_change(10.0)
        now = level.decide(posed, late, 14.0, fresh=None, changing=True).cause
        assert now is (Cause.CHANGING if cause is Cause.CAMERA else cause)


def test_without_a_dwell_it_may_decide_twice_at_one_time() -> None:
    level = ResourceLevel(ResourceSettings(dwell=0.0, margin=0.0))
    tight = problem([Target(NAMES[0], latency=0.0075)])
    plan = level.decide(tight, None, 5.0, fresh=SwitchReason.PLATFORM)
    high = (plan.setting, [plan.option(0)])
    loose = problem([Target(NAMES[0], latency=0.05)])
    assert level.decide(loose, high, 5.0, fresh=None).cause is Cause.ENERGY


def test_a_small_saving_is_worth_it_once_things_have_stood_for_long() -> None:
    task = problem([Target(NAMES[0], latency=0.2, latency_quantile=0.5)])
    plan = decide(task)
    power = plan.evaluation.power
    best = (plan.setting, [plan.option(0)])
    near = _near(task, float(power[plan.row]))
    level = ResourceLevel(ResourceSettings(dwell=2.0, margin=0.0, gain=0.3))
    level.note_change(0.0)
    assert level.decide(task, near, 2.1, fresh=None).cause is Cause.SMALL
    assert level.decide(task, near, 6.1, fresh=None).cause is Cause.ENERGY
    noisy = replace(task, demands=tuple(replace(d, slow_down=jittery()) for d in task.demands))
    assert level.decide(noisy, near, 16.0, fresh=None).cause is Cause.SMALL
    assert level.decide(task, best, 1010.0, fresh=None).cause is Cause.KEPT


def test_a_saving_that_noise_may_explain_counts_once_it_has_been_there_for_long() -> None:
    task = problem([Target(NAMES[0], latency=0.2, latency_quantile=0.5)])
    other = problem([Target(NAMES[0], latency=0.0075, latency_quantile=0.5)])
    noisy = replace(task, demands=tuple(replace(d, slow_down=jittery()) for d in task.demands))
    least = float(decide(task).evaluation.power[0])
    near = _near(task, least)
    level = ResourceLevel(SETTINGS)
    level.note_change(0.0)
    assert level.decide(noisy, near, 100.0, fresh=None).cause is Cause.SMALL
    assert level.decide(noisy, near, 99.0 + PATIENCE, fresh=None).cause is Cause.SMALL
    # Another one that is better for a moment begins the wait anew.
    level.decide(other, near, 99.5 + PATIENCE, fresh=None)
    level.note_change(0.0)
    assert level.decide(noisy, near, 101.0 + PATIENCE, fresh=None).cause is Cause.SMALL
    assert level.decide(noisy, near, 102.0 + 2 * PATIENCE, fresh=None).cause is Cause.ENERGY


def test_what_answers_a_new_target_is_worth_a_small_saving() -> None:
    task = problem([Target(NAMES[0], latency=0.2, latency_quantile=0.5)])
    least = float(decide(task).evaluation.power[0])
    near = _near(task, least)
    level = ResourceLevel(ResourceSettings(dwell=2.0, margin=0.0, gain=0.5))
    level.note_change(0.0)
    assert level.decide(task, near, 2.1, fresh=None).cause is Cause.SMALL
    assert level.decide(task, near, 2.1, fresh=SwitchReason.PLATFORM).cause is Cause.SMALL
    assert level.decide(task, near, 2.2, fresh=SwitchReason.TARGET).cause is Cause.ENERGY
    # What is as good stays.
    best = decide(task)
    same = (best.setting, [best.option(0)])
    assert level.decide(task, same, 2.3, fresh=SwitchReason.TARGET).cause is Cause.KEPT


def _near(task: Problem, least: float) -> tuple[int, list[int]]:
    """Return a setting and an option that take a little more power than the least."""
    return next(
        (int(row), [option])
        for row in task.settings
        for option in range(4)
        if _is_a_little_more(task, int(row), option, least)
    )


def _is_a_little_more(task: Problem, row: int, option: int, least: float) -> bool:
    one = evaluate(task, np.array([row]), np.array([[option]]), SETTINGS)
    met = one.applications[0].shortfall[0] == 0
    return bool(met and 0.12 < 1 - least / one.power[0] < 0.25)


def jittery() -> SlowDownFilter:
    slow_down = SlowDownFilter()
    for number in range(200):
        slow_down.update(1.0 + 0.6 * (-1) ** number, 0.03)
    slow_down.mean = 1.0
    return slow_down


def test_a_saving_that_had_to_be_taken_back_lengthens_the_dwell() -> None:
    level = ResourceLevel(ResourceSettings(dwell=1.0, margin=0.0))
    loose = problem([Target(NAMES[0], latency=0.05)])
    tight = problem([Target(NAMES[0], latency=0.0075)])
    plan = level.decide(tight, None, 0.0, fresh=SwitchReason.PLATFORM)
    high = (plan.setting, [plan.option(0)])
    now, savings = 0.0, []
    for _ in range(200):
        now += 0.5
        saved = level.decide(loose, high, now, fresh=None)
        if saved.cause is Cause.ENERGY:
            savings.append(now)
            level.decide(tight, (saved.setting, [saved.option(0)]), now + 0.1, fresh=None)
    gaps = np.diff(savings)
    assert gaps[0] < 3
    assert gaps[-1] > 10


def test_alternatives_begin_with_the_plan() -> None:
    plan = decide(problem([Target(NAMES[0], latency=0.03), Target(NAMES[1])]))
    around = alternatives(plan, 1, SETTINGS)
    assert around.power[0] == pytest.approx(plan.evaluation.power[plan.row])
    assert around.settings[:5].tolist() == [plan.setting] * 5
    assert around.settings[5:].tolist() == neighbours(plan.problem, plan.setting).tolist()


def test_neighbours_lie_one_step_away_in_one_domain() -> None:
    task = problem([Target(NAMES[0])])
    last = len(GPU) - 1
    assert neighbours(task, 2).tolist() == [3, 1]
    assert neighbours(task, last).tolist() == [last - 1]
    # What may not be chosen is stepped over.
    assert neighbours(replace(task, settings=np.array([0, 2, 4])), 2).tolist() == [4, 0]


limits = st.fixed_dictionaries(
    {},
    optional={
        'latency': st.floats(0.001, 0.2),
        'accuracy': st.floats(0.5, 1.0),
        'energy': st.floats(0.001, 0.5),
        'rate': st.floats(1.0, 90.0),
        'priority': st.integers(0, 3),
        'objective': st.sampled_from(Objective),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(limits, min_size=1, max_size=2),
    st.floats(0.3, 4.0),
    st.floats(1.0, 60.0),
    st.floats(0.0, 0.9),
)
def test_no_joint_choice_misses_fewer_targets(
    wishes: list[dict[str, float]], slow_down: float, rate: float, foreign: float
) -> None:
    targets = [Target(name, **wish) for name, wish in zip(NAMES, wishes)]  # type: ignore[arg-type]
    task = problem(
        targets, [slow_down] * len(targets), rate, {'gpu': foreign * GPU[-1]} if foreign else {}
    )
    plan = decide(task)
    options = np.array(list(product(range(4), repeat=len(targets))))
    everything = evaluate(
        task,
        np.repeat(task.settings, len(options)),
        np.tile(options, (len(task.settings), 1)),
        SETTINGS,
    )
    assert plan.setting in task.settings
    if len(targets) == 1:
        allowed = everything.excess <= everything.excess.min() + 0.011
        missed = everything.applications[0].margined[allowed] > 0
        assert (plan.evaluation.applications[0].margined[plan.row] > 0) <= missed.all()


@pytest.mark.parametrize(('slower', 'stays'), [(0.0115, True), (0.04, False)])
def test_who_tells_of_the_scene_is_left_for_a_real_saving_only(slower: float, stays: bool) -> None:
    # b has stages: what it takes in this scene is a little more, or much more, than a takes.
    task = problem(
        [Target(NAMES[0], latency=0.1)],
        rate=20.0,
        sub_networks={'a': (0.01, 0.9), 'b': (slower, 0.9)},
    )
    (demand,) = task.demands
    highest = int(task.settings[-1])
    for teaches, left in ((None, True), ([False, True], not stays), ([True, False], True)):
        told = replace(demand, teaches=None if teaches is None else np.array(teaches))
        asked = replace(task, demands=(told,))
        plan = ResourceLevel(SETTINGS).decide(asked, (highest, (1,)), 1e3, SwitchReason.TARGET)
        assert sub_networks(plan) == ['a' if left else 'b']
        # The clocks are the best ones all the same.
        assert frequency(plan) < GPU[-1]


def test_who_tells_of_the_scene_is_left_where_it_misses_the_target() -> None:
    task = problem(
        [Target(NAMES[0], latency=0.0112)],
        rate=20.0,
        sub_networks={'a': (0.01, 0.9), 'b': (0.0115, 0.9)},
    )
    (demand,) = task.demands
    asked = replace(task, demands=(replace(demand, teaches=np.array([False, True])),))
    plan = ResourceLevel(SETTINGS).decide(asked, (int(task.settings[-1]), (1,)), 1e3, None)
    assert sub_networks(plan) == ['a']


def test_what_is_prepared_for_long_has_to_win_that_back() -> None:
    """A plan without preparation is chosen meanwhile, at the clocks that are best for it."""
    task = problem(
        [Target(NAMES[0], latency=0.1)],
        rate=20.0,
        sub_networks={'a': (0.009, 0.9), 'b': (0.010, 0.9)},
    )
    level = ResourceLevel(SETTINGS)
    incumbent = (int(task.settings[-1]), (1,))

    def decided(now: float, seconds: float, fresh: SwitchReason | None = None) -> Plan:
        times = (np.array([seconds, 0.0]),)
        return level.decide(task, incumbent, now, fresh, preparations=times)

    first = decided(100.0, 60.0, SwitchReason.TARGET)
    assert sub_networks(first) == ['b'] and frequency(first) < GPU[-1]
    assert sub_networks(decided(130.0, 60.0)) == ['b']
    # It is worth it once things have stood for long, and at once where it is prompt.
    assert sub_networks(decided(140.0, 0.5)) == ['a']
    assert sub_networks(decided(100.0 + 3600.0, 60.0)) == ['a']


def test_a_target_that_is_missed_waits_for_no_price() -> None:
    task = problem(
        [Target(NAMES[0], latency=0.0112)],
        rate=20.0,
        sub_networks={'a': (0.010, 0.9), 'b': (0.0115, 0.9)},
    )
    incumbent = (int(task.settings[-1]), (1,))
    times = (np.array([60.0, 0.0]),)
    plan = ResourceLevel(SETTINGS).decide(
        task, incumbent, 1.0, SwitchReason.TARGET, preparations=times
    )
    assert sub_networks(plan) == ['a']
