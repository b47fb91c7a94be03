# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The live table of a run, and plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Sequence
import math
import sys
import time
from typing import Any, Protocol, TextIO

from dynamic_dnn_ros.cli.demo.cameras import CAMERA_COLUMNS, camera_rows
from dynamic_dnn_ros.cli.demo.page import as_markdown
from dynamic_dnn_ros.cli.demo.run_record import FrameRecord, PhaseRecord, RunRecord
from dynamic_dnn_ros.cli.demo.script import QUANTILE
from dynamic_dnn_ros.cli.demo.summary import (
    COLUMNS,
    PhaseSummary,
    caution,
    cells,
    latency_quantile,
    notes,
    platform_title,
)
from dynamic_dnn_ros.management.words import in_unit, milliseconds, paths_text, percent

#: Seconds over which the live latency is computed.
WINDOW = 2.0
#: Seconds between two plain lines.
LINE_PERIOD = 1.0
#: Columns of the summary that the file has and a terminal has no room for.
LEFT_OUT = ('frames', 'p50 [ms]', 'p99 [ms]')
#: Frames that the line of blocks shows.
SPARKS = 48
_BLOCKS = '▁▂▃▄▅▆▇█'
_STATES = {
    'met': 'green',
    'missed': 'red',
    'infeasible': 'red',
    'pending': 'yellow',
    'refused': 'red',
    'waiting': 'yellow',
}


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


def recent_frames(run: RunRecord, now: float) -> list[FrameRecord]:
    """Return the frames of the present phase within the last `WINDOW` seconds."""
    record = run.phase_at(now)
    since = max(now - WINDOW, record.start if record is not None else 0.0)
    recent = []
    for frame in reversed(run.frames):
        if frame.time < since:
            break
        recent.append(frame)
    return recent[::-1]


def sparkline(values: Sequence[float]) -> str:
    """Return values as a line of blocks, from 0 to the largest."""
    highest = max(values, default=0.0)
    if highest <= 0.0:
        return ''
    last = len(_BLOCKS) - 1
    return ''.join(_BLOCKS[round(last * value / highest)] for value in values)


def frequencies_text(run: RunRecord) -> str:
    """Return the granted frequencies of the newest sample."""
    if not run.loads:
        return 'no load yet'
    parts = []
    for name, value in run.loads[-1].frequencies.items():
        shown = f'{value * 1e-6:.0f}' if math.isfinite(value) else '?'
        limit = run.frequency_limits.get(name, math.nan)
        of = f' of {limit * 1e-6:.0f}' if math.isfinite(limit) else ''
        parts.append(f'{name} {shown}{of} MHz')
    return ', '.join(parts) or 'none that can be read'


def power_text(run: RunRecord) -> str:
    """Return the board's power of the newest sample."""
    power = run.loads[-1].power if run.loads else math.nan
    return f'{power:.2f} W' if math.isfinite(power) else 'not known'


def frames_text(run: RunRecord) -> str:
    """Return how many frames came, and what became of them."""
    counts = run.counts
    text = f'{counts.received} received, {counts.served} served, {counts.replaced} replaced'
    text += f', {counts.dropped} dropped' if counts.dropped else ''
    return f'{text}, {counts.rejected} rejected' if counts.rejected else text


def taken_text(run: RunRecord) -> str:
    """Return after which stages the last frames left, empty where there are no stages."""
    serving = run.frames[-1].sub_network if run.frames else ''
    stages = run.stages.get(serving, ())
    left = [f.exit_stage for f in run.frames[-SPARKS:] if f.sub_network == serving]
    return paths_text(stages, [left.count(stage) / len(left) for stage in stages])


def state_text(run: RunRecord) -> str:
    """Return how the target stands, as the manager says."""
    if not run.decisions:
        return 'no answer yet'
    decision = run.decisions[-1]
    missed = [
        f'{name} by {in_unit(name, value)}'
        for name, value in decision.missed_by.items()
        if value > 0.0
    ]
    return f'{decision.state}: {", ".join(missed)}' if missed else decision.state


def reason_text(run: RunRecord) -> str:
    """Return the last switch and why it was sent."""
    if not run.switches:
        return 'none seen yet'
    return f'{run.switches[-1].sub_network}, because {run.switches[-1].reason}'


def honesty(run: RunRecord) -> str:
    """Return what is real and what is not."""
    if run.simulated:
        return 'latency, clocks and power are simulated; network, frames and messages are real'
    return 'all figures are measured on this machine'


def headline(run: RunRecord) -> str:
    """Return the platform, and what is real and what is not."""
    return f'{platform_title(run)}: {honesty(run)}'


def _target_and_latency(run: RunRecord, now: float) -> tuple[PhaseRecord | None, float, float]:
    record = run.phase_at(now)
    latency = latency_quantile(recent_frames(run, now), QUANTILE)
    target = record.phase.goal.latency if record is not None else 0.0
    return record, latency, target


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
        record, latency, target = _target_and_latency(run, now)
        if record is not None and (
            self._phase is None or record.phase.name != self._phase.phase.name
        ):
            self._phase = record
            self.say(f'-- {record.phase.name}: {record.phase.goal.text}')
        against = f' of {target * 1e3:.3g} ms' if target else ''
        sub_network = run.frames[-1].sub_network if run.frames else 'none'
        self.say(
            f'{now:5.1f} s  {sub_network:<4} p95 {milliseconds(latency)}{against}, '
            f'{state_text(run)} | {frequencies_text(run)} | {power_text(run)} | '
            f'{frames_text(run)}'
        )
        for other in run.others:
            _, latency, target = _target_and_latency(other, now)
            sub_network = other.frames[-1].sub_network if other.frames else 'none'
            self.say(
                f'         {sub_network:<4} p95 {milliseconds(latency)} of {target * 1e3:.3g} ms, '
                f'{state_text(other)} | {other.application} | {frames_text(other)}'
            )

    def stop(self) -> None:
        """Nothing is left open."""

    def report(self, run: RunRecord, phases: Sequence[PhaseSummary]) -> None:
        """Write the summary as it is in the file."""
        self.say('\n' + as_markdown(run, phases))


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
        self._console.print(render_summary(phases))
        if run.others:
            self._console.print(render_cameras(run))
        for note in notes(run, phases):
            self._console.print(note.replace('**', ''), style='dim', highlight=False)


def render(run: RunRecord, now: float, seen: str) -> Any:
    """Return the table as rich draws it."""
    from rich.console import Group
    from rich.panel import Panel

    application = application_table('latency p95')
    for one in (run, *run.others):
        application.add_row(*_application_cells(one, now))

    facts = facts_table([*platform_facts(run), *application_facts(run, seen)])

    return Panel(
        Group(_progress(run, now), application, facts),
        title=f'[bold]dynamic-dnn demo on a {platform_title(run)}[/bold]',
        subtitle=honesty(run),
        border_style='blue' if run.simulated else 'green',
    )


def _application_cells(run: RunRecord, now: float) -> list[Any]:
    from rich.text import Text

    record, latency, target = _target_and_latency(run, now)
    sub_network = run.frames[-1].sub_network if run.frames else ''
    accuracy = run.accuracies.get(sub_network, math.nan)
    state = state_text(run)
    against = f' of {target * 1e3:.3g} ms' if target else ''
    good = not target or latency <= target
    return [
        run.application,
        record.phase.goal.text if record is not None else 'none yet',
        f'{sub_network} ({percent(accuracy)})' if math.isfinite(accuracy) else sub_network,
        Text(f'{milliseconds(latency)}{against}', style='green' if good else 'red'),
        Text(state, style=state_colour(state)),
    ]


def state_colour(state: str) -> str:
    """Return the colour of a state of a target, as `state_text` says it."""
    return _STATES.get(state.split(':')[0], 'white')


def application_table(latency: str) -> Any:
    """Return an empty table of applications; `latency` is the title of that column."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    for title in ('application', 'target', 'sub-network', latency, 'target is'):
        words = title.startswith('target')
        table.add_column(title, overflow='fold', ratio=1 if words else None)
    return table


def platform_facts(run: RunRecord) -> list[tuple[str, str]]:
    """Return what is known of the platform, as names and texts."""
    return [('frequencies', frequencies_text(run)), ('power', power_text(run))]


def application_facts(run: RunRecord, seen: str) -> list[tuple[str, str]]:
    """Return what is known of the application, as names and texts."""
    return [
        ('frames', frames_text(run)),
        *([('paths', paths)] if (paths := taken_text(run)) else []),
        ('last switch', reason_text(run)),
        ('sees', seen or 'nothing yet'),
        ('latency', sparkline([frame.latency for frame in run.frames[-SPARKS:]])),
        ('manager', run.decisions[-1].message if run.decisions else ''),
    ]


def facts_table(facts: Sequence[tuple[str, str]]) -> Any:
    """Return names and texts as a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style='dim', no_wrap=True)
    table.add_column(overflow='fold')
    for name, text in facts:
        table.add_row(name, Text(text, style='cyan' if name == 'latency' else ''))
    return table


def _progress(run: RunRecord, now: float) -> Any:
    from rich.text import Text

    line = Text()
    current = run.phase_at(now)
    for record in run.phases:
        if record is current:
            line.append(f' {record.phase.name} ', style='bold reverse')
        else:
            line.append(f' {record.phase.name} ', style='dim' if record.start > now else '')
        line.append('›' if record is not run.phases[-1] else '', style='dim')
    if run.phases:
        line.append(f'   {max(0.0, now - run.phases[0].start):.0f} s', style='dim')
    return line


def render_summary(phases: Sequence[PhaseSummary]) -> Any:
    """Return the summary as rich prints it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown = [index for index, title in enumerate(COLUMNS) if title not in LEFT_OUT]
    for index in shown:
        figure = index >= 4
        table.add_column(
            Text(COLUMNS[index]),
            justify='right' if figure else 'left',
            # The words of target and result may take several lines.
            no_wrap=index not in (1, 2),
        )
    for phase in phases:
        colour = 'white' if phase.met is None else ('green' if phase.met else 'red')
        row: list[Any] = [cells(phase)[index] for index in shown]
        row[2] = Text(row[2], style=colour)
        table.add_row(*row)
    return table


def render_cameras(run: RunRecord) -> Any:
    """Return what became of each camera as rich prints it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, title in enumerate(CAMERA_COLUMNS):
        table.add_column(Text(title), justify='right' if index >= 4 else 'left')
    for row in camera_rows(run):
        table.add_row(*row)
    return table


def choose_display() -> Display:
    """Return the table on a terminal, lines otherwise."""
    return TableDisplay() if sys.stdout.isatty() else LineDisplay()
