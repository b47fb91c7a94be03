# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Why another point was not chosen, by the criteria of the choice itself.

They are gone through in the order in which the choice does (`joint_choice.py`). All that speaks
against the other point is named, up to the first criterion at which it is better: without that it
would have been chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dynamic_dnn_ros.management.assessment import (
    Assessment,
    Demand,
    Evaluation,
    by_priority,
    objective_values,
)
from dynamic_dnn_ros.management.narrowing import WITHIN, within
from dynamic_dnn_ros.management.resource_level import Cause, Plan, change_worth
from dynamic_dnn_ros.management.targets import Objective
from dynamic_dnn_ros.management.words import in_unit, limit_title, percent, told_apart

LIMITS = ('latency', 'accuracy', 'energy', 'rate')
"""In the order of `assessment.CONSTRAINTS`."""


class Objection(NamedTuple):
    """
    What speaks against a point, in words.

    `criterion` is the name of a limit, or `objective`, `power`, `cap` (of power), `load` (that is
    not ours), `dwell`, `small` or `none`; `application` whose it is, empty: the board's.
    """

    criterion: str
    application: str
    words: str


class _Step(NamedTuple):
    """One criterion: how much better (> 0) or worse (< 0) the other point is, and in words."""

    better: int
    objections: list[Objection]


def objections(
    plan: Plan, index: int, around: Evaluation, other: int, metric: str
) -> tuple[Objection, ...]:
    """
    Return all that kept a point from being chosen.

    :param index: of the application that would be served otherwise
    :param around: what `resource_level.alternatives` returns; row 0 is the plan
    :param other: row of the point in it
    :param metric: of the application's accuracy, for the sentence
    """
    found: list[Objection] = []
    slightly = False
    for step in _steps(plan, index, around, other, metric):
        if step.better > 0:
            if found:
                return tuple(found)
            return (_not_now(plan),)
        slightly |= step.better == 0
        found += step.objections
    if found:
        return tuple(found)
    if slightly:
        return (Objection('small', '', 'it is better by less than a change is worth'),)
    return (Objection('none', '', 'it is no better'),)


def in_words(found: tuple[Objection, ...]) -> str:
    """Return objections as one sentence."""
    return ', and '.join(objection.words for objection in found)


def _not_now(plan: Plan) -> Objection:
    if plan.cause is Cause.DWELL:
        return Objection(
            'dwell', '', f'it is better, but changes are at least {plan.dwell:.3g} s apart'
        )
    if plan.cause is Cause.CHANGING:
        return Objection('dwell', '', 'it is better, but waits until the last change is made')
    return Objection('none', '', 'all applications together are served better without it')


_WORSE = -1


def _steps(plan: Plan, index: int, around: Evaluation, other: int, metric: str) -> Iterator[_Step]:
    """Return the criteria at which the points differ; 0: better by less than is worth a change."""
    problem, demands = plan.problem, plan.problem.demands
    order = by_priority(demands)
    more = around.excess[other] - around.excess[0]
    if abs(more) > WITHIN:
        yield _Step(int(-np.sign(more)), _too_much(plan, around, other) if more > 0 else [])
    # A new choice leaves room below limits, what is in force may use them up.
    chosen = [a.margined if plan.row == 0 else a.shortfall for a in around.applications]
    missed = [a.margined[other] > 0 for a in around.applications]
    for a in order:
        if missed[a] != (chosen[a][0] > 0):
            yield (
                _Step(1, [])
                if not missed[a]
                else _Step(
                    _WORSE, _limits(demands[a], around.applications[a], other, a == index, metric)
                )
            )
    for a in order:
        if missed[a] and chosen[a][0] > 0:
            new, old = around.applications[a].margined[other], around.applications[a].margined[0]
            if new > old * (1 + WITHIN):
                yield _Step(
                    _WORSE, _limits(demands[a], around.applications[a], other, a == index, metric)
                )
            elif new * (1 + 2 * WITHIN) + WITHIN < old:
                yield _Step(1, [])
    for a in order:
        objective = demands[a].target.objective
        if objective is not Objective.MINIMUM_ENERGY:
            values = objective_values(demands[a], around.applications[a], around.power)
            new, old = float(values[other]), float(values[0])
            if new > old + within(objective) * abs(old):
                yield _Step(
                    _WORSE, [_served_worse(demands[a], around, a, other, a == index, metric)]
                )
            elif new < old:
                yield _Step(int(new < old - change_worth(objective) * abs(old)), [])
    power, least = around.power[other], around.power[0]
    if power > least:
        yield _Step(_WORSE, [_more_power(problem.demands[index], around, index, other)])
    elif power < least:
        yield _Step(int(power < least * (1 - plan.gain)), [])


def _too_much(plan: Plan, around: Evaluation, other: int) -> list[Objection]:
    cap, power = plan.problem.power_cap, around.power[other]
    found = []
    if power / cap > max(around.power[0] / cap, 1.0) + WITHIN:
        words = f'its {power:.3g} W are more than the {cap:.3g} W that remain'
        found.append(Objection('cap', '', words))
    if around.load_excess[other] > around.load_excess[0] + WITHIN:
        words = 'it leaves too little of a frequency domain to load that is not ours'
        found.append(Objection('load', '', words))
    return found


def _limits(
    demand: Demand, found: Assessment, other: int, own: bool, metric: str
) -> list[Objection]:
    """Return the limits that a point misses, or leaves too little room below."""
    target, room = demand.target, demand.room(found.margin)
    values = (
        float(found.latency[other]),
        float(found.accuracy[other]),
        float(found.energy[other]),
        float(found.rate[other]),
    )
    rows = []
    for number in np.flatnonzero(found.margined_misses[:, other] > 0).tolist():
        key, value = LIMITS[number], values[number]
        limit = float(getattr(target, key))
        title = limit_title(key, metric if own else '')
        held, asked = told_apart(key, value, limit)
        if not own:
            words = f'{target.application} would miss its {title} with {held}'
        elif not found.misses[number, other] > 0:
            words = (
                f'its {title} of {held} is too near to {asked}: a change leaves '
                f'{100 * room:.2g}% free'
            )
        elif demand.asked:
            words = f'its {title} of {held} misses {asked}'
        elif key == 'latency':
            words = f'its latency of {held} is not below the {asked} between two frames'
        else:
            words = f'it serves only {held} of the {demand.camera_rate:.4g} Hz of its camera'
        rows.append(Objection(key, target.application, words))
    return rows


def _served_worse(
    demand: Demand, around: Evaluation, a: int, other: int, own: bool, metric: str
) -> Objection:
    found, name = around.applications[a], demand.target.application
    if demand.target.objective is Objective.MAXIMUM_ACCURACY:
        value, of = (
            in_unit('accuracy', float(found.accuracy[other])),
            limit_title('accuracy', metric if own else ''),
        )
        words = f'its {of} of {value} is lower'
    else:
        value, of = in_unit('latency', float(found.latency[other])), 'latency'
        words = f'its {of} of {value} is higher'
    if not own:
        words = f'{name} would be served with {of} of {value} only'
    return Objection('objective', name, words)


def _more_power(demand: Demand, around: Evaluation, index: int, other: int) -> Objection:
    name = demand.target.application
    if around.power_known:
        more = around.power[other] - around.power[0]
        return Objection('power', name, f'it takes {more:.3g} W more')
    busy = around.applications[index].busy
    return Objection(
        'power',
        name,
        f'it keeps its processor busy for {percent(float(busy[other]))} of the time instead of '
        f'{percent(float(busy[0]))}',
    )
