# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which processor each network runs on: a GPU and two DLAs of an Orin NX. All simulated.

The manager chooses processors and clocks together. It is judged against an oracle that places
too, and against what a user would set by hand: all networks on the GPU, or all on the DLAs, under
schedutil and nvhost_podgov. Of the ways to share out networks between two DLAs the one counts that
meets the targets for the least energy. Each workload runs alone, and beside programs that keep
35 % of all cores busy (docs/simulation.md says why).
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
"""Share of all cores that other programs keep busy at the highest clock's rate of work."""

Network = tuple[str, float]
"""A measured network, and the rate of its camera, Hz."""

WORKLOADS: tuple[tuple[Network, ...], ...] = (
    (('yolov3_tiny_416', 30.0), ('resnet50', 60.0), ('super_resolution_bsd500', 20.0)),
    (('resnet50', 60.0), ('efficientnet_b5', 20.0), ('yolov3_tiny_416', 20.0)),
    (('yolov3_tiny_416', 20.0), ('resnet50', 90.0), ('efficientnet_b5', 20.0)),
    (('efficientnet_b5', 30.0), ('yolov3_tiny_416', 30.0), ('super_resolution_bsd500', 20.0)),
    (('resnet50', 30.0), ('efficientnet_b5', 30.0), ('super_resolution_bsd500', 20.0)),
    (('resnet50', 120.0), ('yolov3_tiny_416', 20.0)),
    (('yolov3_tiny_416', 60.0), ('super_resolution_bsd500', 20.0)),
    (('resnet50', 60.0), ('efficientnet_b5', 30.0)),
)


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
    for beside, load in (('alone', 0.0), ('beside 35 % of CPU', CPU_LOAD)):
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
        'targets': 'latency of one period, rate of the camera',
        'targets_missed': missed,
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
            'targets': [{'at': 0.2, 'latency': 1 / rate, 'rate': rate}],
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
            'other_load': [{'at': 0.0, 'cpu': load}] if load else [],
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
