# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Schedulers side by side on a workload of requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from dynamic_dnn_ros.scheduling.contract import Scheduler
from dynamic_dnn_ros.scheduling.registry import create_scheduler, scheduler_names
from dynamic_dnn_ros.simulation.requests.loop import ORACLE, Oracle, RequestRun, run
from dynamic_dnn_ros.simulation.requests.workload import RequestWorkload


@dataclass(frozen=True, eq=False)
class RequestJob:
    """
    One run to be made; plain data, so that it can be sent to another process.

    `switch_cost` in seconds, that of the workload if none.
    """

    workload: RequestWorkload
    scheduler: str
    rate: float
    multiple: float
    seed: int
    switch_cost: float | None = None


def choices() -> tuple[str, ...]:
    """Return the names of all schedulers, and of the one that knows what comes."""
    return (*scheduler_names(), ORACLE)


def make(name: str) -> Scheduler:
    """
    Create a scheduler for requests of traces.

    :raises UnknownSchedulerError: when none has that name
    """
    return Oracle() if name == ORACLE else create_scheduler(name)


def run_job(job: RequestJob) -> RequestRun:
    """Make one run."""
    return run(
        job.workload, make(job.scheduler), job.rate, job.multiple, job.switch_cost, job.seed
    )


def jobs(
    workload: RequestWorkload,
    schedulers: Sequence[str],
    seeds: int,
    switch_cost: float | None = None,
) -> Iterator[RequestJob]:
    """Yield each scheduler at each rate and multiple of a workload, with that many seeds."""
    for rate, multiple, name, seed in product(
        workload.rates, workload.multiples, schedulers, range(seeds)
    ):
        yield RequestJob(workload, name, rate, multiple, workload.seed + seed, switch_cost)


@dataclass(frozen=True)
class Cell:
    """What a scheduler comes to at a rate and a multiple, by seed."""

    scheduler: str
    rate: float
    multiple: float
    violation_rate: tuple[float, ...]
    normalised_turnaround: tuple[float, ...]
    throughput: tuple[float, ...]
    parked: tuple[int, ...]


def cells(runs: Sequence[RequestRun]) -> list[Cell]:
    """Return the runs of one scheduler at one rate and multiple together, in their order."""
    groups: dict[tuple[float, float, str], list[RequestRun]] = {}
    for each in runs:
        groups.setdefault((each.rate, each.multiple, each.scheduler), []).append(each)
    return [
        Cell(
            scheduler,
            rate,
            multiple,
            tuple(each.violation_rate for each in members),
            tuple(each.normalised_turnaround for each in members),
            tuple(each.throughput for each in members),
            tuple(each.parked for each in members),
        )
        for (rate, multiple, scheduler), members in groups.items()
    ]


def table(found: Sequence[Cell]) -> str:
    """Return a table of Markdown with a row for each cell: means, and extremes over the seeds."""
    lines = [
        '| rate [Hz] | deadline | scheduler | late | ANTT | STP [Hz] | parked |',
        '| --- ' * 7 + '|',
    ]
    for cell in found:
        late, turnaround = cell.violation_rate, cell.normalised_turnaround
        lines.append(
            f'| {cell.rate:g} | x {cell.multiple:g} | {cell.scheduler} '
            f'| {np.mean(late):.1%}{_spread([f"{each:.1%}" for each in _extremes(late)])} '
            f'| {np.mean(turnaround):.2f}{_spread([f"{e:.2f}" for e in _extremes(turnaround)])} '
            f'| {np.mean(cell.throughput):.2f} | {np.mean(cell.parked):.0f} |'
        )
    return '\n'.join(lines)


def _extremes(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _spread(texts: Sequence[str]) -> str:
    low, high = texts
    return '' if low == high else f' ({low} to {high})'
