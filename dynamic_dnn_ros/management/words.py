# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What targets, and what is decided about them, are called in sentences."""

from __future__ import annotations

from collections.abc import Sequence
import math

from dynamic_dnn_ros.management.decisions import (
    Prediction,
    SwitchReason,
    TargetReport,
    TargetState,
)
from dynamic_dnn_ros.management.targets import LateFrames, Objective, Target
from dynamic_dnn_ros.tasks.contract import Metric

AT_LEAST = ('accuracy', 'rate')
"""Limits that are met from below upwards; the others are met from above downwards."""

SWITCH_REASONS = {
    SwitchReason.TARGET: 'a target changed',
    SwitchReason.MEASUREMENT: 'by what was measured it serves better',
    SwitchReason.PLATFORM: 'the platform or its load changed',
    SwitchReason.APPLICATION: 'an application came, went or changed',
    SwitchReason.ENERGY: 'it serves the same targets with less power',
    SwitchReason.TARGET_ECHO: 'the target in force is handed over',
    SwitchReason.HARDER: 'pictures became harder, so fewer leave early',
    SwitchReason.EASIER: 'pictures became easier, so more leave early',
}
"""Why an application is switched, to go on after 'because'."""


def metric_title(metric: str) -> str:
    """Return how people call a metric, e.g. 'AP 50:95'; one that is not known as it is."""
    try:
        return Metric(metric).title
    except ValueError:
        return metric


def limit_title(name: str, metric: str) -> str:
    """
    Return how a limit is called in a sentence: of accuracy, the metric is said.

    :param metric: of the application, as `Metric` has it; empty: not known
    """
    if name == 'accuracy' and metric:
        return f'accuracy ({metric_title(metric)})'
    return name


def quality_title(metric: str) -> str:
    """
    Return what a table calls accuracy: by its metric, unless that is the share of right answers.

    :param metric: as `Metric` has it or as people call it; empty: not known
    """
    title = metric_title(metric)
    return 'accuracy' if title in ('', Metric.TOP1.title) else title


def limit_name(name: str, metric: str) -> str:
    """Return what a limit is called in a table, where there is little room."""
    return quality_title(metric) if name == 'accuracy' else name


def quantity(value: float, form: str, unit: str = '') -> str:
    """Return a figure with its unit; a dash where it is not known."""
    if not math.isfinite(value):
        return '–'
    return f'{value:{form}}%' if unit == '%' else f'{value:{form}} {unit}'.rstrip()


def milliseconds(seconds: float) -> str:
    """Return a duration in ms, as tables of runs have it."""
    return quantity(seconds * 1e3, '.1f', 'ms')


def percent(share: float) -> str:
    """Return a share, 0..1, in percent; nearly all or nearly none is not rounded to that."""
    if 0.9995 <= share < 1:
        return '99.9%'
    return '0.1%' if 0 < share < 0.0005 else quantity(share, '.1%')


def state_words(state: TargetState) -> str:
    """Return a state as people read it."""
    return state.name.lower().replace('_', ' ')


def in_unit(name: str, value: float) -> str:
    """Return a quantity of a limit in a unit for people; a dash where it is not known."""
    if not math.isfinite(value):
        return '–'
    if name == 'latency':
        return f'{value * 1e3:.4g} ms'
    if name == 'accuracy':
        return percent(value)
    if name == 'energy':
        return f'{value * 1e3:.4g} mJ' if value < 1 else f'{value:.4g} J'
    return f'{value:.4g} Hz'


def told_apart(name: str, value: float, limit: float) -> tuple[str, str]:
    """Return a quantity and its limit in a unit for people, so that they do not read the same."""
    texts = in_unit(name, value), in_unit(name, limit)
    if texts[0] != texts[1] or name != 'accuracy':
        return texts
    return f'{value:.2%}', f'{limit:.2%}'


def target_text(target: Target | None, metric: str = '') -> str:
    """Return a target on one line."""
    if target is None:
        return 'none'
    parts = [
        f'{limit_title(name, metric)} {"≥" if name in AT_LEAST else "≤"} {in_unit(name, value)}'
        + (f' for {target.quantile:.4g} of frames' if name == 'latency' else '')
        for name, value in target.limits().items()
    ]
    if target.objective is not Objective.MINIMUM_ENERGY or not parts:
        parts.append(target.objective.name.lower().replace('_', ' '))
    if target.priority:
        parts.append(f'priority {target.priority}')
    if target.late_frames is LateFrames.DROP:
        parts.append('late frames are dropped')
    return ', '.join(parts)


def paths_text(stages: Sequence[str], shares: Sequence[float]) -> str:
    """Return what share of the pictures leaves after which stage; empty without stages."""
    rows = [(name, share) for name, share in zip(stages, shares) if share >= 0.005]
    parts = [f'{share:.0%} leave at {name}' for name, share in rows[:1]]
    parts += [f'{share:.0%} at {name}' for name, share in rows[1:]]
    return ', '.join(parts)


def point_text(point: Prediction) -> str:
    """Return an operating point on one line."""
    if not point.sub_network:
        return 'none'
    words = f'{point.sub_network} on {point.processor}' if point.processor else point.sub_network
    clocks = [f'{name} {value * 1e-6:.0f} MHz' for name, value in point.frequencies]
    words += f', {", ".join(clocks)}' if clocks else ''
    return words + (f', {point.power:.3g} W' if math.isfinite(point.power) else '')


def limits_text(report: TargetReport) -> str:
    """Return how each limit of a report's target stands, on one line: by what is measured."""
    rows = zip(report.names, report.required, report.predicted, report.measured)
    parts = []
    for name, required, predicted, measured in rows:
        value = measured if math.isfinite(measured) else predicted
        asked = f'{"≥" if name in AT_LEAST else "≤"} {in_unit(name, required)}'
        parts.append(f'{limit_title(name, report.metric)} {in_unit(name, value)} ({asked})')
    return ', '.join(parts)
