# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A run as tables that rich draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import math
from typing import Any

from dynamic_dnn_ros.cli.demo.cameras import CAMERA_COLUMNS, camera_rows
from dynamic_dnn_ros.cli.demo.run_record import RunRecord
from dynamic_dnn_ros.cli.demo.summary import PhaseSummary, cells, columns, platform_place
from dynamic_dnn_ros.cli.demo.texts import (
    application_facts,
    honesty,
    manager_text,
    platform_facts,
    standing,
)
from dynamic_dnn_ros.management.words import percent

#: Columns of the summary that the file has and a terminal has no room for.
LEFT_OUT = ('frames', 'p50 [ms]', 'p99 [ms]')
_TABLE_OF_APPLICATIONS, _TABLE_OF_RESULTS = 92, 128
_COLOURS = {None: 'yellow', True: 'green', False: 'red'}
_STATES = {
    'met': 'green',
    'missed': 'red',
    'infeasible': 'red',
    'pending': 'yellow',
    'refused': 'red',
    'waiting': 'yellow',
}


class ByWidth:
    """A table where the terminal has room for it, otherwise the same in lines that wrap."""

    def __init__(self, least: int, table: Any, lines: Any) -> None:
        """
        Take both.

        :param least: columns of a terminal that the table needs
        """
        self._least = least
        self._table = table
        self._lines = lines

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """Return what fits, as rich asks for it."""
        yield self._table if options.max_width >= self._least else self._lines


class ByHeight:
    """All of something where a terminal has the lines for it, otherwise less."""

    def __init__(self, whole: Any, less: Any) -> None:
        """Take both."""
        self._whole = whole
        self._less = less

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """Return what fits, as rich asks for it; what is no terminal has room for all."""
        lines = console.render_lines(self._whole, options, pad=False)
        fits = not console.is_terminal or len(lines) <= console.size.height
        yield self._whole if fits else self._less


def render(run: RunRecord, now: float, seen: str) -> Any:
    """Return the table as rich draws it."""
    rows = [_application_cells(one, now) for one in (run, *run.others)]
    facts = [
        *platform_facts(run),
        *(fact for fact in application_facts(run, seen) if fact[0] != 'manager'),
        ('manager says', manager_text(run)),
    ]
    title = f'dynamic-dnn demo on {platform_place(run)}'
    first = [_progress(run, now), applications('latency p95', rows)]
    whole, less = (
        framed(title, [*first, facts_table(shown)], run) for shown in (facts, facts[-1:])
    )
    return ByHeight(whole, less)


def framed(title: str, parts: Sequence[Any], run: RunRecord, said: bool = True) -> Any:
    """
    Return parts in a frame, with what is simulated below them.

    :param said: whether the platform has told that
    """
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    return Panel(
        Group(*parts, *([Text(honesty(run), style='dim')] if said else [])),
        title=f'[bold]{title}[/bold]',
        border_style='blue' if run.simulated and said else 'green',
    )


def _application_cells(run: RunRecord, now: float) -> list[Any]:
    from rich.text import Text

    stands = standing(run, now)
    sub_network = run.frames[-1].sub_network if run.frames else ''
    accuracy = run.accuracies.get(sub_network, math.nan)
    late = stands.verdict.late > stands.verdict.allowed
    return [
        run.application,
        stands.target,
        f'{sub_network} ({percent(accuracy)})' if math.isfinite(accuracy) else sub_network,
        Text(stands.latency, style='red' if late else 'green'),
        Text(stands.verdict.text, style=_COLOURS[stands.verdict.met]),
    ]


def state_colour(state: str) -> str:
    """Return the colour of a state of a target, as `state_text` says it."""
    return _STATES.get(state.split(':')[0], 'white')


def applications(latency: str, rows: Sequence[Sequence[Any]]) -> Any:
    """
    Return applications as a table.

    :param latency: title of that column
    :param rows: cells, text or rich's: name, target, sub-network, latency, how the target stands
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    titles = ('application', 'target', 'sub-network', latency, 'target is')
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    for title in titles:
        words = title.startswith('target')
        table.add_column(title, overflow='fold', ratio=1 if words else None)
    lines: list[Any] = []
    for row in rows:
        cells_ = [Text(cell) if isinstance(cell, str) else cell for cell in row]
        table.add_row(*cells_)
        lines += [Text(row[0], style='bold', overflow='fold')]
        lines += [facts_table(list(zip(titles[1:], cells_[1:])))]
    return ByWidth(_TABLE_OF_APPLICATIONS, table, Group(*lines))


def facts_table(facts: Sequence[tuple[str, Any]]) -> Any:
    """Return names and texts as a table; a text may be rich's."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style='dim', no_wrap=True)
    table.add_column(overflow='fold')
    for name, text in facts:
        # The line of blocks is named so.
        style = 'cyan' if name == 'latency' else ''
        table.add_row(name, Text(text, style=style) if isinstance(text, str) else text)
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


def render_summary(run: RunRecord, phases: Sequence[PhaseSummary]) -> Any:
    """Return the summary as rich prints it."""
    titles = columns(run)
    shown = [index for index, title in enumerate(titles) if title not in LEFT_OUT]
    rows = [[cells(phase)[index] for index in shown] for phase in phases]
    return _results(
        [titles[index] for index in shown], rows, [_COLOURS[phase.met] for phase in phases]
    )


def render_cameras(run: RunRecord) -> Any:
    """Return what became of each camera as rich prints it."""
    rows = camera_rows(run)
    return _results(CAMERA_COLUMNS, rows, ['white'] * len(rows))


def _results(titles: Sequence[str], rows: Sequence[Sequence[str]], colours: Sequence[str]) -> Any:
    """
    Return results as a table.

    :param rows: cells: of what, its target, the result, sub-networks, then figures
    :param colours: of the results
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, title in enumerate(titles):
        # The words of target and result may take several lines.
        table.add_column(
            Text(title),
            justify='right' if index >= 4 else 'left',
            no_wrap=index not in (1, 2),
        )
    lines: list[Any] = []
    for row, colour in zip(rows, colours):
        name, target, result, *rest = row
        table.add_row(name, target, Text(result, style=colour), *rest)
        figures = ', '.join(f'{title} {cell}' for title, cell in zip(titles[3:], rest))
        head = Text(f'{name}: ', style='bold')
        lines += [Text(''), head.append(result, style=colour), Text(f'target: {target}')]
        lines += [Text(figures, style='dim')]
    return ByWidth(_TABLE_OF_RESULTS, table, Group(*lines))
