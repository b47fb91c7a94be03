#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Serve a camera at 60 Hz with a switch a second, and see that nothing grows.

Memory, threads, open files and /dev/shm are compared with what they were after a warm-up.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
import statistics
import sys
import tempfile
import time
from typing import Any

from deployment import Plan, System, deployed
from endings import end_in_order, keep_logs
from isolation import isolate
from memory import MEGABYTE, holdings, shared_memory
from results import RESULTS, write_result
from tqdm import tqdm

from dynamic_dnn_ros.storage import JournalFile

RATE = 60.0

BOARD = 'orin_nx_simulated'

ABOVE_THE_SMALLEST = 0.73
"""Accuracy that the smallest sub-network of the bundle does not have, and the next one has."""

LARGEST_GROWTH = 2 * MEGABYTE
"""Bytes that a process may grow by after the warm-up."""

COMPARED = 6
"""Looks at each end that are compared, by their median."""

LONGEST_PERIOD = 60.0
"""Seconds between two looks at most; a run of days has thousands all the same."""


def look(system: System, begun: float) -> dict[str, Any]:
    """Return what all processes hold now, and what was served and switched so far."""
    observer = system.observer
    return {
        'time': round(time.monotonic() - begun, 1),
        'processes': {name: asdict(one) for name, one in holdings(system).items()},
        'shared_memory': shared_memory(),
        'rates': observer.rates(5.0),
        'switches': observer.switches,
        'lacks': observer.lacking(),
    }


def soak(
    system: System, seconds: float, warm_up: float, journal: JournalFile, quiet: bool
) -> list[dict[str, Any]]:
    """Serve and switch for some seconds; return the looks after the warm-up."""
    observer = system.observer
    observer.expect(dict.fromkeys(observer.applications, RATE))
    begun = time.monotonic()
    period = min(max((seconds - warm_up) / 200, 1.0), LONGEST_PERIOD)
    next_look = begun + warm_up
    rows: list[dict[str, Any]] = []
    count = 0
    with tqdm(total=round(seconds), unit='s', disable=quiet) as bar:
        while (now := time.monotonic()) < begun + seconds:
            # What the smallest sub-network meets and what it does not take turns.
            for name in observer.applications:
                observer.ask(name, latency=0.2, accuracy=ABOVE_THE_SMALLEST * (count % 2))
            count += 1
            if now >= next_look:
                next_look += period
                rows.append(look(system, begun))
                journal.append(rows[-1])
            time.sleep(max(0.0, begun + count - time.monotonic()))
            bar.update(1)
    return rows


def summarised(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return what each process held at first and last, by the median of some looks."""
    ends = rows[:COMPARED], rows[-COMPARED:]
    summary: dict[str, dict[str, float]] = {}
    for name in rows[-1]['processes']:
        figures: dict[str, float] = {}
        for kind in ('resident', 'private', 'threads', 'files'):
            first, last = (
                statistics.median(
                    r['processes'][name][kind] for r in end if name in r['processes']
                )
                for end in ends
            )
            figures[f'{kind}_first'], figures[f'{kind}_last'] = first, last
        summary[name] = figures
    shared = [statistics.median(row['shared_memory'] for row in end) for end in ends]
    summary['/dev/shm'] = {'resident_first': shared[0], 'resident_last': shared[1]}
    return summary


def problems_of(
    rows: Sequence[Mapping[str, Any]], summary: dict[str, dict[str, float]]
) -> list[str]:
    """Return what should not have come of a run."""
    problems = []
    for name, figures in summary.items():
        kind = 'private' if 'private_first' in figures else 'resident'
        grown = figures[f'{kind}_last'] - figures[f'{kind}_first']
        if grown > LARGEST_GROWTH:
            problems.append(f'{name} grew by {grown / MEGABYTE:.1f} MB')
        for what in ('threads', 'files'):
            if figures.get(f'{what}_last', 0) > figures.get(f'{what}_first', 0):
                problems.append(
                    f'{name} has {figures[f"{what}_last"]:.0f} {what}, '
                    f'{figures[f"{what}_first"]:.0f} at first'
                )
    lacking = [row for row in rows if row['lacks']]
    if len(lacking) > 0.1 * len(rows):
        problems.append(f'{len(lacking)} of {len(rows)} looks lacked: {lacking[-1]["lacks"]}')
    return problems


def table(rows: Sequence[Mapping[str, Any]], summary: dict[str, dict[str, float]]) -> str:
    """Return what came of a run as a table of Markdown."""
    lines = [
        '| process | memory of its own: first, last | resident: first, last | threads | files |',
        '| --- | --- | --- | --- | --- |',
    ]
    for name, row in summary.items():
        cells = [name]
        for kind in ('private', 'resident'):
            pair = [row.get(f'{kind}_{end}') for end in ('first', 'last')]
            cells.append(', '.join(f'{v / MEGABYTE:.1f} MB' for v in pair if v is not None))
        for kind in ('threads', 'files'):
            pair = [row.get(f'{kind}_{end}') for end in ('first', 'last')]
            cells.append(', '.join(f'{v:.0f}' for v in pair if v is not None))
        lines.append(f'| {" | ".join(cells)} |')
    first, last = rows[0], rows[-1]
    seconds = last['time'] - first['time'] or 1.0
    rate = statistics.median(sum(row['rates'].values()) for row in rows)
    switches = (last['switches'] - first['switches']) / seconds
    lines.append('')
    lines.append(f'{rate:.1f} results and {switches:.2f} switches a second, over {seconds:.0f} s.')
    return '\n'.join(lines)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=30.0, help='default 30')
    parser.add_argument('--hours', type=float, help='in place of --minutes')
    parser.add_argument('--warm-up', type=float, default=60.0, help='s; default 60')
    parser.add_argument('--output', type=Path, default=RESULTS / 'soak.json')
    parser.add_argument('--quiet', action='store_true', help='show no progress bar')
    arguments = parser.parse_args()
    seconds = 3600 * arguments.hours if arguments.hours else 60 * arguments.minutes
    if seconds < arguments.warm_up + COMPARED:
        parser.error(f'{seconds:g} s are too few: the warm-up alone takes {arguments.warm_up:g} s')
    isolate()
    end_in_order()
    # A simulated board, whose load does not depend on what else this computer does.
    plan = Plan(applications=('front',), rate=RATE, platform=BOARD)
    journal = JournalFile(arguments.output.with_suffix('.journal'), restart=True)
    with tempfile.TemporaryDirectory(prefix='dynamic_dnn_soak_') as name:
        folder = Path(name)
        try:
            with keep_logs(folder / 'logs', 'soak'), deployed(plan, folder) as system:
                soak(system, seconds, arguments.warm_up, journal, arguments.quiet)
        except KeyboardInterrupt:
            print('interrupted: the figures are of what ran', file=sys.stderr)
    rows = list(journal.rows)
    journal.close()
    if len(rows) < COMPARED:
        return 130
    summary = summarised(rows)
    problems = problems_of(rows, summary)
    write_result(
        arguments.output,
        'soak',
        {'summary': summary, 'first': rows[0], 'last': rows[-1], 'problems': problems},
        seconds=seconds,
        warm_up=arguments.warm_up,
    )
    print(table(rows, summary))
    if problems:
        print(f'failed: {"; ".join(problems)}', file=sys.stderr)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
