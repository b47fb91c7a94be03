# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A running system as a table that is drawn anew, as plain lines, and as data."""

from __future__ import annotations

import time
from typing import Any, Protocol, TextIO

from dynamic_dnn_ros.cli.demo.drawing import (
    ByHeight,
    applications,
    facts_table,
    framed,
    state_colour,
)
from dynamic_dnn_ros.cli.demo.run_record import RunRecord
from dynamic_dnn_ros.cli.demo.texts import application_facts, platform_facts
from dynamic_dnn_ros.cli.system.listening import System
from dynamic_dnn_ros.cli.system.words import (
    board_title,
    latency_text,
    manager_text,
    quantile_of,
    recent_latency,
    standing_text,
    sub_network_text,
)
from dynamic_dnn_ros.cli.target.text import application_data, plain, report_data
from dynamic_dnn_ros.management.words import target_text

DRAWING_PERIOD = 0.2
LINE_PERIOD = 1.0


class View(Protocol):
    """Shows a system until it is stopped."""

    def start(self) -> None:
        """Begin."""

    def update(self, system: System) -> None:
        """Show how things stand."""

    def stop(self) -> None:
        """End."""


def choose_view(stream: TextIO) -> View:
    """Return the table on a terminal where rich is installed, plain lines otherwise."""
    if stream.isatty():
        try:
            return TableView()
        except ImportError:
            pass
    return LineView(stream)


class LineView:
    """The lines of `--once`, a second apart."""

    def __init__(self, stream: TextIO) -> None:
        """Write to a stream."""
        self._stream = stream
        self._next = 0.0

    def start(self) -> None:
        """Nothing is to be opened."""

    def update(self, system: System) -> None:
        """Write the lines, if the last ones are a second old."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_PERIOD
            print('\n'.join(lines_of(system)), file=self._stream, flush=True)

    def stop(self) -> None:
        """Nothing is left open."""


class TableView:
    """A table that is drawn anew in its place."""

    def __init__(self) -> None:
        """
        Open the terminal.

        :raises ImportError: when rich is not installed
        """
        from rich.live import Live

        self._live = Live(auto_refresh=False, transient=False)
        self._next = 0.0

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def update(self, system: System) -> None:
        """Draw the table, at most five times a second."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + DRAWING_PERIOD
            self._live.update(render(system), refresh=True)

    def stop(self) -> None:
        """Leave the last table standing."""
        self._live.stop()


def lines_of(system: System) -> list[str]:
    """Return how things stand as plain lines."""
    reports = system.reports  # waited for, so without the lock
    with system.lock:
        lines = [
            f'{board_title(system)}: {", ".join(f"{n} {t}" for n, t in _board_facts(system))}'
        ]
        lines.append(f'manager: {manager_text(system.manager)}')
        for name in sorted({*system.observations, *reports}):
            report, observation = reports.get(name), system.observations.get(name)
            target = target_text(
                report.target if report else None, report.metric if report else ''
            )
            if observation is None:
                lines.append(f'{name}: not there; target {target}; {standing_text(report)}')
                continue
            run = observation.run
            lines.append(
                f'{name}: {sub_network_text(observation)}, '
                f'p{quantile_of(report) * 100:g} {latency_text(run, report, system.now)}; '
                f'target {target}; {standing_text(report)}'
            )
            lines += [
                f'  {fact}: {text}'
                for fact, text in application_facts(run, observation.seen)
                if text and fact != 'latency'
            ]
        return lines


def _board_facts(system: System) -> list[tuple[str, str]]:
    return platform_facts(system.board) if system.has_platform else [('clocks', 'not known')]


def render(system: System) -> Any:
    """Return the table as rich draws it."""
    from rich.text import Text

    reports = system.reports  # waited for, so without the lock
    with system.lock:
        rows: list[list[Any]] = []
        parts: list[Any] = []
        for name in sorted({*system.observations, *reports}):
            report, observation = reports.get(name), system.observations.get(name)
            standing = standing_text(report)
            run = observation.run if observation is not None else RunRecord(application=name)
            rows.append(
                [
                    name,
                    target_text(report.target, report.metric) if report else 'none',
                    sub_network_text(observation) if observation is not None else '–',
                    f'p{quantile_of(report) * 100:g} {latency_text(run, report, system.now)}',
                    Text(standing, style=state_colour(standing)),
                ]
            )
            if observation is not None:
                facts = application_facts(run, observation.seen)
                parts += [Text(name, style='bold', overflow='fold'), facts_table(facts)]
        board = [*_board_facts(system), ('manager', manager_text(system.manager))]
        title = f'dynamic-dnn watch on {board_title(system)}'
        first = [applications('latency', rows), facts_table(board)]
        few = Text('More of each application in a higher terminal, or with --once.', style='dim')
        whole, less = (
            framed(title, each, system.board, said=system.has_platform)
            for each in ([*first, *parts], [*first, few])
        )
        return ByHeight(whole, less)


def system_data(system: System) -> dict[str, Any]:
    """Return how things stand for scripts, in SI units; null for what is not known."""
    # Waited for, so without the lock.
    applications, reports = system.applications, system.reports
    with system.lock:
        load = system.board.loads[-1] if system.board.loads and system.has_platform else None
        status = system.manager
        rows: dict[str, Any] = {}
        for name in sorted({*system.observations, *reports}):
            observation, report = system.observations.get(name), reports.get(name)
            row: dict[str, Any] = {
                'presented': application_data(applications[name])
                if name in applications
                else None,
                'target': report_data(report) if report is not None else None,
            }
            if observation is not None:
                run = observation.run
                row['latency'] = plain(recent_latency(run, report, system.now))
                row['latency_quantile'] = quantile_of(report)
                row['frames'] = vars(run.counts) | {}
                row['last_switch'] = plain(vars(run.switches[-1])) if run.switches else None
                row['sees'] = observation.seen
            rows[name] = row
        return {
            'platform': {
                'name': system.board.platform,
                'simulated': system.board.simulated,
                'frequencies': plain(dict(load.frequencies)),
                'power': plain(load.power),
                'temperature': plain(load.temperature),
            }
            if load is not None
            else None,
            'manager': {
                'instance': status.instance,
                'mode': 'advise' if status.mode == status.MODE_ADVISE else 'control',
                'holds_lease': status.holds_lease,
                'decisions': status.decisions,
                'message': status.message,
            }
            if status is not None
            else None,
            'applications': rows,
        }
