# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What would become of a target if it were set: met or not, the nearest point, what it costs."""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import Problem, ResourceSettings, evaluate
from dynamic_dnn_ros.management.decisions import Prediction, TargetReport, TargetState
from dynamic_dnn_ros.management.joint_choice import choose_jointly
from dynamic_dnn_ros.management.reports import beyond, runner_up, unjudged
from dynamic_dnn_ros.management.resource_level import Cause, Plan, alternatives
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.management.words import limit_title, told_apart


def answered(
    problem: Problem,
    index: int,
    target: Target,
    settings: ResourceSettings,
    power: float,
    metric: str = '',
) -> TargetReport:
    """
    Answer what would be served if an application had a target; nothing is changed by it.

    :param problem: what is asked for now
    :param index: of the application that the target is for
    :param power: that the board is expected to take now, W; NaN: not known
    :param metric: of the application's accuracy
    """
    demands = list(problem.demands)
    demands[index] = replace(demands[index], target=target, priority=target.priority)
    supposed = replace(problem, demands=tuple(demands))
    best = choose_jointly(supposed, settings)
    found = evaluate(supposed, np.array([best.setting]), best.options[None, :], settings)
    mine = found.applications[index]
    values = {
        'latency': float(mine.latency[0]),
        'accuracy': float(mine.accuracy[0]),
        'energy': float(mine.energy[0]),
        'rate': float(mine.rate[0]),
    }
    limits = target.limits()
    missed = tuple(beyond(name, limit, values[name]) for name, limit in limits.items())
    expected = float(found.power[0]) if found.power_known else math.nan
    decision = Prediction(
        *problem.joint.tables[index].options[int(best.options[index])],
        tuple(problem.joint.frequencies(best.setting).items()),
        values['latency'],
        values['accuracy'],
        values['energy'],
        expected,
    )
    others = [
        demand.target.application
        for a, demand in enumerate(supposed.demands)
        if a != index and demand.priority >= 0 and found.applications[a].shortfall[0] > 0
    ]
    plan = Plan(supposed, found, 0, Cause.KEPT)
    second, why = runner_up(plan, index, alternatives(plan, index, settings), metric)
    return TargetReport(
        target.application,
        TargetState.ANSWERED,
        target,
        tuple(limits),
        tuple(limits.values()),
        tuple(values[name] for name in limits),
        (math.nan,) * len(limits),
        missed,
        decision=decision,
        runner_up=second,
        runner_up_reason=why,
        reason='asked, not set',
        message=' '.join(
            part
            for part in (
                _in_words(limits, values, missed, others, expected, power, metric),
                unjudged(target, values, metric),
            )
            if part
        ),
        metric=metric,
    )


def unanswerable(target: Target, problem: str) -> TargetReport:
    """Answer where nothing can be predicted."""
    return TargetReport(
        target.application,
        TargetState.ANSWERED,
        target,
        reason='asked, not set',
        message=f'Nothing can be said of this target: {problem}',
    )


def _missed(title: str, value: str, limit: str) -> str:
    return f'{title} {limit} (expected: {value})'


def _in_words(
    limits: dict[str, float],
    values: dict[str, float],
    missed: tuple[float, ...],
    others: list[str],
    expected: float,
    power: float,
    metric: str,
) -> str:
    short = [
        _missed(limit_title(name, metric), *told_apart(name, values[name], limit))
        for (name, limit), by in zip(limits.items(), missed)
        if by > 0
    ]
    words = f'It would miss {", ".join(short)}' if short else 'It would be met'
    if not short and any(math.isnan(values[name]) for name in limits):
        words = 'The other limits would be met' if len(limits) > 1 else 'It cannot be said'
    if not math.isnan(expected):
        words += f'; the board would take {expected:.3g} W'
        if not math.isnan(power):
            words += f', {expected - power:+.2g} W from now'
    if others:
        words += f'; targets of {", ".join(others)} would be missed'
    return f'{words}.'
