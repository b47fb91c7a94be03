# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Schedulers on requests to attention networks and to CNNs, as Sparse-DySta reports them. Simulated.

The published grid: Poisson arrivals, 1,000 requests a run, deadlines that are a multiple of the
mean isolated latency; the first multiple with a cost for parking a request too. A run is a seed.
Traces are synthetic, since the published ones are not distributed. Each row has the mean over the
cells of a class for each seed; where a row compares, the same requests went to both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import os
from typing import Any

from report import Figure, Report, figure

from dynamic_dnn_ros.cli.simulate import find_scenario
from dynamic_dnn_ros.scheduling.registry import DEFAULT_SCHEDULER, SCHEDULERS
from dynamic_dnn_ros.simulation.requests.compare import RequestJob, run_job
from dynamic_dnn_ros.simulation.requests.loop import ORACLE, RequestRun
from dynamic_dnn_ros.simulation.requests.workload import RequestWorkload
from dynamic_dnn_ros.simulation.scenario import read_scenario
from dynamic_dnn_ros.simulation.side_by_side import side_by_side

RUNS = 5
"""Seeds, as published."""

PROCESSES = int(os.environ.get('DYNAMIC_DNN_PROCESSES', '1'))

MULTIPLES = (10.0, 25.0, 50.0, 75.0, 100.0, 150.0)
RATES = {
    'attention_requests': (10.0, 20.0, 30.0, 40.0),
    'cnn_requests': (2.0, 3.0, 4.0, 5.0, 6.0),
}
SWEPT = {'attention_requests': (30.0, 40.0), 'cnn_requests': (3.0, 4.0)}
"""Rates at which all multiples were published; the others only at the first one."""

DYSTA = 'dysta'
PUBLISHED = ('first_come', 'shortest_job', 'prema', 'sdrm3', 'planaria')
"""What Dysta was published against."""

DEADLINE_BLIND = ('first_come', 'newest_frame', 'round_robin', 'shortest_job', 'prema')
"""Schedulers that look at no deadline: one run tells what each multiple comes to."""

EQUAL = f'{DEFAULT_SCHEDULER}, priorities equal'
"""Our default where all requests are of one priority: Dysta looks at none."""


@dataclass(frozen=True)
class Outcome:
    """What a run comes to; kept in place of its requests."""

    violation_rate: float
    normalised_turnaround: float
    late_of_highest: float


Cell = tuple[str, float, float, bool]
"""Workload, rate, multiple, and whether parking costs something."""


def run(runs: int) -> Report:
    """Run all schedulers on the whole grid with that many seeds."""
    workloads = {name: _workload(name) for name in RATES}
    names = (*SCHEDULERS, ORACLE, EQUAL)
    cells = [
        (name, rate, multiple, cost)
        for name, rates in RATES.items()
        for rate in rates
        for multiple in (MULTIPLES if rate in SWEPT[name] else MULTIPLES[:1])
        for cost in ((False, True) if multiple == MULTIPLES[0] else (False,))
    ]
    asked = [
        (cell, name, seed)
        for cell in cells
        for name in names
        if cell[2] == MULTIPLES[0] or name not in DEADLINE_BLIND
        for seed in range(runs)
    ]
    made = side_by_side(
        outcomes, [_job(workloads, cell, name, seed) for cell, name, seed in asked], PROCESSES
    )
    found: dict[tuple[Cell, str], list[Outcome]] = {}
    for ((workload, rate, _, cost), name, _), by_multiple in zip(asked, made):
        for multiple, each in by_multiple.items():
            found.setdefault(((workload, rate, multiple, cost), name), []).append(each)
    configuration = {
        'requests': 1000,
        'rates': {name: list(rates) for name, rates in RATES.items()},
        'deadline_multiples': list(MULTIPLES),
        'switch_cost': {name: each.switch_cost for name, each in workloads.items()},
        'simulated': 'traces (synthetic, in the published schema), arrivals, one processor',
        'classes': [
            _class_row(workload, cost, cells, found, name)
            for workload in RATES
            for cost in (False, True)
            for name in names
        ],
        'cells': [_cell_row(cell, names, found) for cell in cells],
    }
    return Report('schedulers', 'simulated', configuration, _rows(cells, found))


def _workload(name: str) -> RequestWorkload:
    path = find_scenario(name)
    return RequestWorkload.from_mapping(read_scenario(path), path)


def _job(workloads: Mapping[str, RequestWorkload], cell: Cell, name: str, seed: int) -> RequestJob:
    workload, rate, multiple, cost = cell
    asked = workloads[workload]
    if name == EQUAL:
        asked, name = replace(asked, priorities=(0,) * len(asked.priorities)), DEFAULT_SCHEDULER
    return RequestJob(asked, name, rate, multiple, asked.seed + seed, None if cost else 0.0)


def outcomes(job: RequestJob) -> dict[float, Outcome]:
    """Make a run and return what it comes to, by multiple."""
    made = run_job(job)
    multiples = MULTIPLES if job.scheduler in DEADLINE_BLIND else (job.multiple,)
    return {multiple: _outcome(made, multiple / job.multiple) for multiple in multiples}


def _outcome(made: RequestRun, longer: float) -> Outcome:
    """Return what a run comes to with deadlines that are so many times as long."""
    late = [e.finish > e.arrival + longer * (e.deadline - e.arrival) for e in made.served]
    highest = max(each.priority for each in made.served)
    of_it = [was for was, each in zip(late, made.served) if each.priority == highest]
    return Outcome(sum(late) / len(late), made.normalised_turnaround, sum(of_it) / len(of_it))


def _rows(
    cells: Sequence[Cell], found: Mapping[tuple[Cell, str], Sequence[Outcome]]
) -> list[Figure]:
    """Return the five figures of the page; all others are in the file of results."""
    late, turnaround = 'violation_rate', 'normalised_turnaround'
    fewer = max(
        cells, key=lambda cell: _least(cell, found, late) - _mean(found[cell, DYSTA], late)
    )
    faster = max(
        cells,
        key=lambda cell: _least(cell, found, turnaround) / _mean(found[cell, DYSTA], turnaround),
    )
    ours = [_by_seed(found, cells, EQUAL, what) for what in (late, turnaround)]
    theirs = [_by_seed(found, cells, DYSTA, what) for what in (late, turnaround)]
    worse = {cell for what in (late, turnaround) for cell in _worse(cells, found, what)}
    return [
        figure(
            f'dysta: fewer late than the best other published one, at most ({_named(fewer)})',
            [
                100 * (min(found[fewer, n][seed].violation_rate for n in PUBLISHED) - d)
                for seed, d in enumerate(_by_seed(found, [fewer], DYSTA, late))
            ],
            'points',
        ),
        figure(
            f'ANTT of the best other published one over that of dysta, at most ({_named(faster)})',
            [
                min(found[faster, n][seed].normalised_turnaround for n in PUBLISHED) / d
                for seed, d in enumerate(_by_seed(found, [faster], DYSTA, turnaround))
            ],
            'ratio',
        ),
        figure(
            f'{EQUAL}: fewer late than dysta, mean of {len(cells)} cells',
            [100 * (b - a) for a, b in zip(ours[0], theirs[0])],
            'points',
        ),
        figure(
            f'{EQUAL}: ANTT over that of dysta, mean of {len(cells)} cells',
            [a / b for a, b in zip(ours[1], theirs[1])],
            'ratio',
        ),
        figure(
            f'{EQUAL}: cells with more late or a higher ANTT than dysta, of {len(cells)}'
            + (f' ({"; ".join(map(_named, sorted(worse)))})' if worse else ''),
            len(worse),
            'cells',
            '<= 0',
        ),
    ]


def _named(cell: Cell) -> str:
    workload, rate, multiple, cost = cell
    kind = 'attention' if workload == 'attention_requests' else 'CNNs'
    return f'{kind}, {rate:g} Hz, x {multiple:g}{", parking costs" if cost else ""}'


def _least(cell: Cell, found: Mapping[tuple[Cell, str], Sequence[Outcome]], what: str) -> float:
    """Return what the best of the others that were published comes to in a cell."""
    return min(_mean(found[cell, name], what) for name in PUBLISHED)


def _by_seed(
    found: Mapping[tuple[Cell, str], Sequence[Outcome]],
    cells: Sequence[Cell],
    name: str,
    what: str,
) -> list[float]:
    """Return the mean over cells for each seed."""
    runs = [found[cell, name] for cell in cells]
    return [
        sum(getattr(each[seed], what) for each in runs) / len(runs) for seed in range(len(runs[0]))
    ]


def _mean(runs: Sequence[Outcome], what: str) -> float:
    return float(sum(getattr(each, what) for each in runs) / len(runs))


def _worse(
    cells: Sequence[Cell], found: Mapping[tuple[Cell, str], Sequence[Outcome]], what: str
) -> list[Cell]:
    """Return the cells in which our default is worse than Dysta, in the mean over the seeds."""
    return [
        cell
        for cell in cells
        if _mean(found[cell, EQUAL], what) > _mean(found[cell, DYSTA], what) * (1 + 1e-9)
    ]


def _class_row(
    workload: str,
    cost: bool,
    cells: Sequence[Cell],
    found: Mapping[tuple[Cell, str], Sequence[Outcome]],
    name: str,
) -> dict[str, Any]:
    """Return what a scheduler comes to in a class, as mean, least and most over the seeds."""
    here = [cell for cell in cells if cell[0] == workload and cell[3] == cost]
    row: dict[str, Any] = {'workload': workload, 'parking_costs': cost, 'scheduler': name}
    for what in ('violation_rate', 'normalised_turnaround', 'late_of_highest'):
        values = _by_seed(found, here, name, what)
        row[what] = [round(v, 4) for v in (sum(values) / len(values), min(values), max(values))]
    return row


def _cell_row(
    cell: Cell, names: Sequence[str], found: Mapping[tuple[Cell, str], Sequence[Outcome]]
) -> dict[str, Any]:
    """Return what all schedulers come to in a cell, for the file of results."""
    workload, rate, multiple, cost = cell
    return {
        'workload': workload,
        'rate': rate,
        'multiple': multiple,
        'parking_costs': cost,
        'late': {n: round(_mean(found[cell, n], 'violation_rate'), 6) for n in names},
        'turnaround': {n: round(_mean(found[cell, n], 'normalised_turnaround'), 6) for n in names},
    }
