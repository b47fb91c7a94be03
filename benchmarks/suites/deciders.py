# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The manager against all deciders after published work, on two simulated boards. All simulated.

Scenarios in which nothing changes are of the classes of suite `manager`; each runs for 150 s, and
the last 30 count, so that searches are over by then. Three are of suite `scene`: networks with
early exits before pictures that turn hard and back. zTT is trained in each scenario before, by 32
runs of 25 s of other seeds. Energy is that of the module; a decider is *better* than ours where
both meet all targets and it needs less. DYNAMIC_DNN_JOBS says how many scenarios at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import os
from pathlib import Path
import statistics
from tempfile import TemporaryDirectory

from joblib import Parallel, delayed
from report import Figure, Report, figure

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.networks.published_levels import published_levels
from dynamic_dnn_ros.simulation.decider_training import LEARNERS, Training, train
from dynamic_dnn_ros.simulation.figures import energy, figures, shortfall
from dynamic_dnn_ros.simulation.runner import OURS, Job, boards_of
from dynamic_dnn_ros.simulation.runner import run as simulate
from dynamic_dnn_ros.simulation.scenario import Scenario
from dynamic_dnn_ros.simulation.workload import Workload
from dynamic_dnn_ros.simulation.workloads import workloads
from suites.manager import table
from suites.scene import SCENARIO, most_accurate, twice_as_fast

RUNS = 1
JOBS = int(os.environ.get('DYNAMIC_DNN_JOBS', '2'))
DURATION, MEASURED_FROM = 150.0, 120.0
EPISODE, EPISODES = 25.0, 32
"""Seconds of a run in which a decider is trained, and how many there are."""

RIVALS = (
    'alert',
    'carin',
    'coral',
    'dynamic_ofa',
    'e4',
    'flame',
    'random_search',
    'ztt',
)
KINDS = {
    'one model, loose, smaller may serve': 2,
    'one model, tight, smaller may serve': 1,
    'one model, loose, same accuracy': 2,
    'one model, tight, same accuracy': 2,
    'two models, smaller may serve': 1,
    'one static model on Orin NX, loose': 2,
    'one static model on Orin NX, tight': 1,
    'two static models on Orin NX': 1,
}
"""Classes of suite `manager`, and how many scenarios of each."""


ACCURATE = 'scene turns hard, most accurate'
"""The scenario that asks for accuracy, with energy as what decides between equals."""

AS_ACCURATE = 0.001
"""Accuracy that two may differ by and count as equal there, 0..1."""


@dataclass(frozen=True)
class Came:
    """
    What a run came to.

    `energy` of the module, J; `accuracy` of what was served, 0..1, of the application with the
    least; `late` frames beyond what is allowed, 0..1.
    """

    energy: float
    accuracy: float
    late: float
    meets: bool


@dataclass(frozen=True)
class Outcome:
    """What came of one scenario, by decider."""

    scenario: str
    came: Mapping[str, Came]

    def ratio(self, rival: str) -> float:
        """Return the energy of a rival over ours."""
        return self.came[rival].energy / self.came[OURS].energy

    def both_meet(self, rival: str) -> bool:
        """
        Tell whether a rival and ours do what is asked for.

        Where the most accurate is asked for, that is to be as accurate.
        """
        own, other = self.came[OURS], self.came[rival]
        if self.scenario == ACCURATE and other.accuracy < own.accuracy - AS_ACCURATE:
            return False
        return other.meets and own.meets


def run(runs: int) -> Report:
    """Run all scenarios with so many seeds."""
    chosen, left_out = scenarios()
    work = [(name, each, seed) for seed in range(1, runs + 1) for name, each in chosen.items()]
    found = Parallel(n_jobs=JOBS)(delayed(outcome)(*each) for each in work)
    by_seed = [found[at : at + len(chosen)] for at in range(0, len(found), len(chosen))]
    configuration = {
        'scenarios': len(chosen),
        'trained': f'{", ".join(LEARNERS)}: {EPISODES} runs of {EPISODE:g} s in each scenario',
        'by_scenario': [
            f'{o.scenario}: '
            + ', '.join(
                f'{name} {came.energy:.2f} J at {100 * came.accuracy:.2f} %'
                f'{"" if came.meets else " (missed)"}'
                for name, came in o.came.items()
            )
            for o in by_seed[0]
        ],
        'not_measured': [f'{name}: {why}' for name, why in left_out.items()],
    }
    return Report('deciders', 'simulated', configuration, rows(by_seed))


def scenarios() -> tuple[dict[str, Scenario], dict[str, str]]:
    """Return the scenarios by their names, and what cannot be run here and why."""
    every, left_out = table()
    left = dict(KINDS)
    found = {}
    for case in every:
        if left.get(case.kind, 0) > 0:
            data = {**case.data, 'duration': DURATION, 'measured_from': MEASURED_FROM}
            found[f'{case.kind}, {left[case.kind]}'] = Scenario.from_mapping(data)
            left[case.kind] -= 1
    scene = Scenario.from_file(share_folder() / 'config' / 'scenarios' / f'{SCENARIO}.yaml')
    rate = scene.applications[0].camera.rate
    found[f'scene turns hard, {rate:g} Hz'] = scene
    found[f'scene turns hard, {2 * rate:g} Hz'] = twice_as_fast(scene)
    found[ACCURATE] = most_accurate(scene)
    return found, left_out


def outcome(name: str, scenario: Scenario, seed: int) -> Outcome:
    """Return what came of a scenario under ours and all rivals."""
    networks = workloads(
        scenario, boards_of(scenario)(scenario.power_mode), Path(), published_levels
    )
    came = {}
    with TemporaryDirectory() as folder:
        for decider in (OURS, *RIVALS):
            file = ''
            if decider in LEARNERS:
                file = trained(decider, scenario, networks, seed, Path(folder))
            made = simulate(Job(scenario, networks, decider, seed=seed, decider_file=file))
            came[decider] = Came(
                energy(made, made.total_rail),
                min(each.accuracy for each in figures(made)),
                max(each.late - each.allowed for each in figures(made)),
                shortfall(made) <= 0.0,
            )
    return Outcome(name, came)


def trained(
    decider: str, scenario: Scenario, networks: Mapping[str, Workload], seed: int, folder: Path
) -> str:
    """Return the file of a decider that was trained in a scenario, with other seeds."""
    short = replace(scenario, duration=EPISODE, measured_from=EPISODE / 5, seed=1000 * seed)
    file = folder / f'{decider}.npz'
    for _ in train(Training(decider, short, networks, scenario.name, seed), file, EPISODES):
        pass
    return str(file)


def rows(by_seed: Sequence[Sequence[Outcome]]) -> list[Figure]:
    """Return the figures of outcomes by seed."""
    found = [
        figure(
            'another decider needs less energy than ours and meets the targets, most',
            [max([0.0, *(_saved(o, r) for o in each for r in RIVALS)]) for each in by_seed],
            'share',
            '<= 0.005',
        ),
        figure(
            f'{OURS}: scenarios whose targets are missed',
            [float(sum(not o.came[OURS].meets for o in each)) for each in by_seed],
            'scenarios',
            '<= 0',
        ),
    ]
    for rival in RIVALS:
        found += _of(rival, by_seed)
    return found


def _saved(outcome: Outcome, rival: str) -> float:
    return 1 - outcome.ratio(rival) if outcome.both_meet(rival) else 0.0


def _of(rival: str, by_seed: Sequence[Sequence[Outcome]]) -> list[Figure]:
    met = [[o for o in each if o.both_meet(rival)] for each in by_seed]
    found = [
        figure(
            f'{rival}: scenarios whose targets are missed',
            [float(sum(not o.came[rival].meets for o in each)) for each in by_seed],
            'scenarios',
        ),
        figure(
            f'{rival}: late frames beyond what is allowed, most',
            [max(o.came[rival].late for o in each) for each in by_seed],
            'share',
        ),
    ]
    if all(met):
        ratios = [[o.ratio(rival) for o in each] for each in met]
        found += [
            figure(
                f'{rival}: energy over ours where both meet the targets, median',
                [statistics.median(each) for each in ratios],
                'ratio',
            ),
            figure(
                f'{rival}: energy over ours where both meet the targets, least',
                [min(each) for each in ratios],
                'ratio',
            ),
        ]
    return found
