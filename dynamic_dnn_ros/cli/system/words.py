# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a running system stands, in words that every view of it shares."""

from __future__ import annotations

import math

from dynamic_dnn_ros.cli.demo.run_record import RunRecord
from dynamic_dnn_ros.cli.demo.summary import latency_quantile
from dynamic_dnn_ros.cli.demo.texts import recent_frames
from dynamic_dnn_ros.cli.observation import Observation
from dynamic_dnn_ros.cli.run_summary import title_of
from dynamic_dnn_ros.cli.system.listening import System
from dynamic_dnn_ros.client import TargetReport
from dynamic_dnn_ros.management.targets import DEFAULT_LATENCY_QUANTILE
from dynamic_dnn_ros.management.words import (
    in_unit,
    limit_name,
    milliseconds,
    percent,
    state_words,
)
from dynamic_dnn_ros.msg import ManagerStatus


def quantile_of(report: TargetReport | None) -> float:
    """Return the quantile at which an application's latency is judged."""
    if report is None or report.target is None:
        return DEFAULT_LATENCY_QUANTILE
    return report.target.quantile


def recent_latency(run: RunRecord, report: TargetReport | None, now: float) -> float:
    """Return the latency of the last two seconds at the target's quantile, s; NaN: no frames."""
    return latency_quantile(recent_frames(run, now), quantile_of(report))


def latency_text(run: RunRecord, report: TargetReport | None, now: float) -> str:
    """Return the latency of the last two seconds at the target's quantile, with its limit."""
    target = report.target if report is not None else None
    against = f' of {target.latency * 1e3:.3g} ms' if target and target.latency else ''
    return f'{milliseconds(recent_latency(run, report, now))}{against}'


def serving_sub_network(observation: Observation) -> str:
    """Return the id of what serves: by the last frame, or as presented; empty: not known."""
    run, presented = observation.run, observation.presented
    name = run.frames[-1].sub_network if run.frames else ''
    return name or (presented.sub_network if presented is not None else '')


def sub_network_text(observation: Observation) -> str:
    """Return what serves, with its accuracy."""
    name = serving_sub_network(observation)
    accuracy = observation.run.accuracies.get(name, math.nan)
    return f'{name} ({percent(accuracy)})' if math.isfinite(accuracy) else name


def standing_text(report: TargetReport | None) -> str:
    """Return how a target stands, and by how much it is missed."""
    if report is None:
        return 'no manager'
    missed = [
        f'{limit_name(name, report.metric)} by {in_unit(name, value)}'
        for name, value in zip(report.names, report.missed_by)
        if value > 0
    ]
    state = state_words(report.state)
    return f'{state}: {", ".join(missed)}' if missed else state


def manager_text(status: ManagerStatus | None) -> str:
    """Return what the manager is about; None: nobody speaks."""
    if status is None:
        return 'none: applications serve what they serve'
    mode = 'advises only' if status.mode == status.MODE_ADVISE else 'in control'
    lease = ', holds the clocks' if status.holds_lease else ', leaves the clocks alone'
    said = f'; {status.message}' if status.message else ''
    return f'{mode}{lease}, {status.decisions} decisions{said}'


def board_title(system: System) -> str:
    """Return the platform as people call it."""
    if not system.has_platform:
        return 'a board without platform node'
    board = system.board
    name = title_of(board.platform, board.simulated, '')
    return name if board.simulated else f'a computer ({name})' if name else 'a computer'
