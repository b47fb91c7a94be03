# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Governors in simulated time: where they settle, against another simulation of their formulas.

One job at 30 Hz that serves the newest frame, on one frequency domain of a Xavier NX; all of its
work is bound by the clock. Each run begins the frames at another time between two choices of the
governor. What a second of simulation costs is measured, all else is simulated.
"""

from __future__ import annotations

from collections.abc import Callable
import time

from report import Figure, Report, figure

from dynamic_dnn_ros.platforms.governors import Governor, Schedutil
from support.governor_reference import (
    CPU,
    NAMES,
    RAMP,
    ROWS,
    Row,
    difference,
    latency_difference,
    make,
    table_of,
)
from support.periodic_job import DURATION, Settled, settle

RUNS = 4
CAMERA_PERIOD = 1 / 30
PHASES = 1 / 120
"""Within so many seconds frames begin: 25 ms between choices, 33.3 ms between frames."""
STEPS = 20_000
"""Of a governor in a row, for the time of one."""


def run(runs: int) -> Report:
    """Settle every row of the reference, with frames that begin at `runs` different times."""
    figures: list[Figure] = []
    for row in ROWS:
        found = _settled(row, row.make, runs)
        figures += [
            figure(
                f'{row}: frequency, reference {row.frequency / 1e6:g}',
                [each.frequency / 1e6 for each in found],
                'MHz',
            ),
            figure(
                f'{row}: frequency, distance to the reference',
                [abs(difference(each.frequency, row.frequency, row.table)) for each in found],
                'steps',
                '<= 1',
            ),
            figure(
                f'{row}: mean latency, reference {row.latency:g}',
                [each.latency for each in found],
                's',
            ),
            figure(
                f'{row}: mean latency, distance to the reference',
                [abs(latency_difference(each.latency, row, row.latency)) for each in found],
                'steps',
                '<= 1',
            ),
            figure(
                f'{row}: longest latency, reference {row.latency_maximum:g}',
                [each.latency_maximum for each in found],
                's',
            ),
        ]
    figures += _in_steps_of_the_reference()
    figures += _shared(runs)
    figures += _ramp()
    figures += [
        figure(
            f'{row}: choices a simulated second, without those that change nothing',
            settle(row.make(), row.table, row.work, CAMERA_PERIOD, leave_out=True).choices
            / DURATION,
            '1/s',
        )
        for row in ROWS
        if row.governor == 'schedutil'
    ]
    for name in NAMES:
        speeds = [_speed(name) for _ in range(runs)]
        figures.append(figure(f'{name}: choices a second, measured', speeds, '1/s'))
    configuration = {
        'tables': 'Xavier NX, CPU and GPU, no limits',
        'reference': 'test/support/governor_reference.py',
        'camera_rate': 1 / CAMERA_PERIOD,
        'schedutil': 'policy of one core where not said otherwise',
        'step': 'of the frequency table; latencies by the constant clock that would give them',
        'measured': 'choices a second, by the machine; everything else is simulated',
    }
    return Report('governors', 'simulated', configuration, figures)


def _settled(row: Row, maker: Callable[[], Governor], runs: int) -> list[Settled]:
    return [
        settle(maker(), row.table, row.work, CAMERA_PERIOD, phase=PHASES * index / runs)
        for index in range(runs)
    ]


def _in_steps_of_the_reference() -> list[Figure]:
    """Return the largest distance of a governor that is simulated in the reference's own steps."""
    distances: dict[str, list[float]] = {}
    for row in ROWS:
        found = settle(row.make(), row.table, row.work, CAMERA_PERIOD, grid=row.grid)
        distance = abs(difference(found.frequency, row.frequency, row.table))
        distances.setdefault(row.governor, []).append(distance)
    return [
        figure(
            f'{name}: frequency in time steps of the reference, largest distance to it',
            max(values),
            'steps',
            '<= 1',
        )
        for name, values in distances.items()
    ]


def _shared(runs: int) -> list[Figure]:
    """Return where schedutil settles when cores share a clock, as those of the board do."""
    figures = []
    for row in ROWS:
        if row.governor == 'schedutil':
            found = _settled(row, lambda: Schedutil(CPU[-1], shared=True), runs)
            figures.append(
                figure(
                    f'{row}, shared by cores: distance to the reference (one core)',
                    [abs(difference(each.frequency, row.frequency, row.table)) for each in found],
                    'steps',
                )
            )
    return figures


def _ramp() -> list[Figure]:
    governor, table = make('nvhost_podgov'), table_of('nvhost_podgov')
    current, elapsed, figures = table[0], 0.0, []
    for moment, reference in RAMP.items():
        while elapsed < moment - governor.period / 2:
            current = governor.step(current, 1.0, table)
            elapsed += governor.period
        figures.append(
            figure(
                f'nvhost_podgov, saturated for {moment:g} s: distance to {reference / 1e6:g} MHz',
                abs(difference(current, reference, table)),
                'steps',
                '<= 1',
            )
        )
    return figures


def _speed(name: str) -> float:
    governor, table = make(name), table_of(name)
    current = table[0]
    begun = time.perf_counter()
    for step in range(STEPS):
        current = governor.step(current, 1.0 if step % 32 < 16 else 0.0, table)
    return STEPS / (time.perf_counter() - begun)
