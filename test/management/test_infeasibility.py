# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Why a target cannot be met: with what is named out of the way it is."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
import math

import numpy as np
import pytest

from dynamic_dnn_ros.management.assessment import Demand, Problem, ResourceSettings
from dynamic_dnn_ros.management.decisions import Constraint, TargetReport, TargetState
from dynamic_dnn_ros.management.estimator import SlowDownFilter
from dynamic_dnn_ros.management.infeasibility import (
    ANEW,
    Causes,
    Infeasibility,
    infeasibility,
    is_met,
    only,
)
from dynamic_dnn_ros.management.manager import Manager, ManagerSettings
from dynamic_dnn_ros.management.observations import DomainLoad, Load
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.management.tables import along_paths, application_table, join
from dynamic_dnn_ros.management.targets import LateFrames, Target
from support.applications import GPU, STAGES, application
from support.problems import problem

FRONT, REAR = '/front/inference_node', '/rear/inference_node'
SETTINGS = ResourceSettings()


def mended(posed: Problem, index: int, found: Infeasibility) -> list[Problem]:
    """Return the problem without what is named, or with each limit alone."""
    demand = posed.demands[index]
    if found.cause == 'clocks':
        return [replace(posed, settings=np.arange(len(posed.joint.settings)))]
    if found.cause == 'power':
        return [replace(posed, power_cap=math.inf)]
    if found.cause == 'load':
        return [replace(posed, foreign={})]
    if found.cause == 'refused':
        demands = list(posed.demands)
        demands[index] = replace(demand, usable=np.ones_like(demand.usable))
        return [replace(posed, demands=tuple(demands))]
    if found.cause == 'others':
        idle = [replace(d, target=Target('/a/b'), camera_rate=1e-6) for d in posed.demands]
        idle[index] = demand
        return [replace(posed, demands=tuple(idle))]
    variants = []
    for name in demand.target.limits():
        demands = list(posed.demands)
        demands[index] = replace(demand, target=only(demand.target, name))
        variants.append(replace(posed, demands=tuple(demands)))
    return variants


def test_what_is_named_is_the_cause() -> None:
    causes = set()
    for seed in range(300):
        posed = problem(seed, 2)
        for index in range(len(posed.demands)):
            if is_met(posed, index, SETTINGS):
                continue
            found = infeasibility(posed, index, SETTINGS, '')
            assert found.remedy
            met = [is_met(other, index, SETTINGS) for other in mended(posed, index, found)]
            if found.cause == 'alone':
                assert not all(met), (seed, index)
            else:
                assert all(met), (seed, index, found)
            causes.add(found.cause)
    assert causes == {'clocks', 'power', 'load', 'others', 'refused', 'together', 'alone'}


def test_pictures_that_are_too_hard_are_named() -> None:
    profiled = application_table(application(FRONT))
    tables = {
        difficulty: along_paths(profiled, {'s3': Paths(STAGES)}, 0.85, difficulty)
        for difficulty in (1.0, 3.0)
    }
    # The largest path of s3 takes 22 ms at least, its short one 6.6 ms.
    target = Target(FRONT, latency=0.02, latency_quantile=0.85, accuracy=0.92)
    posed = {
        difficulty: Problem(
            join([table]),
            np.arange(len(table.rows)),
            (
                Demand(
                    target, 0, SlowDownFilter(), 10.0, 0.0, 0.0, np.ones(4, bool), np.ones((4, 1))
                ),
            ),
            {},
        )
        for difficulty, table in tables.items()
    }
    assert is_met(posed[1.0], 0, SETTINGS)
    assert not is_met(posed[3.0], 0, SETTINGS)
    found = infeasibility(posed[3.0], 0, SETTINGS, '')
    assert (found.cause, found.of_platform) == ('scene', False)
    assert 'no harder than those of the calibration' in found.remedy
    longer = tables[3.0].seen_at(1.0)
    assert (longer.figures == tables[1.0].figures).all()


def board(limit: float = GPU[-1], foreign: float = 0.0) -> Load:
    domain = DomainLoad('gpu', GPU, GPU[0], limit, limit, utilisation_foreign=foreign)
    return Load('board', 'boot', 0.1, (domain,))


def report(
    target: Target,
    load: Load,
    settings: ManagerSettings | None = None,
    other: Target | None = None,
) -> TargetReport:
    """Return what is said of a target, on a board, perhaps beside another application."""
    subject = Manager('me', settings)
    subject.observe_load(load, 0.0)
    subject.add_application(application(FRONT), 0.0)
    if other is not None:
        subject.add_application(application(REAR), 0.0)
        subject.set_target(other, 1)
    subject.set_target(target, 1)
    return subject.decide(0.0).reports[0]


@pytest.mark.parametrize(
    ('target', 'settings', 'load', 'other', 'constraint', 'remedy'),
    [
        (
            Target(FRONT, latency=0.03, accuracy=0.92),
            ManagerSettings(),
            board(GPU[2]),
            None,
            Constraint.PLATFORM,
            'The clocks that may be set now do not reach it: allow others or relax it.',
        ),
        (
            Target(FRONT, latency=0.03, accuracy=0.92, rate=30.0),
            ManagerSettings(power_cap=5.0),
            board(),
            None,
            Constraint.PLATFORM,
            'It takes more than the 4.85 W that plans may take: allow more or relax it.',
        ),
        (
            Target(FRONT, latency=0.035, accuracy=0.92),
            ManagerSettings(),
            board(),
            Target(REAR, latency=0.03, accuracy=0.92, priority=9),
            Constraint.ACCURACY,
            f'Without {REAR} it would be met: ask less of them or relax it.',
        ),
        (
            Target(FRONT, latency=0.01, accuracy=0.92),
            ManagerSettings(),
            board(),
            None,
            Constraint.ACCURACY,
            'Each of its limits can be met, but not all: relax one.',
        ),
        (
            Target(FRONT, latency=0.001),
            ManagerSettings(),
            board(),
            None,
            Constraint.LATENCY,
            'Relax it.',
        ),
        (
            Target(FRONT, latency=0.001, accuracy=0.8),
            ManagerSettings(),
            board(),
            None,
            Constraint.LATENCY,
            'Even alone latency cannot be met: relax it.',
        ),
    ],
)
def test_the_manager_says_what_can_be_done(
    target: Target,
    settings: ManagerSettings,
    load: Load,
    other: Target | None,
    constraint: Constraint,
    remedy: str,
) -> None:
    found = report(target, load, settings, other)
    assert found.state is TargetState.INFEASIBLE
    assert found.message.startswith('No operating point meets ')
    assert found.message.endswith(remedy)
    assert found.binding_constraint is constraint


def test_one_limit_alone_keeps_nothing_that_belongs_to_another() -> None:
    target = Target(
        FRONT, latency=0.05, latency_quantile=0.9, rate=27.0, late_frames=LateFrames.DROP
    )
    assert only(target, 'rate') == Target(FRONT, rate=27.0)
    assert only(target, 'latency') == replace(target, rate=0.0)


def test_a_crowd_s_causes_are_found_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Problem, int]] = []

    def look(posed: Problem, index: int, settings: ResourceSettings, metric: str) -> Infeasibility:
        asked.append((posed, index))
        return Infeasibility('alone', f'{len(asked)}')

    monkeypatch.setattr(f'{Causes.__module__}.infeasibility', look)
    first = next(posed for seed in count() if len((posed := problem(seed, 3)).demands) == 3)
    causes = Causes(SETTINGS)
    causes.begin(first)
    found = [causes.of(first, index, '') for index in range(3)]
    assert len(asked) == 3 and found == [causes.of(first, index, '') for index in range(3)]
    # Another problem: a few anew in each round, until all are.
    second = replace(first, power_cap=1.0)
    for _ in range(math.ceil(3 / ANEW)):
        before = len(asked)
        causes.begin(second)
        for index in range(3):
            causes.of(second, index, '')
        assert len(asked) - before <= ANEW
    assert [index for posed, index in asked if posed is second] == [0, 1, 2]
    # Another target is looked at at once.
    demand = second.demands[2]
    demands = (*second.demands[:2], replace(demand, target=replace(demand.target, rate=99.0)))
    third = replace(second, demands=demands)
    causes.begin(third)
    causes.of(third, 2, '')
    assert asked[-1] == (third, 2)
    # Those whose targets can be met are in nobody's way, and looked at at once when they cannot.
    for _ in range(2):
        causes.begin(second)
        causes.of(second, 2, '')
    assert asked[-1] == (second, 2)
    causes.begin(second)
    before = len(asked)
    causes.of(second, 0, '')
    assert asked[before:] == [(second, 0)]
