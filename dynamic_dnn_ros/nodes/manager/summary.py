# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the manager does, in a few lines for people: topic `summary`."""

from __future__ import annotations

from collections.abc import Mapping
import math

from dynamic_dnn_ros.management.decisions import Decision, PlatformState, TargetReport, TargetState
from dynamic_dnn_ros.management.words import (
    limits_text,
    paths_text,
    point_text,
    state_words,
    target_text,
)


def summary(decision: Decision, advises: bool, platform: str, served: Mapping[str, str]) -> str:
    """
    Return the last decision as text: a line of the board, then one an application.

    :param decision: with its reports
    :param advises: decisions are not carried out
    :param platform: id of the platform; empty: there is none
    :param served: what each application serves now, e.g. 's3 on gpu'
    """
    lines = [_board(decision, advises, platform)]
    for report in decision.reports:
        line = f'{report.application}: {_standing(report)}'
        now = served.get(report.application, '')
        if now:
            line += f'; serves {now}'
        paths = paths_text(report.stages, report.stage_shares)
        line += f'; {paths}' if paths else ''
        if advises and report.decision.sub_network:
            line += f', would serve {point_text(report.decision)}'
        if report.message:
            line += f'. {report.message}'
        lines.append(line)
    if not decision.reports:
        lines.append('no application is there, and no target is kept')
    if decision.message:
        lines.append(decision.message)
    return '\n'.join(lines)


def _board(decision: Decision, advises: bool, platform: str) -> str:
    parts = ['advise: nothing is switched or set' if advises else 'control']
    if decision.platform_state is PlatformState.NONE:
        parts.append('no platform node: clocks are left alone')
    elif decision.platform_state is PlatformState.STALE:
        parts.append(f'{platform} is silent: clocks are left alone')
    else:
        clocks = ' '.join(f'{d.name} {d.maximum * 1e-6:.0f} MHz' for d in decision.domains)
        parts.append(platform)
        if clocks:
            parts.append(f'would set {clocks}' if advises else clocks)
    if math.isfinite(decision.power):
        parts.append(f'{decision.power:.3g} W expected')
    return ', '.join(parts)


def _standing(report: TargetReport) -> str:
    """Return how a target stands."""
    if report.target is None:
        return state_words(report.state)
    limits = limits_text(report) or target_text(report.target, report.metric)
    by = f' (of {report.target.sender})' if report.target.sender else ''
    if report.state is TargetState.WAITING:
        limits = target_text(report.target, report.metric)
    return f'{state_words(report.state)}, {limits}{by}'
