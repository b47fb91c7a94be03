#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Hurt a system while two applications stream at 30 Hz, and see how long it needs to be whole again.

A run that was interrupted goes on where it was. The clocks that are set are files in a folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
import statistics
import sys
import tempfile
import time
from typing import Any

from deployment import System, deployed
from endings import end_in_order, keep_logs
from faults import Fault, Setting, all_faults
from isolation import isolate, isolated
from results import RESULTS, write_result
from tqdm import tqdm
from watch import hurt

from dynamic_dnn_ros.storage import JournalFile

BASELINE = 5.0
"""Seconds over which the rate before the faults is taken."""

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


def left_to_do(
    faults: Sequence[Fault], rounds: int, done: Mapping[str, int]
) -> list[tuple[Setting, list[Fault]]]:
    """Return each setting with what is left to do in it: all faults once, then again."""
    work = []
    for setting in dict.fromkeys(fault.setting for fault in faults):
        left = [
            fault
            for count in range(rounds)
            for fault in faults
            if fault.setting == setting and done.get(fault.name, 0) <= count
        ]
        if left:
            work.append((setting, left))
    return work


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


@contextmanager
def system_of(setting: Setting) -> Iterator[System]:
    """Give a system of a setting that serves; its rate of the moment is what is expected."""
    with tempfile.TemporaryDirectory(prefix='dynamic_dnn_chaos_') as name:
        folder = Path(name)
        with keep_logs(folder / 'logs', 'chaos'), deployed(setting.plan(folder), folder) as system:
            time.sleep(BASELINE)
            system.observer.expect(system.observer.rates(BASELINE))
            yield system
        if system.clocks.changed or system.supervisor.here():
            raise RuntimeError(
                'the system has ended, and its clocks are changed, or a process is left'
            )


def run(work: Sequence[tuple[Setting, list[Fault]]], journal: JournalFile, quiet: bool) -> None:
    """Do all faults; after one that the service does not survive, in a new system."""
    total = sum(len(left) for _, left in work)
    with tqdm(total=total, unit='fault', disable=quiet) as bar:
        for setting, faults in work:
            left = list(faults)
            while left:
                with system_of(setting) as system:
                    _do_some(system, left, journal, bar)


def _do_some(system: System, left: list[Fault], journal: JournalFile, bar: Any) -> None:
    """Do faults, and take them off the list, until one is not survived."""
    while left:
        fault = left.pop(0)
        bar.set_description(fault.name)
        outcome = hurt(system, fault)
        journal.append(asdict(outcome))
        bar.update()
        if outcome.back is None:
            bar.write(f'{fault.name}: not back: {"; ".join(outcome.lacked)}')
            return


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=20, help='how often each fault; default 20')
    parser.add_argument('--faults', help='names, with commas between them; default: all')
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
    isolate()
    if not isolated():
        left_out = [fault.name for fault in chosen if fault.alone]
        chosen = [fault for fault in chosen if not fault.alone]
        if left_out:
            print(f'left out, as namespaces need more rights: {", ".join(left_out)}')
    end_in_order()
    groups = {fault.name: fault.group for fault in faults}
    journal = JournalFile(arguments.output.with_suffix('.journal'), restart=arguments.again)
    try:
        run(left_to_do(chosen, arguments.rounds, counted(journal.rows)), journal, arguments.quiet)
    except KeyboardInterrupt:
        print('interrupted: the same command goes on from here', file=sys.stderr)
        return 130
    finally:
        rows = [row for row in journal.rows if row['fault'] in groups]
        summary = summarised(rows, list(groups))
        write_result(arguments.output, 'chaos', summary, isolated=isolated())
        journal.close()
    print(table(summary))
    print(f'\nfor docs/reliability.md:\n{document(rows, groups)}')
    if problems := failed(summary):
        print(f'failed: {", ".join(problems)}', file=sys.stderr)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
