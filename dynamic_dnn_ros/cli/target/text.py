# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Targets and what the manager says of them, as people and as scripts read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import IntEnum
import math
from typing import Any

from dynamic_dnn_ros.client import (
    Answer,
    ApplicationSummary,
    Objective,
    Prediction,
    Target,
    TargetReport,
    TargetState,
)
from dynamic_dnn_ros.management.words import limit_title

AT_LEAST = ('accuracy', 'rate')


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
        return f'{value:.1%}'
    if name == 'energy':
        return f'{value * 1e3:.4g} mJ' if value < 1 else f'{value:.4g} J'
    return f'{value:.4g} Hz'


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
    return ', '.join(parts)


def point_text(point: Prediction) -> str:
    """Return an operating point on one line."""
    if not point.sub_network:
        return 'none'
    words = f'{point.sub_network} on {point.processor}' if point.processor else point.sub_network
    clocks = [f'{name} {value * 1e-6:.0f} MHz' for name, value in point.frequencies]
    words += f', {", ".join(clocks)}' if clocks else ''
    return words + (f', {point.power:.3g} W' if math.isfinite(point.power) else '')


def report_lines(report: TargetReport) -> list[tuple[str, str]]:
    """Return a report in rows of a name and a text."""
    lines = [('target', target_text(report.target, report.metric))]
    rows = zip(report.names, report.required, report.predicted, report.measured, report.missed_by)
    for name, required, predicted, measured, missed in rows:
        sense = 'at least' if name in AT_LEAST else 'at most'
        text = f'{sense} {in_unit(name, required)}, expected {in_unit(name, predicted)}'
        if math.isfinite(measured):
            text += f', measured {in_unit(name, measured)}'
        if missed > 0:
            text += f': missed by {in_unit(name, missed)}'
        lines.append((limit_title(name, report.metric), text))
    lines.append(('chosen', point_text(report.decision)))
    if report.reason and report.state is not TargetState.ANSWERED:
        lines.append(('because', report.reason))
    if report.runner_up.sub_network:
        lines.append(('next best', f'{report.runner_up.sub_network}: {report.runner_up_reason}'))
    return lines


def answer_text(application: str, answer: Answer) -> str:
    """Return an answer in several lines."""
    rows = report_lines(answer.report) if answer.report is not None else []
    if answer.replaced is not None:
        sender = answer.replaced.sender or 'an unknown sender'
        metric = answer.report.metric if answer.report is not None else ''
        rows.append(('before', f'{target_text(answer.replaced, metric)} (of {sender})'))
    width = max((len(name) for name, _ in rows), default=0)
    head = f'{application}: {answer.message}' if answer.message else application
    return '\n'.join([head, *(f'  {name:<{width}}  {text}' for name, text in rows)])


def plain(value: Any) -> Any:
    """Return values as JSON has them: words for enums, null for what is not known."""
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value


def report_data(report: TargetReport) -> dict[str, Any]:
    """Return a report for scripts, in SI units."""
    data: dict[str, Any] = plain(asdict(report))
    columns = ('names', 'required', 'predicted', 'measured', 'missed_by')
    rows = zip(*(data.pop(name) for name in columns))
    keys = ('name', *columns[1:])
    data['limits'] = [dict(zip(keys, row)) for row in rows]
    for point in ('decision', 'runner_up'):
        data[point]['frequencies'] = dict(data[point]['frequencies'])
    return data


def answer_data(answer: Answer) -> dict[str, Any]:
    """Return an answer for scripts, in SI units."""
    return {
        'expected': plain(answer.expected),
        'message': answer.message,
        'replaced': plain(asdict(answer.replaced)) if answer.replaced is not None else None,
        'report': report_data(answer.report) if answer.report is not None else None,
    }


def application_data(application: ApplicationSummary) -> dict[str, Any]:
    """Return an application for scripts."""
    data: dict[str, Any] = plain(asdict(application))
    return data
