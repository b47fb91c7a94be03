# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Targets and what the manager says of them, as people and as scripts read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import IntEnum
import math
from typing import Any

from dynamic_dnn_ros.client import Answer, ApplicationSummary, TargetReport, TargetState
from dynamic_dnn_ros.management.words import (
    AT_LEAST,
    in_unit,
    limit_title,
    paths_text,
    point_text,
    target_text,
)


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
            by = f'{100 * missed:.2g} points' if name == 'accuracy' else in_unit(name, missed)
            text += f': missed by {by}'
        lines.append((limit_title(name, report.metric), text))
    lines.append(('chosen', point_text(report.decision)))
    if report.stages:
        lines.append(('pictures', paths_text(report.stages, report.stage_shares)))
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
