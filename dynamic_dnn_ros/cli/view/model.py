# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the page shows, as JSON has it: words for people, and the rows that charts draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
import math
from typing import Any, Protocol, TypeVar

from dynamic_dnn_ros.cli.demo.run_record import DecisionRecord, LoadRecord, RunRecord
from dynamic_dnn_ros.cli.demo.texts import decision_text, frames_text, honesty, recent_frames
from dynamic_dnn_ros.cli.observation import Observation
from dynamic_dnn_ros.cli.system.listening import System
from dynamic_dnn_ros.cli.system.words import (
    board_title,
    manager_text,
    quantile_of,
    recent_latency,
    serving_sub_network,
    standing_text,
)
from dynamic_dnn_ros.cli.target.text import plain
from dynamic_dnn_ros.cli.view.front import front_of, learnt_latencies
from dynamic_dnn_ros.client import TargetReport, TargetState
from dynamic_dnn_ros.management.words import (
    AT_LEAST,
    in_unit,
    limit_title,
    paths_text,
    point_text,
    state_words,
    target_text,
)
from dynamic_dnn_ros.msg import Application

WINDOW = 60.0
"""Seconds that the charts show."""

EVENTS = 40
"""Decisions that are shown of an application, the last ones."""

SILENT = 3.0
"""Seconds without a word after which an application is shown as silent."""

MOST_APPLICATIONS = 32
"""More are left out, and that is said."""

MOST_POINTS = 200
"""Sub-networks that are drawn of an application."""

MOST_LETTERS = 600
"""Of a text: names and reasons are whatever somebody sends."""

NO_MANAGER = 'no manager'
_GOOD, _BAD, _OPEN = 'good', 'bad', 'open'
_LOOKS = {
    TargetState.MET: _GOOD,
    TargetState.MISSED: _BAD,
    TargetState.INFEASIBLE: _BAD,
    TargetState.REFUSED: _BAD,
}


class _Timed(Protocol):
    @property
    def time(self) -> float: ...


_Row = TypeVar('_Row', bound=_Timed)


def between(rows: Sequence[_Row], since: float, until: float) -> list[_Row]:
    """Return the rows of a time in [since, until); they lie in order of time."""
    found = []
    for row in reversed(rows):
        if row.time < since:
            break
        if row.time < until:
            found.append(row)
    return found[::-1]


def page_data(
    system: System,
    reports: Mapping[str, TargetReport],
    since: float,
    until: float,
) -> dict[str, Any]:
    """
    Return how things stand, and the rows of charts since a time.

    Call it with the lock of the system held.

    :param reports: of the manager; empty where none speaks
    :param since: s, clock of the system; -inf: all that is shown
    :param until: s, the same
    """
    whole = since == -math.inf
    since = max(since, until - WINDOW)
    names = sorted({*system.observations, *reports})
    shown = names[:MOST_APPLICATIONS]
    simulated = system.has_platform and system.board.simulated
    return {
        'whole': whole,
        'now': round(until, 3),
        'title': board_title(system),
        'honesty': honesty(system.board) if system.has_platform else '',
        'simulated': simulated,
        'left_out': len(names) - len(shown),
        'manager': {'there': system.has_manager, 'text': manager_text(system.manager)},
        'board': board_data(system.board, since, until) if system.has_platform else None,
        'applications': [
            application_data(
                name, system.observations.get(name), reports.get(name), since, until, whole
            )
            for name in shown
        ],
    }


def board_data(run: RunRecord, since: float, until: float) -> dict[str, Any]:
    """Return the board: power in W, temperature in degrees Celsius, clocks in Hz."""
    last = run.loads[-1] if run.loads else LoadRecord(until, {}, math.nan, math.nan)
    return {
        'power': plain(last.power),
        'temperature': plain(last.temperature),
        'clocks': [
            {
                'name': name,
                'now': plain(value),
                'limit': plain(run.frequency_limits.get(name, math.nan)),
            }
            for name, value in last.frequencies.items()
        ],
        'loads': [
            [
                round(load.time, 3),
                plain(load.power),
                plain(load.temperature),
                [plain(value) for value in load.frequencies.values()],
            ]
            for load in between(run.loads, since, until)
        ],
    }


def application_data(
    name: str,
    observation: Observation | None,
    report: TargetReport | None,
    since: float,
    until: float,
    whole: bool,
) -> dict[str, Any]:
    """
    Return one application.

    :param whole: its front too, even where the application has not presented itself anew
    """
    data = {
        'id': name,
        **_target_data(report),
        **(
            _served_data(observation, report, since, until, whole)
            if observation is not None
            else {'there': False, 'condition': 'not there'}
        ),
    }
    return {key: _short(value) if isinstance(value, str) else value for key, value in data.items()}


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f'{text[:MOST_LETTERS]}…'


def _target_data(report: TargetReport | None) -> dict[str, Any]:
    if report is None:
        return {
            'state': NO_MANAGER,
            'look': _OPEN,
            'standing': standing_text(None),
            'target': '',
            'limits': [],
            'asked': {},
        }
    target = report.target
    return {
        'state': state_words(report.state),
        'look': _LOOKS.get(report.state, _OPEN),
        'standing': standing_text(report),
        'target': target_text(target, report.metric),
        'sender': target.sender if target is not None else '',
        'asked': plain(target.limits()) if target is not None else {},
        'limits': list(_limit_rows(report)),
        'chosen': point_text(report.decision),
        'paths': paths_text(report.stages, report.stage_shares),
        'expected': {
            name: plain(getattr(report.decision, name)) for name in ('latency', 'energy', 'power')
        },
        'because': report.reason,
        'next': f'{report.runner_up.sub_network}: {report.runner_up_reason}'
        if report.runner_up.sub_network
        else '',
        'message': report.message,
    }


def _limit_rows(report: TargetReport) -> Iterator[dict[str, Any]]:
    rows = zip(report.names, report.required, report.predicted, report.measured, report.missed_by)
    for name, required, predicted, measured, missed in rows:
        value = measured if math.isfinite(measured) else predicted
        yield {
            'key': name,
            'name': limit_title(name, report.metric),
            'asked': f'{"at least" if name in AT_LEAST else "at most"} {in_unit(name, required)}',
            'is': in_unit(name, value),
            'measured': math.isfinite(measured),
            'missed': in_unit(name, missed) if missed > 0 else '',
            'share': plain(_share(value, required)),
        }


def _share(value: float, required: float) -> float:
    """Return a value as a share of its limit, for a bar; NaN: not known."""
    return value / required if required and math.isfinite(value) else math.nan


def _served_data(
    observation: Observation,
    report: TargetReport | None,
    since: float,
    until: float,
    whole: bool,
) -> dict[str, Any]:
    run, presented = observation.run, observation.presented
    serving = serving_sub_network(observation)
    recent = recent_frames(run, until)
    span = min(2.0, until) or 1.0
    silent = until - observation.heard_at > SILENT
    data: dict[str, Any] = {
        'there': True,
        'condition': _condition(presented, silent, bool(recent), run.counts.received),
        'bundle': run.bundle,
        'engine': run.engine,
        'metric': run.metric,
        'task': presented.task if presented is not None else '',
        'processor': presented.processor if presented is not None else '',
        'serves': serving,
        'accuracy': plain(run.accuracies.get(serving, math.nan)),
        'latency': plain(recent_latency(run, report, until)),
        'quantile': quantile_of(report),
        'rate': round(len(recent) / span, 1),
        'sees': observation.seen,
        'counts': frames_text(run),
        'frames': [
            [round(frame.time, 3), round(frame.latency * 1e3, 2), int(frame.overrun)]
            for frame in between(run.frames, since, until)
            if math.isfinite(frame.latency)
        ],
        'steps': limit_steps(run.decisions, since, until),
        'events': events_of(run, -math.inf if whole else since, until),
    }
    if presented is not None and (whole or observation.presented_at >= since):
        data['front'] = [plain(asdict(point)) for point in front_of(presented)[:MOST_POINTS]]
    if whole or recent:
        data['learnt'] = plain(learnt_latencies(run, quantile_of(report)))
    return data


def _condition(presented: Application | None, silent: bool, serves: bool, received: int) -> str:
    """Return what keeps an application from serving; empty: nothing does."""
    if silent:
        return 'silent: its node may have died'
    if presented is not None and presented.state == Application.STATE_INACTIVE:
        return 'not active: its node serves nothing'
    if serves:
        return ''
    return 'no result in the last two seconds' if received else 'no picture arrives'


def limit_steps(
    decisions: Sequence[DecisionRecord], since: float, until: float
) -> list[list[float | None]]:
    """Return when the limit of latency became what it is, as rows of s and ms; None: no limit."""
    steps: list[list[float | None]] = []
    for decision in between(decisions, since, until):
        limit = decision.required.get('latency')
        value = None if limit is None else round(limit * 1e3, 3)
        if not steps or steps[-1][1] != value:
            steps.append([round(decision.time, 3), value])
    return steps


def events_of(run: RunRecord, since: float, until: float) -> list[list[Any]]:
    """Return switches, and changes of how the target stands, as rows of s, kind, text."""
    events: list[list[Any]] = [
        [round(switch.time, 3), 'switch', _short(f'{switch.sub_network}, because {switch.reason}')]
        for switch in between(run.switches, since, until)
    ]
    before = ''
    for decision in run.decisions:
        if decision.state != before and since <= decision.time < until:
            text = _short(decision_text(decision, run.metric))
            events.append([round(decision.time, 3), _kind(decision.state), text])
        before = decision.state
    return sorted(events, key=lambda event: event[0])[-EVENTS:]


def _kind(state: str) -> str:
    if state == 'met':
        return _GOOD
    return _BAD if state in ('missed', 'infeasible', 'refused') else _OPEN
