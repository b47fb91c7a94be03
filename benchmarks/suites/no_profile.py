# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The manager without a profile against the same with one, on two simulated boards. All simulated.

Each scenario is served for eleven minutes without a profile, and for two with one. The saving is
that of the last minute against the best fixed sub-network under schedutil + nvhost_podgov, which
meets the same targets; late frames are those of the first ten minutes, in which it learns. Others
that need no profile serve the same: a search as CORAL's, and one at random.
DYNAMIC_DNN_JOBS says how many runs at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import statistics

from joblib import Parallel, delayed
from report import Figure, Report, figure

from dynamic_dnn_ros.networks.published_levels import published_levels
from dynamic_dnn_ros.simulation.figures import application_figures, shortfall
from dynamic_dnn_ros.simulation.runner import BEST_FIXED, OURS, Job, boards_of
from dynamic_dnn_ros.simulation.runner import run as simulate
from dynamic_dnn_ros.simulation.runs import ApplicationRun, Run
from dynamic_dnn_ros.simulation.scenario import Scenario
from dynamic_dnn_ros.simulation.workloads import workloads
from suites.manager import SMALL, Case, table

RUNS = 1
JOBS = int(os.environ.get('DYNAMIC_DNN_JOBS', '2'))
LEARNING, MEASURED = 600.0, 60.0
FIXED_FOR = 25.0
RIVALS = ('coral', 'random_search')
KINDS = {
    'one model, loose, smaller may serve': 4,
    'one model, tight, smaller may serve': 4,
    'one model, loose, same accuracy': 2,
    'one model, tight, same accuracy': 2,
    'two models, smaller may serve': 2,
    'one model, small network': 1,
    'one static model on Orin NX, loose': 7,
    'one static model on Orin NX, tight': 6,
    'two static models on Orin NX': 2,
}
"""Classes of the table of suite `manager` in which nothing changes, and how many of each."""


@dataclass(frozen=True)
class Learnt:
    """
    What a decider without a profile came to: mean power of the last minute and of the first, W.

    `late` is the share of late frames beyond what the quantile allows while it learns, `after`
    the same of the last minute and `first_late` of the first; `accuracy_lost` is against the
    manager with a profile.
    """

    power: float
    first: float
    first_late: float
    late: float
    after: float
    accuracy_lost: float


@dataclass(frozen=True)
class Outcome:
    """
    What a scenario came to: mean power of the baseline, and with a profile, W.

    `learnt` has all deciders without a profile by their names.
    """

    kind: str
    board: str
    fixed: float
    fixed_meets: bool
    profiled: float
    learnt: Mapping[str, Learnt]

    @property
    def counts(self) -> bool:
        """Tell whether there is a saving that a share can be taken of."""
        return self.fixed_meets and self.fixed > self.profiled

    def share(self, decider: str = OURS) -> float:
        """Return the saving of a decider as a share of that with a profile."""
        return (self.fixed - self.learnt[decider].power) / (self.fixed - self.profiled)


def run(runs: int) -> Report:
    """Run all scenarios with so many seeds."""
    every, left_out = table()
    cases = list(_chosen(every))
    work = [(case, seed) for seed in range(1, runs + 1) for case in cases]
    found = Parallel(n_jobs=JOBS)(delayed(_outcome)(case, seed) for case, seed in work)
    by_seed = [found[place : place + len(cases)] for place in range(0, len(found), len(cases))]
    figures = _figures('', by_seed, '>= 0.97')
    for board in ('xavier_nx', 'orin_nx'):
        figures += _figures(
            f'{board}: ', [[o for o in each if o.board.startswith(board)] for each in by_seed]
        )
    figures += [row for rival in RIVALS for row in _rival_figures(rival, by_seed)]
    configuration = {
        'scenarios': len(cases),
        'seconds_each': LEARNING + MEASURED,
        'saving_of_the_last': MEASURED,
        'baseline': 'best fixed sub-network under schedutil + nvhost_podgov',
        'small_network': SMALL,
        'by_scenario': [
            f'{o.kind}: {o.fixed:.3f} W fixed, {o.profiled:.3f} profiled, '
            + ', '.join(f'{each.power:.3f} {name}' for name, each in o.learnt.items())
            for o in by_seed[0]
        ],
        'not_measured': [f'{name}: {why}' for name, why in left_out.items()],
    }
    return Report('no_profile', 'simulated', configuration, figures)


def _chosen(every: Sequence[Case]) -> Iterator[Case]:
    left = dict(KINDS)
    for case in every:
        if left.get(case.kind, 0) > 0:
            left[case.kind] -= 1
            yield case


def _outcome(case: Case, seed: int) -> Outcome:
    end = LEARNING + MEASURED

    def scenario(duration: float, measured_from: float) -> Scenario:
        data = {**case.data, 'duration': duration, 'measured_from': measured_from}
        return Scenario.from_mapping(data, Path())

    whole, short = scenario(end, LEARNING), scenario(FIXED_FOR, 5.0)
    known = scenario(2 * MEASURED, MEASURED)
    board = boards_of(whole)(whole.power_mode)
    networks = workloads(whole, board, Path(), published_levels)
    profiled = simulate(Job(known, networks, OURS, seed=seed))
    fixed = simulate(Job(short, networks, BEST_FIXED, seed=seed))
    known_accuracy = _accuracy(profiled, MEASURED)
    learnt = {}
    for decider in (OURS, *RIVALS):
        made = simulate(Job(whole, networks, decider, seed=seed, profiled=False))
        learnt[decider] = Learnt(
            _power(made, LEARNING, end),
            _power(made, 0.0, 60.0),
            _late(made, 0.2, 60.0),
            _late(made, 0.2, LEARNING),
            _late(made, LEARNING, end),
            known_accuracy - _accuracy(made, LEARNING),
        )
    return Outcome(
        case.kind,
        case.data['platform']['board'],
        _power(fixed, 5.0, FIXED_FOR),
        shortfall(fixed) <= 0.0,
        _power(profiled, MEASURED, 2 * MEASURED),
        learnt,
    )


def _accuracy(run: Run, begin: float) -> float:
    found = [application_figures(each, begin, begin + MEASURED) for each in _of(run)]
    return statistics.fmean(each.accuracy for each in found)


def _of(run: Run) -> tuple[ApplicationRun, ...]:
    return tuple(run.applications.values())


def _power(run: Run, begin: float, end: float) -> float:
    rail = run.rails.index(run.total_rail)
    return statistics.fmean(s.power[rail] for s in run.samples if begin < s.time <= end)


def _late(run: Run, begin: float, end: float) -> float:
    found = [application_figures(each, begin, end) for each in run.applications.values()]
    return max(each.late - each.allowed for each in found)


def _figures(
    prefix: str, by_seed: Sequence[Sequence[Outcome]], bar: str | None = None
) -> list[Figure]:
    counted = [[o for o in each if o.counts] for each in by_seed]
    shares = [_share(OURS, each) for each in counted]
    late = '<= 0.01' if bar else None
    return [
        figure(f'{prefix}saving after ten minutes over that with a profile', shares, 'share', bar),
        figure(
            f'{prefix}the same, scenario with the least',
            [min(o.share() for o in e) for e in counted],
            'share',
        ),
        figure(f'{prefix}scenarios that count', [float(len(e)) for e in counted], 'scenarios'),
        figure(
            f'{prefix}power after ten minutes over that with a profile, mean',
            [statistics.fmean(o.learnt[OURS].power / o.profiled for o in e) for e in by_seed],
            'share',
        ),
        figure(
            f'{prefix}power of the first minute over that with a profile, mean',
            [statistics.fmean(o.learnt[OURS].first / o.profiled for o in e) for e in by_seed],
            'share',
        ),
        figure(
            f'{prefix}late frames above the quantile in the first minute, most',
            [max(o.learnt[OURS].first_late for o in e) for e in by_seed],
            'share',
        ),
        figure(
            f'{prefix}late frames above the quantile while learning, most',
            [max(o.learnt[OURS].late for o in e) for e in by_seed],
            'share',
            late,
        ),
        figure(
            f'{prefix}late frames above the quantile after that, most',
            [max(o.learnt[OURS].after for o in e) for e in by_seed],
            'share',
            late,
        ),
        figure(
            f'{prefix}accuracy lost, most',
            [max(o.learnt[OURS].accuracy_lost for o in e) for e in by_seed],
            'share',
        ),
    ]


def _rival_figures(rival: str, by_seed: Sequence[Sequence[Outcome]]) -> list[Figure]:
    """Return what another decider without a profile comes to on the same scenarios."""
    counted = [[o for o in each if o.counts] for each in by_seed]
    rows = {
        'saving after ten minutes over that of the profiled manager': [
            _share(rival, each) for each in counted
        ],
        'the same, scenario with the least': [min(o.share(rival) for o in e) for e in counted],
        'power of the first minute over that with a profile, mean': [
            statistics.fmean(o.learnt[rival].first / o.profiled for o in e) for e in by_seed
        ],
        'late frames above the quantile in the first minute, most': [
            max(o.learnt[rival].first_late for o in e) for e in by_seed
        ],
        'scenarios late by more than 1 point in the first minute': [
            float(sum(o.learnt[rival].first_late > 0.01 for o in e)) for e in by_seed
        ],
        'late frames above the quantile while searching, most': [
            max(o.learnt[rival].late for o in e) for e in by_seed
        ],
        'late frames above the quantile after that, most': [
            max(o.learnt[rival].after for o in e) for e in by_seed
        ],
        'scenarios late by more than 1 point after that': [
            float(sum(o.learnt[rival].after > 0.01 for o in e)) for e in by_seed
        ],
        'accuracy lost, most': [max(o.learnt[rival].accuracy_lost for o in e) for e in by_seed],
    }
    return [
        figure(f'{rival}: {name}', values, 'scenarios' if 'scenarios late' in name else 'share')
        for name, values in rows.items()
    ]


def _share(decider: str, outcomes: Sequence[Outcome]) -> float:
    saved = sum(o.fixed - o.learnt[decider].power for o in outcomes)
    return saved / sum(o.fixed - o.profiled for o in outcomes)
