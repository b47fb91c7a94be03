# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Somebody else sets the clock of the memory: who keeps the targets? All simulated.

As a bandwidth manager or a power mode does: at random moments the memory goes to another step of
its table, and no decider may set it. Targets allow 2 % of the frames to be late. `open_loop`
plans as a fit to CPU and GPU clocks alone does; `memory_blind` has the same profile and learns
from frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import random
import statistics
from typing import Any

from report import Figure, Report, figure

from dynamic_dnn_ros.networks.published_levels import published_levels
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.simulation.figures import energy, figures, rails_of
from dynamic_dnn_ros.simulation.runner import ORACLE, OURS, Job, boards_of
from dynamic_dnn_ros.simulation.runner import run as simulate
from dynamic_dnn_ros.simulation.scenario import Scenario
from dynamic_dnn_ros.simulation.workloads import workloads
from support.shared_data import DATA

RUNS = 3
XAVIER, ORIN = 'xavier_nx_simulated', 'orin_nx_simulated'
LEVELS = DATA / 'platforms' / 'xavier_nx' / 'dynamic_ofa_levels.json'
OTHERS = ('memory_blind', 'open_loop', 'alert')
DURATION, MEASURED_FROM = 90.0, 2.0
EVERY = 6.0
"""Mean seconds between two changes, exponentially distributed."""
DEEPEST = 6
"""The memory runs at the highest clock over this at least."""
QUANTILE = 0.98


@dataclass(frozen=True)
class Case:
    """One application on one board; latency in seconds, rate in hertz."""

    name: str
    board: str
    network: dict[str, Any]
    rate: float
    latency: float
    accuracy: float = 0.0


def cases() -> tuple[list[Case], list[str]]:
    """Return what can be run here, and what is left out and why."""
    found = [
        Case('resnet50 on Orin NX', ORIN, {'measured': 'resnet50'}, 60.0, 0.009),
        Case('yolov3_tiny on Orin NX', ORIN, {'measured': 'yolov3_tiny_416'}, 40.0, 0.018),
        Case('efficientnet_b5 on Orin NX', ORIN, {'measured': 'efficientnet_b5'}, 30.0, 0.02),
        Case('cifar10_ofa on Xavier NX', XAVIER, {'bundle': 'cifar10_ofa'}, 20.0, 0.035, 0.8),
    ]
    if not LEVELS.exists():
        return found, [f'Dynamic-OFA on Xavier NX: {LEVELS} is absent']
    levels = {'levels': str(LEVELS)}
    return [*found, Case('Dynamic-OFA on Xavier NX', XAVIER, levels, 8.0, 0.07, 0.745)], []


def run(runs: int) -> Report:
    """Run each case with `runs` seeds under each decider."""
    every, left_out = cases()
    late: dict[str, list[list[float]]] = {}
    joules: dict[str, list[list[float]]] = {}
    for case in every:
        for seed in range(1, runs + 1):
            scenario = scenario_of(case, seed)
            networks = workloads(scenario, boards_of(scenario)(''), Path('.'), published_levels)
            for name in (OURS, *OTHERS, ORACLE):
                made = simulate(Job(scenario, networks, name))
                (found,) = figures(made)
                module, _ = rails_of(made)
                _of(late, name, seed).append(found.late)
                _of(joules, name, seed).append(energy(made, module))
    rows = [*_late(late), *_energy(joules)]
    configuration: dict[str, Any] = {
        'cases': [case.name for case in every],
        'seconds_each': DURATION,
        'seconds_between_changes': EVERY,
        'allowed_late': round(1 - QUANTILE, 3),
        'simulated': 'everything',
        'not_measured': left_out,
    }
    return Report('memory_clock', 'simulated', configuration, rows)


def scenario_of(case: Case, seed: int) -> Scenario:
    """Return a case with the memory's clock held at one random step after the other."""
    target = {
        'at': 0.2,
        'latency': case.latency,
        'latency_quantile': QUANTILE,
        'accuracy': case.accuracy,
        'rate': case.rate,
    }
    return Scenario.from_mapping(
        {
            'name': case.name,
            'platform': {'board': case.board},
            'duration': DURATION,
            'measured_from': MEASURED_FROM,
            'seed': seed,
            'held_clocks': _steps(case.board, seed),
            'applications': [
                {
                    'id': '/front/inference_node',
                    'network': case.network,
                    'camera': {'rate': case.rate, 'jitter': 0.02},
                    'targets': [target],
                }
            ],
        }
    )


def _steps(board: str, seed: int) -> list[dict[str, Any]]:
    table = next(row.available for row in load_board(board).limits() if row.name == 'memory')
    usable = [clock for clock in table if clock >= table[-1] / DEEPEST]
    draw = random.Random(f'{seed}/memory')
    steps, at, clock = [], 0.0, table[-1]
    while at < DURATION:
        steps.append({'at': round(at, 3), 'domain': 'memory', 'hertz': clock})
        at += draw.expovariate(1 / EVERY)
        clock = draw.choice([other for other in usable if other != clock])
    return steps


def _of(values: dict[str, list[list[float]]], name: str, seed: int) -> list[float]:
    """Return the values of a decider in the run of a seed, for each case."""
    runs = values.setdefault(name, [])
    while len(runs) < seed:
        runs.append([])
    return runs[seed - 1]


def _late(late: dict[str, list[list[float]]]) -> list[Figure]:
    rows = []
    for name, runs in late.items():
        bar = '<= 0.013' if name == OURS else None
        worst = [max(each) for each in runs]
        rows.append(figure(f'{name}: frames late, worst case', worst, 'share', bar))
        mean = [statistics.fmean(each) for each in runs]
        rows.append(figure(f'{name}: frames late, mean of cases', mean, 'share'))
    return rows


def _energy(joules: dict[str, list[list[float]]]) -> list[Figure]:
    rows = []
    for name, runs in joules.items():
        if name != ORACLE:
            ratios = [
                statistics.geometric_mean(a / b for a, b in zip(ours, least))
                for ours, least in zip(runs, joules[ORACLE])
            ]
            rows.append(figure(f'{name}: module energy / oracle', ratios, 'ratio'))
    return rows
