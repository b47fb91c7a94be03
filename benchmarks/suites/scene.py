# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A scene that turns from easy to hard and back, before the manager and others.

Simulated first. The scenario is the one that ships, `scene_turns_hard`: networks with early exits
on a model of a Xavier NX, difficulty over time made up. A run is a seed. `path_blind` is the same
manager without stages: it knows the profile of each whole network and measures latencies. The same
is run with a camera of twice the rate, whose frames wait behind one that takes a long path, and
for the most accuracy in place of the least energy, at a latency that the largest network keeps in
easy scenes.

*On the clock* is another thing: real nodes and real pictures, see `scene_live`. There only the
board is simulated.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
import math
from pathlib import Path

from report import Figure, Report, figure
from scene_live import scene_live

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.management.targets import Objective, Target
from dynamic_dnn_ros.networks.published_levels import published_levels
from dynamic_dnn_ros.simulation.figures import ApplicationFigures, energy, figures
from dynamic_dnn_ros.simulation.runner import ORACLE, OURS, Job, boards_of
from dynamic_dnn_ros.simulation.runner import run as simulate
from dynamic_dnn_ros.simulation.runs import Run, SimulatedFrame
from dynamic_dnn_ros.simulation.scenario import Scenario, TargetChange
from dynamic_dnn_ros.simulation.workloads import workloads
from support.shared_data import CIFAR10_TEST, DATA, REPOSITORY

RUNS = 10
LIVE_RUNS = 3
"""Of those on the clock: three minutes each."""
LIVE = 'cifar10_exits'
SCENARIO = 'scene_turns_hard'
BLIND = 'path_blind'
TIGHT = 0.055
"""Latency that is asked for beside the most accuracy, s."""
THIRD = 2
"""Place of the frame from which on the target is to be met after a change."""


def run(runs: int) -> Report:
    """Run the scenario with that many seeds under each manager."""
    path = share_folder() / 'config' / 'scenarios' / f'{SCENARIO}.yaml'
    scenario = Scenario.from_file(path)
    rate = scenario.applications[0].camera.rate
    rows = [
        *_rows(scenario, path.parent, runs, f'{rate:g} Hz', barred=True),
        *_rows(twice_as_fast(scenario), path.parent, runs, f'{2 * rate:g} Hz', barred=False),
        *_rows(most_accurate(scenario), path.parent, runs, 'most accuracy', barred=True),
    ]
    live = REPOSITORY / 'models' / LIVE
    missing = [name for name in (live, DATA / CIFAR10_TEST) if not name.exists()]
    if not missing:
        rows += scene_live(read_bundle(live), min(runs, LIVE_RUNS))
    configuration = {
        'scenario': SCENARIO,
        'board': scenario.board,
        'duration': scenario.duration,
        'changes': _changes(scenario),
        'simulated': 'board, networks, works and shares of their exits, accuracies, pictures',
        'on_the_clock': f'{LIVE}, real nodes, test pictures of CIFAR-10 (JPEG); simulated: board',
        'not_measured': [f'on the clock: {name} is absent' for name in missing],
    }
    return Report('scene', 'simulated', configuration, rows)


def twice_as_fast(scenario: Scenario) -> Scenario:
    """Return the scenario with a camera of twice the rate."""
    (script,) = scenario.applications
    targets = tuple(
        TargetChange(c.at, None if c.target is None else replace(c.target, rate=2 * c.target.rate))
        for c in script.targets
    )
    camera = replace(script.camera, rate=2 * script.camera.rate)
    return replace(scenario, applications=(replace(script, camera=camera, targets=targets),))


def most_accurate(scenario: Scenario) -> Scenario:
    """Return the scenario with a target of the most accuracy, at a latency that is tight."""
    (script,) = scenario.applications
    target = Target(
        script.id, latency=TIGHT, objective=Objective.MAXIMUM_ACCURACY, sender='scenario'
    )
    targets = (TargetChange(script.targets[0].at, target),)
    return replace(scenario, applications=(replace(script, targets=targets),))


def _changes(scenario: Scenario) -> list[float]:
    """Return when the scene changes in the time measured, s."""
    (script,) = scenario.applications
    return [at for at, _ in script.difficulty if at > scenario.measured_from]


def _rows(scenario: Scenario, folder: Path, runs: int, title: str, barred: bool) -> list[Figure]:
    """Return the figures of one scenario, with bars for our manager where they are asked for."""
    networks = workloads(scenario, boards_of(scenario)(''), folder, published_levels)
    found = {
        name: [simulate(Job(scenario, networks, name, seed=seed)) for seed in range(runs)]
        for name in (OURS, BLIND, ORACLE)
    }
    changes = _changes(scenario)
    rows = []
    for name, made in found.items():
        asked = barred and name == OURS
        after = [[_after(one, changes, k) for k in range(len(changes))] for one in made]
        rows += [
            figure(
                f'{title}, {name}: late from the third frame after a change on, worst change',
                [max(_late(frames[THIRD:]) for frames in each) for each in after],
                'share',
                '<= 0.05' if asked else None,
            ),
            figure(
                f'{title}, {name}: late of the five frames after a change, mean',
                [sum(5 * _late(frames[:5]) for frames in each) / len(each) for each in after],
                'frames',
            ),
            figure(
                f'{title}, {name}: switches a change, most',
                [max(_switches(one, changes)) for one in made],
                '',
                '<= 2' if asked else None,
            ),
            figure(
                f'{title}, {name}: late of all frames (0.05 allowed)',
                [_of(one).late for one in made],
                'share',
            ),
            figure(f'{title}, {name}: accuracy', [_of(one).accuracy for one in made], 'share'),
            figure(
                f'{title}, {name}: energy of the module',
                [energy(one, one.total_rail) for one in made],
                'J',
            ),
        ]
    return rows + [*_ratios(found, title, BLIND), *_ratios(found, title, ORACLE)]


def _ratios(found: dict[str, list[Run]], title: str, other: str) -> list[Figure]:
    rail = found[OURS][0].total_rail
    return [
        figure(
            f'{title}: energy{words}, {OURS} over {other}',
            [
                energy(a, rail, above) / energy(b, rail, above)
                for a, b in zip(found[OURS], found[other])
            ],
            'ratio',
        )
        for words, above in (('', False), (' above idle', True))
    ]


def _of(run: Run) -> ApplicationFigures:
    (one,) = figures(run)
    return one


def _after(run: Run, changes: list[float], change: int) -> list[SimulatedFrame]:
    """Return the frames that arrived from a change on, up to the next one."""
    (one,) = run.applications.values()
    return one.between(changes[change], [*changes, math.inf][change + 1])


def _late(frames: list[SimulatedFrame]) -> float:
    """Return the share of frames that are later than was asked for."""
    return sum(frame.latency > frame.target for frame in frames) / len(frames)


def _switches(run: Run, changes: list[float]) -> list[int]:
    """Return how often another sub-network is served from each change on, up to the next one."""
    (one,) = run.applications.values()
    return [
        sum(at <= time < until for time, _ in one.switches)
        for at, until in pairwise([*changes, math.inf])
    ]
