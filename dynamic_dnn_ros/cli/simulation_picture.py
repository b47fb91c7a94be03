# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a simulated run over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from dynamic_dnn_ros.cli.time_figure import DOMAIN_COLOURS, NEUTRAL, shades, time_figure
from dynamic_dnn_ros.simulation.figures import rails_of
from dynamic_dnn_ros.simulation.runs import ApplicationRun, Run

_LATE, _LIMIT = '#c62828', '#2e7d32'


def draw(run: Run, path: Path) -> None:
    """
    Draw latency with target and sub-network of each application, then clocks and power.

    :param path: of the PNG to write
    """
    applications = list(run.applications.values())
    heights = (*(2.2 for _ in applications), 1.2, 1.0)
    size = (12, 2.6 * len(applications) + 4.4)
    with time_figure(path, heights, size) as (figure, axes):
        for axis, application in zip(axes, applications):
            _draw_application(axis, application, run.duration)
        _draw_clocks(axes[-2], run)
        _draw_power(axes[-1], run)
        axes[-1].set_xlim(0, run.duration)
        governors = ', '.join(f'{domain}: {name}' for domain, name in run.governors.items())
        figure.suptitle(f'{run.scenario}: {run.manager}', x=0.07, ha='left', fontweight='bold')
        figure.text(
            0.985,
            0.985,
            f'simulated; where the manager sets no clocks: {governors}',
            ha='right',
            va='top',
            fontsize=8,
            color=NEUTRAL,
        )
        figure.subplots_adjust(left=0.07, right=0.985, top=0.93, bottom=0.07, hspace=0.18)


def _draw_application(axis: Any, run: ApplicationRun, duration: float) -> None:
    used = sorted({(f.accuracy, f.sub_network) for f in run.frames})
    for (accuracy, name), colour in zip(used, shades(len(used))):
        frames = [f for f in run.frames if f.sub_network == name]
        axis.scatter(
            [f.time for f in frames],
            [f.latency * 1e3 for f in frames],
            s=6,
            linewidths=0,
            color=colour,
            label=f'{name} ({accuracy:.1%})',
        )
    late = [f for f in run.frames if 0 < f.target < f.latency]
    axis.scatter(
        [f.time for f in late],
        [f.latency * 1e3 for f in late],
        s=14,
        facecolors='none',
        edgecolors=_LATE,
        linewidths=0.6,
        label=f'late ({len(late)} of {len(run.frames)})',
    )
    changes = [*run.targets, (duration, None)]
    for (begin, target), (end, _) in pairwise(changes):
        if target is not None and target.latency:
            axis.hlines(target.latency * 1e3, begin, end, color=_LIMIT, linewidth=1.4)
    # With room for the legend.
    axis.set_ylim(0, 1.15 * axis.get_ylim()[1])
    axis.set_ylabel(f'{run.id}\nlatency [ms]')
    axis.legend(loc='upper right', ncol=6, fontsize=7.5, markerscale=1.6)


def _draw_clocks(axis: Any, run: Run) -> None:
    times = [sample.time for sample in run.samples]
    for index, domain in enumerate(run.domains):
        axis.step(
            times,
            [sample.granted[index] / 1e6 for sample in run.samples],
            where='post',
            color=DOMAIN_COLOURS.get(domain, NEUTRAL),
            label=domain,
            linewidth=1.1,
        )
    axis.set_ylabel('clocks [MHz]')
    axis.set_ylim(bottom=0)
    axis.legend(loc='upper right', ncol=3, fontsize=7.5)


def _draw_power(axis: Any, run: Run) -> None:
    times: Sequence[float] = [sample.time for sample in run.samples]
    for rail, colour in zip(rails_of(run), ('#263238', '#00838f')):
        index = run.rails.index(rail)
        axis.plot(
            times,
            [sample.power[index] for sample in run.samples],
            color=colour,
            linewidth=0.9,
            label=rail,
        )
    axis.set_ylabel('power [W]')
    axis.set_ylim(bottom=0)
    axis.legend(loc='upper right', ncol=2, fontsize=7.5)
