# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The live table of a run, and plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Sequence
import sys
import time
from typing import Protocol, TextIO

from dynamic_dnn_ros.cli.demo.drawing import render, render_cameras, render_summary
from dynamic_dnn_ros.cli.demo.page import as_markdown
from dynamic_dnn_ros.cli.demo.run_record import PhaseRecord, RunRecord
from dynamic_dnn_ros.cli.demo.summary import PhaseSummary, caution, notes
from dynamic_dnn_ros.cli.demo.texts import (
    Standing,
    frames_text,
    frequencies_text,
    power_text,
    standing,
    state_text,
)

#: Seconds between two plain lines.
LINE_PERIOD = 1.0


class Display(Protocol):
    """Shows a run while it goes on."""

    def say(self, text: str) -> None:
        """Show a line that stays."""

    def start(self) -> None:
        """Begin to show the run."""

    def update(self, run: RunRecord, now: float, seen: str) -> None:
        """
        Show the present state.

        :param now: seconds since the start of the observation
        :param seen: the newest classification, in words
        """

    def stop(self) -> None:
        """End showing the run."""

    def report(self, run: RunRecord, phases: Sequence[PhaseSummary]) -> None:
        """Show the summary."""


class LineDisplay:
    """A line a second, for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._next = 0.0
        self._phase: PhaseRecord | None = None

    def say(self, text: str) -> None:
        """Write a line."""
        print(text, file=self._stream, flush=True)

    def start(self) -> None:
        """Begin a line a second."""
        self._next = 0.0

    def update(self, run: RunRecord, now: float, seen: str) -> None:
        """Write a line, if the last one is a second old."""
        if now < self._next:
            return
        self._next = now + LINE_PERIOD
        now_stands = standing(run, now)
        record = now_stands.record
        if record is not None and (
            self._phase is None or record.phase.name != self._phase.phase.name
        ):
            self._phase = record
            self.say(f'-- {record.phase.name}: {record.phase.goal.text}')
        self.say(
            f'{now:5.1f} s  {_line(run, now_stands)} | {frequencies_text(run)} | '
            f'{power_text(run)} | {frames_text(run)}'
        )
        for other in run.others:
            self.say(
                f'         {_line(other, standing(other, now))} | {other.application} | '
                f'{frames_text(other)}'
            )

    def stop(self) -> None:
        """Nothing is left open."""

    def report(self, run: RunRecord, phases: Sequence[PhaseSummary]) -> None:
        """Write the summary as it is in the file."""
        self.say('\n' + as_markdown(run, phases))


def _line(run: RunRecord, stands: Standing) -> str:
    sub_network = run.frames[-1].sub_network if run.frames else 'none'
    return (
        f'{sub_network:<4} p95 {stands.latency}, {stands.verdict.text} | '
        f'the manager says {state_text(run)}'
    )


class TableDisplay:
    """A table that is drawn anew in its place."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(markup=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._next = 0.0

    def say(self, text: str) -> None:
        """Write a line above the table."""
        self._console.print(text, highlight=False, markup=False)

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def update(self, run: RunRecord, now: float, seen: str) -> None:
        """Draw the table, at most five times a second."""
        moment = time.monotonic()
        if moment < self._next:
            return
        self._next = moment + 0.2
        self._live.update(render(run, now, seen), refresh=True)

    def stop(self) -> None:
        """Leave the last table standing."""
        self._live.stop()

    def report(self, run: RunRecord, phases: Sequence[PhaseSummary]) -> None:
        """Print the summary as a table."""
        if said := caution(phases):
            self._console.print(said, style='bold yellow', highlight=False)
        self._console.print(render_summary(run, phases))
        if run.others:
            self._console.print(render_cameras(run))
        for note in notes(run, phases):
            self._console.print(note.replace('**', ''), style='dim', highlight=False)


def choose_display() -> Display:
    """Return the table on a terminal, lines otherwise."""
    return TableDisplay() if sys.stdout.isatty() else LineDisplay()
