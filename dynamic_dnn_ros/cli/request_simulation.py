# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn simulate` of a workload of requests: schedulers side by side, table and picture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynamic_dnn_ros.cli.time_figure import STYLE
from dynamic_dnn_ros.palette import NEUTRAL, OURS
from dynamic_dnn_ros.scheduling.registry import DEFAULT_SCHEDULER
from dynamic_dnn_ros.simulation.requests.compare import (
    Cell,
    cells,
    choices,
    jobs,
    run_job,
    table,
)
from dynamic_dnn_ros.simulation.requests.workload import RequestWorkload
from dynamic_dnn_ros.simulation.scenario import ScenarioError
from dynamic_dnn_ros.simulation.side_by_side import side_by_side


def chosen_schedulers(asked: str, known: Sequence[str]) -> Sequence[str]:
    """
    Return the schedulers that a command asks for.

    :param asked: names with commas between, or "all"
    :raises ScenarioError: for a name that is not known
    """
    names = known if asked == 'all' else asked.split(',')
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ScenarioError(
            f'scheduler {unknown[0]!r}', 'is unknown', f'Choose of: {", ".join(known)}'
        )
    return names


def simulate_requests(arguments: argparse.Namespace, mapping: Any, path: Path) -> str:
    """Make the runs and the picture; return the table."""
    workload = RequestWorkload.from_mapping(mapping, path)
    schedulers = chosen_schedulers(arguments.scheduler or 'all', choices())
    runs = side_by_side(
        run_job,
        list(jobs(workload, schedulers, arguments.seeds)),
        arguments.jobs,
        arguments.backend,
    )
    found = cells(runs)
    text = [
        f'{workload.name}: simulated; {workload.count} requests, {arguments.seeds} seeds, '
        f'{workload.switch_cost * 1e3:g} ms where a request is parked',
        'late: share of the requests that are done after their deadline, a multiple of the mean '
        'isolated latency; ANTT: mean of turnaround over isolated latency; STP: requests a second',
        '',
        table(found),
    ]
    if arguments.picture is None or str(arguments.picture) != 'none':
        picture = arguments.picture or Path(f'requests_{path.stem}.png')
        draw(workload.name, found, picture)
        text.append(f'\npicture: {picture}')
    return '\n'.join(text)


def draw(title: str, found: Sequence[Cell], path: Path) -> None:
    """
    Draw the share of late requests and ANTT of each scheduler, a row for each rate and multiple.

    :param path: of the PNG to write
    """
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    groups: dict[tuple[float, float], list[Cell]] = {}
    for cell in found:
        groups.setdefault((cell.rate, cell.multiple), []).append(cell)
    most = max(len(members) for members in groups.values())
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(groups), 2, figsize=(11, (0.28 * most + 0.9) * len(groups) + 0.7), squeeze=False
        )
        for row, ((rate, multiple), members) in zip(axes, groups.items()):
            names = [cell.scheduler for cell in members]
            _bars(row[0], names, [cell.violation_rate for cell in members], 100.0)
            _bars(row[1], names, [cell.normalised_turnaround for cell in members], 1.0)
            row[1].set_yticklabels([])
            row[0].set_title(f'{rate:g} Hz, deadline x {multiple:g}', loc='left', fontsize=9)
            row[1].set_xscale('log')
            row[1].xaxis.set_major_formatter(lambda value, _: f'{value:g}')
            for axis in row:
                axis.grid(axis='y', visible=False)
        axes[-1][0].set_xlabel('late [%]')
        axes[-1][1].set_xlabel('ANTT: turnaround over isolated latency')
        figure.suptitle(
            f'{title}: simulated; blue: {DEFAULT_SCHEDULER}, the default',
            x=0.02,
            ha='left',
            fontweight='bold',
        )
        figure.tight_layout()
        figure.savefig(path, dpi=110)
        plt.close(figure)


def _bars(
    axis: Any, names: Sequence[str], values: Sequence[Sequence[float]], scale: float
) -> None:
    means = [float(np.mean(each)) * scale for each in values]
    spread = [
        [mean - min(each) * scale for mean, each in zip(means, values)],
        [max(each) * scale - mean for mean, each in zip(means, values)],
    ]
    colours = [OURS if name == DEFAULT_SCHEDULER else NEUTRAL for name in names]
    bars = axis.barh(names, means, xerr=spread, color=colours, error_kw={'linewidth': 0.8})
    axis.bar_label(
        bars,
        [f'{mean:.0f}' if mean >= 100 else f'{mean:.3g}' for mean in means],
        padding=3,
        fontsize=7.5,
    )
    axis.margins(x=0.14)
    axis.invert_yaxis()
