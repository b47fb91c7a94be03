#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Ask more and more of one simulated board: 1, 2, 4, 8 applications, each of another priority.

It shows what is met, what is shed, whether that goes by priority and is said, and that nobody is
starved.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
import math
from pathlib import Path
import sys
import tempfile
import time

from deployment import SIMULATED, Plan, System, deployed
from endings import end_in_order, keep_logs
from isolation import isolate
from results import RESULTS, write_result

from dynamic_dnn_ros.msg import InferenceStatus, PerformanceTarget, TargetStatus

RATE = 30.0
COUNTS = (1, 2, 4, 8)
SETTLING = 10.0
"""Seconds for which the manager learns before anything is counted."""

STATES = {
    getattr(TargetStatus, name): name.removeprefix('STATE_').lower()
    for name in dir(TargetStatus)
    if name.startswith('STATE_')
}

STARVED = 0.5
"""Results a second below which an application counts as starved: the server gives it one."""


@dataclass(frozen=True)
class Share:
    """
    What one application got.

    `asked` and `served` in Hz; `late` is the share of its frames that took longer than it asked
    for, `shed` the share of what its camera sent that was given up or replaced by a newer frame.
    """

    application: str
    priority: int
    asked: float
    served: float
    shed: float
    late: float
    state: str
    sub_network: str
    message: str


def ask(system: System, latency: float, accuracy: float) -> dict[str, int]:
    """Ask the same for all applications, the first one first; return their priorities."""
    priorities = {}
    for index, name in enumerate(system.observer.applications):
        priorities[name] = len(system.observer.applications) - index
        system.observer.ask(
            name,
            latency=latency,
            accuracy=accuracy,
            rate=0.9 * RATE,
            priority=priorities[name],
            late_frames=PerformanceTarget.LATE_FRAMES_DROP,
        )
    return priorities


def measure(system: System, priorities: Mapping[str, int], seconds: float) -> list[Share]:
    """Count for some seconds, and return what each application got."""
    observer = system.observer
    before = {name: observer.last[name] for name in observer.applications}
    begun = time.monotonic()
    time.sleep(seconds)
    ended = time.monotonic()
    after = dict(observer.last)
    status = observer.status
    reports = {report.application: report for report in status.targets} if status else {}
    shares = []
    for name, priority in priorities.items():
        report = reports[name]
        shares.append(
            Share(
                name,
                priority,
                RATE,
                observer.served(name, begun, ended) / (ended - begun),
                _shed(before[name], after[name]),
                _late(report),
                STATES[report.state],
                report.decision.sub_network,
                report.message,
            )
        )
    return shares


def _shed(before: InferenceStatus, after: InferenceStatus) -> float:
    received = after.received - before.received
    lost = after.replaced + after.dropped - before.replaced - before.dropped
    return float(lost / received) if received else math.nan


def _late(report: TargetStatus) -> float:
    """Return by how much the measured latency is beyond what was asked, relative; 0: not."""
    for name, required, missed in zip(report.names, report.required, report.missed_by):
        if name == 'latency':
            return float(missed / required)
    return 0.0


def problems_of(shares: Sequence[Share]) -> list[str]:
    """Return who is starved, what is shed against the order of priority, and what is not said."""
    problems = [f'{share.application} is starved' for share in shares if share.served < STARVED]
    for high, low in pairwise(shares):
        # A tenth of a frame in three is chance.
        if high.served < low.served - 0.1 * RATE:
            problems.append(
                f'{high.application} (priority {high.priority}) served {high.served:.1f} Hz, '
                f'{low.application} (priority {low.priority}) {low.served:.1f} Hz'
            )
    for share in shares:
        if share.shed > 0.2 and share.state == 'met':
            problems.append(
                f'{share.application} reads met, and {share.shed:.0%} of its frames were shed'
            )
        if share.state in ('missed', 'infeasible') and not share.message:
            problems.append(f'{share.application} is {share.state}, and nothing says why')
    return problems


def table(shares: Sequence[Share]) -> str:
    """Return what all got as a table of Markdown."""
    lines = [
        '| applications | priority | served | frames shed | state | sub-network |',
        '| --- | --- | --- | --- | --- | --- |',
    ]
    for share in shares:
        count = int(share.application.rsplit('_', 1)[-1].split('of')[-1])
        lines.append(
            f'| {count} | {share.priority} | {share.served:.1f} of {share.asked:.0f} Hz | '
            f'{share.shed:.0%} | {share.state} | {share.sub_network} |'
        )
    return '\n'.join(lines)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--counts', default=','.join(map(str, COUNTS)), help='default 1,2,4,8')
    parser.add_argument('--seconds', type=float, default=20.0, help='for each; default 20')
    parser.add_argument('--latency', type=float, default=0.05, help='asked of all, s')
    parser.add_argument('--accuracy', type=float, default=0.0, help='asked of all, 0..1')
    parser.add_argument('--output', type=Path, default=RESULTS / 'load.json')
    arguments = parser.parse_args()
    isolate()
    end_in_order()
    shares: list[Share] = []
    problems: list[str] = []
    for count in map(int, arguments.counts.split(',')):
        streams = tuple(f'camera_{number}of{count}' for number in range(1, count + 1))
        plan = Plan(streams=streams, rate=RATE, platform=SIMULATED)
        with tempfile.TemporaryDirectory(prefix='dynamic_dnn_load_') as name:
            folder = Path(name)
            try:
                with keep_logs(folder / 'logs', 'load'), deployed(plan, folder) as system:
                    priorities = ask(system, arguments.latency, arguments.accuracy)
                    time.sleep(SETTLING)
                    got = measure(system, priorities, arguments.seconds)
            except KeyboardInterrupt:
                return 130
        shares += got
        problems += problems_of(got)
    write_result(
        arguments.output,
        'load',
        {'shares': [asdict(share) for share in shares], 'problems': problems},
        seconds=arguments.seconds,
        latency=arguments.latency,
        accuracy=arguments.accuracy,
    )
    print(table(shares))
    if problems:
        print(f'failed: {"; ".join(problems)}', file=sys.stderr)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
