# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From what was measured in all rounds to the operating points of a profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
import math

import numpy as np

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.profiling.interpolation import (
    LATENCY_SURFACES,
    POWER_SURFACES,
    Column,
    Table,
    best_surface,
)
from dynamic_dnn_ros.profiling.plan import MeasurementPlan, Place, Visit, VisitKind
from dynamic_dnn_ros.profiling.timing import Distribution

_MEAN, _P50, _P95, _P99, _POWER, _IDLE, _ENERGY = range(7)


def operating_points(
    plan: MeasurementPlan, visits: Sequence[Visit], description: str
) -> OperatingPoints:
    """
    Return a point for each sub-network on each processor at every setting of the domains.

    Measured settings: quantiles of the runs of all rounds together; energy of the rail over
    these runs, divided by their number, idle included. Other settings: mean latency and power
    from the surface that fits best, quantiles in the ratio to the mean that the sub-network has
    where it was measured, energy as power x mean latency.

    :param visits: those that count, every step of the plan in each round
    """
    runs = [
        (processor, sub_network)
        for sub_network in plan.sub_networks
        for processor in plan.processors
    ]
    # With all settings of a board these are tens of thousands: each is looked at once.
    at: dict[Place, list[Visit]] = {}
    for visit in visits:
        at.setdefault(visit.place, []).append(visit)
    measured = {
        run: np.array(
            [
                _figures(
                    at[Place(VisitKind.RUN, index, *run)], at.get(Place(VisitKind.IDLE, index), ())
                )
                for index in range(len(plan.settings))
            ]
        )
        for run in runs
    }
    grid = plan.grid
    index_of = {setting: index for index, setting in enumerate(plan.settings)}
    rows = np.array([index_of.get(setting, -1) for setting in grid])
    wanted = rows < 0
    tables, error, surface = _complete(plan, measured, np.array(grid), rows)
    values = np.concatenate([tables[run] for run in runs])
    columns = [values[:, column] for column in range(values.shape[1])]
    if wanted.any():
        description += (
            f'; {np.count_nonzero(~wanted)} of {len(grid)} settings measured, the others '
            f'interpolated as {surface}, off by {error.mean():.1%} on average and at most '
            f'{error.max():.1%} where a measured setting is left out'
        )
    return OperatingPoints(
        platform=plan.platform,
        kind=ProfileKind.MEASURED,
        extrapolated=False,
        domains=plan.domains,
        processors=plan.processors,
        sub_networks=plan.sub_networks,
        sub_network=np.repeat([plan.sub_networks.index(name) for _, name in runs], len(grid)),
        processor=np.repeat([plan.processors.index(name) for name, _ in runs], len(grid)),
        frequencies=np.tile(np.array(grid).reshape(len(grid), -1), (len(runs), 1)),
        latency_mean=columns[_MEAN],
        latency_p50=columns[_P50],
        latency_p95=columns[_P95],
        latency_p99=columns[_P99],
        power=columns[_POWER],
        idle_power=columns[_IDLE],
        energy=columns[_ENERGY],
        description=description,
        hardware=plan.hardware,
        interpolated=np.tile(wanted, len(runs)),
        interpolation_error=float(error.mean()) if wanted.any() else math.nan,
        interpolation_error_maximum=float(error.max()) if wanted.any() else math.nan,
    )


def _figures(runs: Sequence[Visit], idle: Sequence[Visit]) -> tuple[float, ...]:
    """Return the figures of one measured point, in the order of the columns."""
    latencies = np.concatenate([visit.latencies for visit in runs])
    energy = sum(visit.energy for visit in runs)
    return (
        *astuple(Distribution.of(latencies)),
        energy / sum(visit.duration for visit in runs),
        sum(v.energy for v in idle) / sum(v.duration for v in idle) if idle else math.nan,
        energy / len(latencies),
    )


def _complete(
    plan: MeasurementPlan, measured: dict[tuple[str, str], Table], grid: Table, rows: Column
) -> tuple[dict[tuple[str, str], Table], Column, str]:
    """Return the figures at every setting, the errors of the interpolation, and its surface."""
    wanted = rows < 0
    tables = {run: figures[rows] for run, figures in measured.items()}
    if not wanted.any():
        return tables, np.zeros(0), ''
    settings = np.array(plan.settings)
    latency, error = best_surface(
        LATENCY_SURFACES, settings, [figures[:, _MEAN] for figures in measured.values()]
    )
    with_power = all(np.isfinite(f[:, (_POWER, _IDLE)]).all() for f in measured.values())
    if with_power:
        power, _ = best_surface(
            POWER_SURFACES, settings, [figures[:, _POWER] for figures in measured.values()]
        )
    for run, figures in measured.items():
        table = tables[run]
        table[wanted] = math.nan
        mean = latency.predict(settings, figures[:, _MEAN], grid[wanted])
        ratios = np.median(figures[:, _P50 : _P99 + 1] / figures[:, [_MEAN]], axis=0)
        table[wanted, _MEAN] = mean
        table[wanted, _P50 : _P99 + 1] = mean[:, None] * ratios
        if with_power:
            for column in (_POWER, _IDLE):
                table[wanted, column] = power.predict(settings, figures[:, column], grid[wanted])
            table[wanted, _ENERGY] = table[wanted, _POWER] * mean
    return tables, error, latency.name
