# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a simulated run: deadlines, latency, accuracy beside energy. All of it simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
import math

import numpy as np

from dynamic_dnn_ros.management.targets import DEFAULT_LATENCY_QUANTILE
from dynamic_dnn_ros.simulation.runs import ApplicationRun, Run

TOLERANCE = 0.01
"""Share of the frames by which more may be late than a quantile allows."""

ACCURACY_TOLERANCE = 1e-3
"""Share by which an accuracy may stay below its target: figures are published rounded."""

RATE_TOLERANCE = 0.03
"""Share by which a rate may stay below its target: the frames at both ends of a stretch count."""


@dataclass(frozen=True)
class ApplicationFigures:
    """
    What one application got in a stretch of time.

    `late` is the share of the served frames beyond the latency that was asked for, `allowed` what
    the quantile leaves; `served` the share of the arrived frames that were served; latencies in
    seconds, NaN without frames; where frames arrived and none was served, all are late;
    `shortfall` sums by how much targets are missed beyond
    `TOLERANCE`, as shares, `exact_shortfall` without that tolerance.
    """

    id: str
    frames: int
    late: float
    allowed: float
    served: float
    p50: float
    p95: float
    mean: float
    accuracy: float
    switches: int
    shortfall: float
    exact_shortfall: float

    @property
    def met(self) -> bool:
        """Tell whether all that was asked for was kept."""
        return self.shortfall <= 0.0


def application_figures(run: ApplicationRun, start: float, end: float) -> ApplicationFigures:
    """Return the figures of one application between two times."""
    frames = run.between(start, end)
    arrived = sum(start <= at < end for at in run.arrivals)
    latencies = np.array([frame.latency for frame in frames])
    asked = [frame for frame in frames if frame.target > 0]
    # One may still be in work at the end, another in the mailbox.
    starved = arrived > 2 and not frames
    late = sum(f.latency > f.target for f in asked) / len(asked) if asked else float(not frames)
    allowed = 1.0 - (
        float(np.mean([f.quantile for f in asked])) if asked else DEFAULT_LATENCY_QUANTILE
    )
    accuracy = float(np.mean([f.accuracy for f in frames])) if frames else math.nan
    left_out = sum(start <= at < end for at in (*run.replaced, *run.dropped))
    served = 1.0 - left_out / arrived if arrived else 1.0
    others = _missed_of_targets(run, start, end)
    return ApplicationFigures(
        run.id,
        len(frames),
        late,
        allowed,
        served,
        float(np.quantile(latencies, 0.5)) if frames else math.nan,
        float(np.quantile(latencies, 0.95)) if frames else math.nan,
        float(latencies.mean()) if frames else math.nan,
        accuracy,
        sum(start <= at < end for at, _ in run.switches),
        others + (max(late - allowed - TOLERANCE, 0.0) if asked or starved else 0.0),
        others + (max(late - allowed, 0.0) if asked or starved else 0.0),
    )


def figures(run: Run) -> list[ApplicationFigures]:
    """Return the figures of each application in the time that is measured."""
    return [
        application_figures(application, run.measured_from, run.duration)
        for application in run.applications.values()
    ]


def shortfall(run: Run) -> float:
    """Return by how much all targets together are missed; 0: all are met."""
    return sum(each.shortfall for each in figures(run))


def energy(run: Run, rail: str, above_idle: bool = False) -> float:
    """Return the energy of a rail in the time measured, J, whole or above an idle board."""
    idle = run.idle_power[rail] * run.measured if above_idle else 0.0
    return run.energy[rail] - idle


def rails_of(run: Run) -> tuple[str, str]:
    """Return the rail of the module and that of CPU and GPU."""
    processing = next((r for r in run.rails if 'CPU' in r or 'GPU' in r), run.total_rail)
    return run.total_rail, processing


def table(runs: Sequence[Run]) -> str:
    """Return a table of Markdown with a row for each application of each run."""
    lines = [
        '| manager | seed | application | late (allowed) | served | p95 [ms] | accuracy '
        '| module [J] | above idle | CPU+GPU [J] | above idle | switches | clocks |',
        '| --- ' * 13 + '|',
    ]
    for run in runs:
        module, processing = rails_of(run)
        name = ', '.join((run.manager, *run.schedulers))
        for index, each in enumerate(figures(run)):
            joules = [
                f'{energy(run, rail, above):.1f}' if index == 0 else '"'
                for rail in (module, processing)
                for above in (False, True)
            ]
            clocks = str(run.clock_changes) if index == 0 else '"'
            lines.append(
                f'| {name} | {run.seed} | {each.id} | {each.late:.1%} ({each.allowed:.0%})'
                f'{"" if each.met else " missed"} | {each.served:.1%} | {each.p95 * 1e3:.1f} '
                f'| {each.accuracy:.1%} | {joules[0]} | {joules[1]} | {joules[2]} | {joules[3]} '
                f'| {each.switches} | {clocks} |'
            )
    return '\n'.join(lines)


def _missed_of_targets(run: ApplicationRun, start: float, end: float) -> float:
    """Return by which share accuracies and rates are missed while each target was in force."""
    times = [at for at, _ in run.targets if start < at < end]
    total = 0.0
    for begin, finish in pairwise([start, *times, end]):
        passed = [target for at, target in run.targets if at <= begin]
        target = passed[-1] if passed else None
        frames = run.between(begin, finish)
        if target is None or not frames:
            continue
        weight = (finish - begin) / (end - start)
        if target.accuracy:
            accuracy = float(np.mean([frame.accuracy for frame in frames]))
            total += (
                weight
                * max(target.accuracy * (1 - ACCURACY_TOLERANCE) - accuracy, 0.0)
                / target.accuracy
            )
        arrived = sum(begin <= at < finish for at in run.arrivals)
        if target.rate and arrived:
            # What the camera does not deliver is nobody's fault.
            wanted = min(target.rate * (finish - begin), arrived)
            left_out = sum(begin <= at < finish for at in (*run.replaced, *run.dropped))
            served = arrived - left_out
            total += weight * max(1.0 - served / wanted - RATE_TOLERANCE, 0.0)
    return total
