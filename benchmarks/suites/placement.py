# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which processor each network runs on: a GPU and two DLAs of an Orin NX. All simulated.

The manager chooses processors and clocks together. It is judged against an oracle that places
too, and against what a user would set by hand: all networks on the GPU, or all on the DLAs, under
schedutil and nvhost_podgov. Of the ways to share out networks between two DLAs the one counts that
meets the targets for the least energy.

The workloads are the ten of the publication whose savings are the marks, and rates alone are asked
for, as there. Each runs alone, and beside a program that keeps 35 % of all cores busy at every
clock: that explains the power of the published runs, from 576 MHz to 1.86 GHz
(docs/simulation.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
import statistics
from typing import Any

from report import Figure, Report, figure

from dynamic_dnn_ros.networks.published_levels import published_levels
from dynamic_dnn_ros.simulation.figures import energy, rails_of, shortfall
from dynamic_dnn_ros.simulation.runner import ORACLE, OURS, Job, boards_of
from dynamic_dnn_ros.simulation.runner import run as simulate
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.scenario import Scenario
from dynamic_dnn_ros.simulation.workloads import workloads

RUNS = 1
BOARD = 'orin_nx_simulated'
PLACES = ('gpu', 'dla0', 'dla1')
DURATION, MEASURED_FROM = 45.0, 15.0
CPU_LOAD = 0.35
"""Share of all cores that another program keeps busy, whatever the clock."""

Network = tuple[str, float]
"""A measured network, and the rate of its camera, Hz."""

EFFICIENTNET, RESNET = 'efficientnet_b5', 'resnet50'
SUPER_RESOLUTION, YOLO = 'super_resolution_bsd500', 'yolov3_tiny_416'
LARGE, SMALL = EFFICIENTNET, YOLO
"""What stands for EfficientViT-B3 and YOLO11n, which nobody measured alone."""

WORKLOADS: tuple[tuple[Network, ...], ...] = (
    ((EFFICIENTNET, 30.0), (LARGE, 30.0), (SMALL, 30.0)),
    ((RESNET, 30.0), (SUPER_RESOLUTION, 30.0), (YOLO, 30.0)),
    ((RESNET, 60.0), (SMALL, 30.0), (YOLO, 30.0)),
    ((LARGE, 30.0), (RESNET, 90.0), (SMALL, 30.0)),
    ((RESNET, 120.0), (RESNET, 60.0), (RESNET, 60.0)),
    ((RESNET, 40.0), (RESNET, 120.0), (SMALL, 30.0), (YOLO, 30.0)),
    ((EFFICIENTNET, 30.0), (LARGE, 30.0), (RESNET, 60.0), (SMALL, 30.0)),
    ((EFFICIENTNET, 20.0), (LARGE, 20.0), (RESNET, 30.0), (YOLO, 30.0)),
    ((RESNET, 30.0), (RESNET, 60.0), (YOLO, 30.0), (YOLO, 60.0)),
    ((RESNET, 30.0), (RESNET, 30.0), (YOLO, 30.0), (YOLO, 30.0)),
)
"""The ten workloads that the published figures are means of, by these four networks."""


@dataclass(frozen=True)
class Outcome:
    """Energy of the module and of the rail of CPU and GPU, J; whether a target was missed."""

    module: float
    processing: float
    missed: bool

    @classmethod
    def of(cls, run: Run) -> Outcome:
        """Return what a run came to."""
        module, processing = rails_of(run)
        return cls(energy(run, module), energy(run, processing), shortfall(run) > 0)


@dataclass(frozen=True)
class Compared:
    """One workload under everything."""

    ours: Outcome
    oracle: Outcome
    gpu: Outcome
    dlas: Outcome


def run(runs: int) -> Report:
    """Run each workload with `runs` seeds, alone and beside other load."""
    rows: list[Figure] = []
    missed: dict[str, list[str]] = {}
    for beside, load in (('alone', 0.0), ('beside a program that polls', CPU_LOAD)):
        found = [
            [compared(workload, load, seed) for workload in WORKLOADS]
            for seed in range(1, runs + 1)
        ]
        rows += _rows(beside, found)
        missed[beside] = _missed(found)
    configuration: dict[str, Any] = {
        'workloads': [', '.join(f'{n} {r:g} Hz' for n, r in each) for each in WORKLOADS],
        'seconds_each': DURATION,
        'measured_from': MEASURED_FROM,
        'targets': 'rate of the camera',
        'targets_missed': missed,
        'cpu_load_of_the_program_that_polls': CPU_LOAD,
        'simulated': 'everything; the second DLA is assumed to be as the measured one',
    }
    return Report('placement', 'simulated', configuration, rows)


def compared(workload: Sequence[Network], load: float, seed: int) -> Compared:
    """Return one workload under manager, oracle and placements by hand."""
    anywhere = [PLACES] * len(workload)
    shared_out = product(*[PLACES[1:]] * len(workload))
    # The two DLAs are alike: the first network's place is no choice.
    by_hand = [each for each in shared_out if each[0] == PLACES[1]]
    dlas = [_outcome(workload, [(p,) for p in each], load, seed, 'largest') for each in by_hand]
    return Compared(
        _outcome(workload, anywhere, load, seed, OURS),
        _outcome(workload, anywhere, load, seed, ORACLE),
        _outcome(workload, [PLACES[:1]] * len(workload), load, seed, 'largest'),
        min(dlas, key=lambda each: (each.missed, each.module)),
    )


def _outcome(
    workload: Sequence[Network],
    places: Sequence[Sequence[str]],
    load: float,
    seed: int,
    manager: str,
) -> Outcome:
    applications = [
        {
            'id': f'/camera{index}/inference_node',
            'network': {'measured': name, 'processors': list(where)},
            'camera': {'rate': rate, 'jitter': 0.02, 'phase': 0.006 * index},
            'targets': [{'at': 0.2, 'rate': rate}],
        }
        for index, ((name, rate), where) in enumerate(zip(workload, places))
    ]
    scenario = Scenario.from_mapping(
        {
            'name': 'placement',
            'platform': {'board': BOARD},
            'duration': DURATION,
            'measured_from': MEASURED_FROM,
            'seed': seed,
            'other_load': [{'at': 0.0, 'cpu': load, 'polling': True}] if load else [],
            'applications': applications,
        }
    )
    networks = workloads(scenario, boards_of(scenario)(''), Path('.'), published_levels)
    return Outcome.of(simulate(Job(scenario, networks, manager)))


def _rows(beside: str, found: Sequence[Sequence[Compared]]) -> list[Figure]:
    """Return the figures of one kind of load; each list of outcomes is of one seed."""
    worst = [max(c.ours.module / c.oracle.module for c in seed) for seed in found]
    rows = [figure(f'{beside}: module energy / oracle, worst', worst, 'ratio', '<= 1.03')]
    for text, marks in (('gpu', (0.13, 0.33)), ('dlas', (0.13, None))):
        for rail, mark in zip(('module', 'processing'), marks):
            savings = [
                [
                    1 - getattr(c.ours, rail) / getattr(getattr(c, text), rail)
                    for c in seed
                    if not getattr(c, text).missed
                ]
                for seed in found
            ]
            if not all(savings):
                continue
            where = 'the GPU' if text == 'gpu' else 'the DLAs'
            what = 'module' if rail == 'module' else 'CPU+GPU rail'
            name = f'{beside}: {what}, saved against all on {where}'
            bar = f'> {mark}' if mark is not None else None
            means = [statistics.fmean(each) for each in savings]
            rows.append(figure(f'{name}, mean', means, 'share', bar))
            rows.append(figure(f'{name}, largest', [max(each) for each in savings], 'share'))
    return rows


def _missed(found: Sequence[Sequence[Compared]]) -> list[str]:
    """Return who missed targets in how many workloads of the first seed."""
    names = ('ours', 'oracle', 'gpu', 'dlas')
    counts = {name: sum(getattr(c, name).missed for c in found[0]) for name in names}
    return [f'{name}: {count} of {len(WORKLOADS)}' for name, count in counts.items()]
