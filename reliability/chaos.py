#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Hurt systems while two applications stream at 30 Hz, and see how long they need to be whole again.

Each system has a network of its own. A run that was interrupted goes on where it was. The clocks
that are set are files in a folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
import statistics
import sys
from typing import Any

from endings import end_in_order
from faults import Fault, all_faults
from isolation import can_isolate
from results import RESULTS, write_result
from side_by_side import Run
from tqdm import tqdm
from work import Work

from dynamic_dnn_ros.storage import JournalFile

SYSTEMS = 2
"""How many systems are hurt side by side where nobody asks for another number."""

LARGEST_UNHELD = 12.0
"""Seconds for which clocks may stay changed without word of a lease: one lasts 10 s."""


def choose(names: str | None, faults: Sequence[Fault]) -> list[Fault]:
    """
    Return the faults with some names, with commas between them; None: all.

    :raises ValueError: naming what is unknown, and what there is
    """
    if names is None:
        return list(faults)
    known = {fault.name: fault for fault in faults}
    wanted = [name.strip() for name in names.split(',') if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f'no such fault: {", ".join(unknown)}. There are: {", ".join(known)}.')
    return [known[name] for name in wanted]


def counted(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how often each fault was done."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row['fault']] = counts.get(row['fault'], 0) + 1
    return counts


def summarised(rows: Sequence[Mapping[str, Any]], order: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row for each fault, over all of its rounds."""
    summary = []
    for name in order:
        own = [row for row in rows if row['fault'] == name]
        if not own:
            continue
        times = [row['back'] for row in own if row['back'] is not None]
        summary.append(
            {
                'fault': name,
                'rounds': len(own),
                'not_back': len(own) - len(times),
                'back_median': statistics.median(times) if times else None,
                'back_largest': max(times, default=None),
                'after_end_largest': max(
                    (row['after_end'] for row in own if row['after_end'] is not None), default=None
                ),
                'lost_median': statistics.median(row['lost'] for row in own),
                'lost_largest': max(row['lost'] for row in own),
                'clocks_unheld_largest': max(row['clocks_unheld'] for row in own),
                'left': sum(row['left'] for row in own),
            }
        )
    return summary


def table(summary: Sequence[Mapping[str, Any]]) -> str:
    """Return a summary as a table of Markdown."""
    lines = [
        '| fault | rounds | back after (median, largest) | frames lost | clocks without a lease | '
        'processes left |',
        '| --- | --- | --- | --- | --- | --- |',
    ]
    for row in summary:
        if row['back_median'] is None:
            back = 'not within 60 s'
        else:
            back = f'{row["back_median"]:.1f} s, {row["back_largest"]:.1f} s'
            if row['not_back']:
                back += f'; {row["not_back"]} of {row["rounds"]} not within 60 s'
        lines.append(
            f'| {row["fault"]} | {row["rounds"]} | {back} | {row["lost_median"]:.0f}, '
            f'{row["lost_largest"]} | {row["clocks_unheld_largest"]:.1f} s | {row["left"]} |'
        )
    return '\n'.join(lines)


def document(rows: Sequence[Mapping[str, Any]], groups: Mapping[str, str]) -> str:
    """
    Return a table of Markdown with a row a group of faults.

    :param groups: of each fault, by its name
    """
    regrouped = [{**row, 'fault': groups[row['fault']]} for row in rows]
    return table(summarised(regrouped, list(dict.fromkeys(groups.values()))))


def failed(summary: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the faults that need a person, or leave something behind."""
    return [
        row['fault']
        for row in summary
        if row['not_back'] or row['left'] or row['clocks_unheld_largest'] > LARGEST_UNHELD
    ]


def run(work: Work, systems: int, journal: JournalFile, quiet: bool) -> None:
    """
    Do all faults.

    :param systems: how many are hurt side by side
    :param journal: gets a row a fault
    """
    with tqdm(total=len(work), unit='fault', disable=quiet) as bar:

        def tell(row: Mapping[str, Any]) -> None:
            journal.append(row)
            bar.set_description(row['fault'])
            bar.update()
            if row['back'] is None:
                bar.write(f'{row["fault"]}: not back: {"; ".join(row["lacked"])}')

        Run(work, systems, tell).all_of_it()


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=20, help='how often each fault; default 20')
    parser.add_argument('--faults', help='names, with commas between them; default: all')
    parser.add_argument(
        '--systems',
        type=int,
        default=SYSTEMS,
        help='how many are hurt side by side; default %(default)s',
    )
    parser.add_argument('--list', action='store_true', help='name the faults, and end')
    parser.add_argument('--again', action='store_true', help='forget what was done before')
    parser.add_argument('--output', type=Path, default=RESULTS / 'chaos.json')
    parser.add_argument('--quiet', action='store_true', help='show no progress bar')
    arguments = parser.parse_args()
    faults = all_faults()
    if arguments.list:
        print('\n'.join(fault.name for fault in faults))
        return 0
    try:
        chosen = choose(arguments.faults, faults)
    except ValueError as error:
        parser.error(str(error))
    isolated = can_isolate()
    if not isolated:
        left_out = [fault.name for fault in chosen if fault.alone]
        chosen = [fault for fault in chosen if not fault.alone]
        if left_out:
            print(f'left out, as namespaces need more rights: {", ".join(left_out)}')
    end_in_order()
    groups = {fault.name: fault.group for fault in faults}
    journal = JournalFile(arguments.output.with_suffix('.journal'), restart=arguments.again)
    try:
        work = Work(chosen, arguments.rounds, counted(journal.rows))
        run(work, arguments.systems, journal, arguments.quiet)
    except KeyboardInterrupt:
        print('interrupted: the same command goes on from here', file=sys.stderr)
        return 130
    finally:
        rows = [row for row in journal.rows if row['fault'] in groups]
        summary = summarised(rows, list(groups))
        write_result(
            arguments.output, 'chaos', summary, isolated=isolated, systems=arguments.systems
        )
        journal.close()
    print(table(summary))
    print(f'\nfor docs/reliability.md:\n{document(rows, groups)}')
    if problems := failed(summary):
        print(f'failed: {", ".join(problems)}', file=sys.stderr)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
