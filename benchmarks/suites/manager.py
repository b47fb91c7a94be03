# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The manager against everything that it is judged against, on simulated boards. All simulated.

Scenarios come from a table of classes. `Best fixed` is the one sub-network that meets the same
targets for the least energy under schedutil + nvhost_podgov, found by trying each on that run;
where none meets them the scenario counts in no ratio to it. Energy is that of the whole rail
unless it says `above idle`; accuracy stands beside it.

DYNAMIC_DNN_SWEEP=1 repeats the headline ratios with each assumed parameter of the boards at -30 %
and +30 % and gives the range: hours of one core. DYNAMIC_DNN_JOBS says how many runs at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
import json
import os
from pathlib import Path
import statistics
from typing import Any

from joblib import Parallel, delayed
from report import Figure, Report, figure

from dynamic_dnn_ros.cli.scenario_networks import workloads
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.simulation.contract import Workload
from dynamic_dnn_ros.simulation.figures import energy, figures, rails_of, shortfall
from dynamic_dnn_ros.simulation.record import Run
from dynamic_dnn_ros.simulation.runner import BEST_FIXED, ORACLE, OURS, Job, boards_of
from dynamic_dnn_ros.simulation.runner import run as simulate
from dynamic_dnn_ros.simulation.scenario import Scenario
from support.shared_data import DATA

RUNS = 1
SWEEP = 'DYNAMIC_DNN_SWEEP'
JOBS = int(os.environ.get('DYNAMIC_DNN_JOBS', '2'))
XAVIER, ORIN = 'xavier_nx_simulated', 'orin_nx_simulated'
LEVELS = DATA / 'platforms' / 'xavier_nx' / 'dynamic_ofa_levels.json'
OTHERS = ('alert', 'dvfs_only', 'network_only', 'dynamic_ofa')
DURATION, MEASURED_FROM = 25.0, 5.0
FRONT, REAR = '/front/inference_node', '/rear/inference_node'


@dataclass(frozen=True)
class Case:
    """One scenario of the table, and the class that it belongs to."""

    kind: str
    data: dict[str, Any]

    @property
    def models(self) -> int:
        """Return how many applications there are."""
        return len(self.data['applications'])


@dataclass(frozen=True)
class Outcome:
    """What a run comes to; kept in place of the run itself."""

    module: float
    processing: float
    module_above: float
    processing_above: float
    missed: bool
    excess: float
    p95: float
    accuracy: float
    foreign_late: float
    switches: int

    @classmethod
    def of(cls, run: Run) -> Outcome:
        """Return it."""
        module, processing = rails_of(run)
        found = figures(run)
        return cls(
            energy(run, module),
            energy(run, processing),
            energy(run, module, True),
            energy(run, processing, True),
            shortfall(run) > 0,
            max(each.late - each.allowed for each in found),
            statistics.geometric_mean(each.p95 for each in found),
            statistics.fmean(each.accuracy for each in found),
            run.foreign_late,
            sum(each.switches for each in found),
        )


def run(runs: int) -> Report:
    """Run the table with `runs` seeds, and what shows reactions and speed."""
    cases, left_out = table()
    found = [outcomes(cases, seed, {}) for seed in range(1, runs + 1)]
    scaled = list(_scaled(cases)) if os.environ.get(SWEEP) else []
    figures_found = _headlines(cases, found, scaled)
    figures_found += _classes(cases, found)
    figures_found += _reactions(runs)
    figures_found += _speed()
    configuration: dict[str, Any] = {
        'scenarios': len(cases),
        'of_one_model': sum(case.models == 1 for case in cases),
        'seconds_each': DURATION,
        'measured_from': MEASURED_FROM,
        'baseline': 'best fixed sub-network under schedutil + nvhost_podgov',
        'assumed_parameters_varied': len(scaled),
        'networks': 'Xavier NX: sub-networks published with Dynamic-OFA (ImageNet top-1 as '
        'published) and the bundle cifar10_ofa; Orin NX: static networks measured on it',
        'simulated': 'everything but the speed of the simulator, which is processor time',
        'not_measured': left_out,
    }
    if not scaled:
        left_out['range over assumed parameters'] = f'takes hours: {SWEEP}=1 gives it'
    return Report('manager', 'simulated', configuration, figures_found)


# The table of classes.


def table() -> tuple[list[Case], dict[str, str]]:
    """Return the scenarios that can be run here, and what is left out and why."""
    cases, left_out = [], {}
    if LEVELS.exists():
        cases += list(_xavier({'levels': str(LEVELS)}))
    else:
        left_out['Xavier NX with Dynamic-OFA levels'] = f'{LEVELS} is absent'
    cases += list(_small())
    try:
        load_board(ORIN)
        cases += list(_orin())
    except PlatformError as error:
        left_out['Orin NX'] = str(error)
    return cases, left_out


def _case(kind: str, board: str, applications: Sequence[dict[str, Any]], **fields: Any) -> Case:
    return Case(
        kind,
        {
            'name': kind,
            'platform': {'board': board},
            'duration': DURATION,
            'measured_from': MEASURED_FROM,
            'applications': list(applications),
            **fields,
        },
    )


def _application(
    network: dict[str, Any],
    rate: float,
    latency: float,
    accuracy: float = 0.0,
    name: str = FRONT,
    phase: float = 0.0,
    more: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    target = {'latency': latency, 'accuracy': accuracy, 'rate': rate}
    return {
        'id': name,
        'network': network,
        'camera': {'rate': rate, 'jitter': 0.02, 'phase': phase},
        'targets': [{'at': 0.2, **target}, *more],
    }


def _xavier(levels: dict[str, Any]) -> Iterator[Case]:
    for rate in (5.0, 8.0, 10.0, 12.0, 15.0):
        for kind, latency in (('loose', 0.95 / rate), ('tight', 0.058)):
            if latency < 0.8 / rate or kind == 'loose':
                yield _case(
                    f'one model, {kind}, smaller may serve',
                    XAVIER,
                    [_application(levels, rate, latency, 0.74)],
                )
    for rate in (5.0, 8.0, 10.0, 12.0):
        for kind, latency in (('loose', 0.95 / rate), ('tight', 0.068)):
            yield _case(
                f'one model, {kind}, same accuracy',
                XAVIER,
                [_application(levels, rate, latency, 0.785)],
            )
    for rate, gpu, cpu in ((8.0, 0.10, 0.0), (10.0, 0.15, 0.1), (12.0, 0.1, 0.2)):
        yield _case(
            'one model, co-runner comes',
            XAVIER,
            [_application(levels, rate, 0.9 / rate, 0.745)],
            other_load=[{'at': 12.0, 'gpu': gpu, 'cpu': cpu}],
        )
    for rate, cpu in ((8.0, 0.2), (10.0, 0.35)):
        yield _case(
            'one model, navigation steps up',
            XAVIER,
            [_application(levels, rate, 0.9 / rate, 0.745)],
            other_load=[{'at': 8.0, 'cpu': cpu / 2}, {'at': 15.0, 'cpu': cpu / 2}],
        )
    for rate in (8.0, 12.0):
        yield _case(
            'one model, targets change',
            XAVIER,
            [
                _application(
                    levels,
                    rate,
                    0.9 / rate,
                    0.745,
                    more=[
                        {'at': 11.0, 'latency': 0.060, 'accuracy': 0.742, 'rate': rate},
                        {'at': 18.0, 'latency': 0.078, 'accuracy': 0.775, 'rate': rate},
                    ],
                )
            ],
        )
    for rate in (5.0, 7.0, 9.0):
        yield _case(
            'two models, smaller may serve',
            XAVIER,
            [
                _application(levels, rate, 0.9 / rate, 0.74),
                _application(levels, rate * 0.8, 0.9 / rate, 0.74, REAR, 0.03),
            ],
        )


def _small() -> Iterator[Case]:
    network = {'bundle': 'cifar10_ofa'}
    for rate in (20.0, 25.0):
        yield _case(
            'one model, small network',
            XAVIER,
            [_application(network, rate, 0.95 / rate, 0.80)],
        )


def _orin() -> Iterator[Case]:
    rows = {
        'resnet50': ((15.0, 0.02), (30.0, 0.012), (45.0, 0.01), (60.0, 0.009)),
        'efficientnet_b5': ((5.0, 0.03), (15.0, 0.025), (30.0, 0.02), (45.0, 0.016)),
        'yolov3_tiny_416': ((10.0, 0.03), (20.0, 0.025), (40.0, 0.018), (60.0, 0.014)),
        'super_resolution_bsd500': ((10.0, 0.04), (20.0, 0.03), (30.0, 0.024)),
    }
    for name, pairs in rows.items():
        for rate, tight in pairs:
            for kind, latency in (('loose', 0.95 / rate), ('tight', tight)):
                yield _case(
                    f'one static model on Orin NX, {kind}',
                    ORIN,
                    [_application({'measured': name}, rate, latency)],
                )
    for first, second, rate in (
        ('resnet50', 'yolov3_tiny_416', 15.0),
        ('resnet50', 'efficientnet_b5', 20.0),
    ):
        yield _case(
            'two static models on Orin NX',
            ORIN,
            [
                _application({'measured': first}, rate, 0.9 / rate),
                _application({'measured': second}, rate, 0.9 / rate, name=REAR, phase=0.01),
            ],
        )


# Running it.


@lru_cache(maxsize=64)
def _workload(board: str, scale: tuple[tuple[str, float], ...], network: str) -> Workload:
    """Return a network on a board; the same object again in the same process."""
    data = {
        'platform': {'board': board, 'scale': dict(scale)},
        'duration': 1,
        'applications': [{'id': FRONT, 'network': json.loads(network), 'camera': {'rate': 1}}],
    }
    scenario = Scenario.from_mapping(data)
    return workloads(scenario, boards_of(scenario)(''), Path('.'))[FRONT]


def _job(case: Case, manager: str, seed: int, scale: dict[str, float]) -> Job:
    data = {**case.data, 'seed': seed}
    data['platform'] = {**data['platform'], 'scale': scale}
    scenario = Scenario.from_mapping(data)
    # The manager's profile is of the board as it is: scaled parameters are those of both.
    key = tuple(sorted(scale.items()))
    networks = {
        each.id: _workload(scenario.board, key, json.dumps(each.network, sort_keys=True))
        for each in scenario.applications
    }
    return Job(scenario, networks, manager)


def _outcomes(
    case: Case, seed: int, scale: dict[str, float], managers: Sequence[str]
) -> dict[str, Outcome]:
    return {name: Outcome.of(simulate(_job(case, name, seed, scale))) for name in managers}


def outcomes(
    cases: Sequence[Case],
    seed: int,
    scale: dict[str, float],
    managers: Sequence[str] = (OURS, ORACLE, BEST_FIXED, 'largest', *OTHERS),
) -> list[dict[str, Outcome]]:
    """Return what each manager comes to in each scenario."""
    found: list[Any] = Parallel(n_jobs=JOBS, batch_size=1)(
        delayed(_outcomes)(case, seed, scale, managers) for case in cases
    )
    return list(found)


def _scaled(cases: Sequence[Case]) -> Iterator[list[dict[str, Outcome]]]:
    """Yield the outcomes with one assumed parameter of one board changed after the other."""
    boards = {case.data['platform']['board'] for case in cases}
    for board in sorted(boards):
        some = [case for case in cases if case.data['platform']['board'] == board]
        for parameter in load_board(board).parameters:
            if not parameter.assumed:
                continue
            for factor in (0.7, 1.3):
                changed = outcomes(
                    some, 1, {parameter.name: factor}, (OURS, ORACLE, BEST_FIXED, 'largest')
                )
                yield _merged(cases, some, changed)


def _merged(
    cases: Sequence[Case], some: Sequence[Case], changed: Sequence[dict[str, Outcome]]
) -> list[dict[str, Outcome]]:
    place = {id(case): found for case, found in zip(some, changed)}
    return [place.get(id(case), {}) for case in cases]


# Figures.


def _saving(found: dict[str, Outcome], name: str, rail: str, base: str = BEST_FIXED) -> float:
    return 1.0 - getattr(found[name], rail) / getattr(found[base], rail)


def _comparable(found: dict[str, Outcome]) -> bool:
    """Tell whether there is a fixed sub-network that meets the same targets, and ours does."""
    return bool(found) and not found[BEST_FIXED].missed


def _headline(cases: Sequence[Case], found: Sequence[dict[str, Outcome]]) -> dict[str, float]:
    """Return the headline figures of one set of outcomes."""
    one = [f for c, f in zip(cases, found) if c.models == 1 and _comparable(f)]
    smaller = [
        f
        for c, f in zip(cases, found)
        if c.models == 1 and 'smaller may' in c.kind and _comparable(f)
    ]
    two = [f for c, f in zip(cases, found) if c.models == 2 and 'smaller' in c.kind and f]
    result: dict[str, float] = {}

    def add(name: str, values: Sequence[float]) -> None:
        if values:
            result[name] = statistics.median(values)

    for who, label in ((OURS, ''), (ORACLE, ', oracle')):
        for rail, text in (
            ('module', 'module rail'),
            ('processing', 'CPU+GPU rail'),
            ('module_above', 'module rail above idle'),
            ('processing_above', 'CPU+GPU rail above idle'),
        ):
            add(f'one model: energy saved, {text}{label}', [_saving(f, who, rail) for f in one])
        add(
            f'one model, smaller may serve: energy saved, module rail{label}',
            [_saving(f, who, 'module') for f in smaller],
        )
        add(
            f'one model: p95 latency less{label}',
            [1 - f[who].p95 / f[BEST_FIXED].p95 for f in one],
        )
        add(
            f'one model: accuracy given up{label}',
            [f[BEST_FIXED].accuracy - f[who].accuracy for f in one],
        )
        for rail, text in (
            ('processing_above', 'CPU+GPU rail above idle'),
            ('processing', 'CPU+GPU rail'),
            ('module', 'module rail'),
        ):
            add(
                f'two models against two static largest: energy saved, {text}{label}',
                [_saving(f, who, rail, 'largest') for f in two],
            )
        add(
            f'two models against two static largest: p95 latency less{label}',
            [1 - f[who].p95 / f['largest'].p95 for f in two],
        )
        add(
            f'two models against two static largest: accuracy given up{label}',
            [f['largest'].accuracy - f[who].accuracy for f in two],
        )
    every = [f for f in found if _comparable(f)]
    for rail, text in (('module', 'module rail'), ('processing', 'CPU+GPU rail')):
        saved = sum(getattr(f[BEST_FIXED], rail) - getattr(f[OURS], rail) for f in every)
        best = sum(getattr(f[BEST_FIXED], rail) - getattr(f[ORACLE], rail) for f in every)
        if best > 0:
            result[f"share of the oracle's saving, {text}"] = saved / best
    return result


_BARS = {
    'one model: energy saved, module rail': '>= 0.13',
    'one model: energy saved, CPU+GPU rail': '>= 0.33',
    'one model, smaller may serve: energy saved, module rail': '>= 0.19',
    'one model: p95 latency less': '>= 0.09',
    'two models against two static largest: energy saved, CPU+GPU rail above idle': '>= 0.89',
    'two models against two static largest: p95 latency less': '>= 0.23',
    "share of the oracle's saving, module rail": '>= 0.9',
}


def _headlines(
    cases: Sequence[Case],
    found: Sequence[Sequence[dict[str, Outcome]]],
    scaled: Sequence[Sequence[dict[str, Outcome]]],
) -> list[Figure]:
    rows = [_headline(cases, each) for each in (*found, *scaled)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    result = [
        figure(name, [row[name] for row in rows if name in row], 'share', _BARS.get(name))
        for name in names
    ]
    compared = [sum(_comparable(f) for f in each) for each in found]
    result.append(
        figure('scenarios in which a fixed sub-network meets the targets', compared, 'scenarios')
    )
    return result


def _classes(cases: Sequence[Case], found: Sequence[Sequence[dict[str, Outcome]]]) -> list[Figure]:
    result = []
    for kind in dict.fromkeys(case.kind for case in cases):
        distance, excess, foreign, better, met = [], [], [], [], []
        for each in found:
            mine = [f for case, f in zip(cases, each) if case.kind == kind]
            distance.append(statistics.fmean(f[OURS].module / f[ORACLE].module - 1 for f in mine))
            excess.append(max(f[OURS].excess for f in mine))
            foreign.append(max(f[OURS].foreign_late for f in mine))
            met.append(statistics.fmean(not f[OURS].missed for f in mine))
            better.append(statistics.fmean(_beats(f) for f in mine))
        result += [
            figure(f'{kind}: energy above the oracle', distance, 'share', '<= 0.03'),
            figure(f'{kind}: deadlines missed above the quantile', excess, 'share', '<= 0.01'),
            figure(f'{kind}: scenarios with all targets met', met, 'share'),
            figure(f'{kind}: scenarios in which no other manager is better', better, 'share'),
        ]
        if 'navigation' in kind or 'co-runner' in kind:
            bar = '<= 0' if 'navigation' in kind else None
            result.append(figure(f'{kind}: other load behind', foreign, 'share of time', bar))
    return result


def _beats(found: dict[str, Outcome]) -> bool:
    """Tell whether no other manager meets the targets for less energy, or at all if ours fails."""
    ours = found[OURS]
    for name in (*OTHERS, BEST_FIXED):
        other = found[name]
        if not other.missed and (ours.missed or other.module < ours.module * 0.999):
            return False
    return True


def _reactions(runs: int) -> list[Figure]:
    """Return how soon a target is met again, and how much changes when nothing does."""
    network = {'levels': str(LEVELS)} if LEVELS.exists() else {'bundle': 'cifar10_ofa'}
    rate, limit, accuracy = (10.0, 0.062, 0.74) if LEVELS.exists() else (20.0, 0.042, 0.79)
    begin = {'at': 0.2, 'latency': 0.095, 'accuracy': accuracy, 'rate': rate}
    change = {'at': 15.0, 'latency': limit, 'accuracy': accuracy, 'rate': rate}
    steps: dict[str, dict[str, Any]] = {
        'a new target': {'targets': [begin, change]},
        'a new co-runner': {'targets': [begin], 'other_load': [{'at': 15.0, 'gpu': 0.25}]},
        'a slow-down by half': {
            'targets': [begin],
            'slow_down': [{'at': 15.0, 'factor': 1.5}],
        },
        'a power mode with less than half the GPU clock': {
            'targets': [begin],
            'power_modes': [{'at': 15.0, 'mode': '10W_DESKTOP'}],
        },
    }
    result = []
    for name, fields in steps.items():
        first, late = [], []
        for seed in range(1, 3 * runs + 1):
            application = _application(network, rate, 0.095, accuracy)
            application['targets'] = fields['targets']
            application['slow_down'] = fields.get('slow_down', [])
            rest = {k: v for k, v in fields.items() if k in ('other_load', 'power_modes')}
            case = _case(name, XAVIER, [application], **rest)
            record = simulate(_job(case, OURS, seed, {})).applications[FRONT]
            after = [f.latency > f.target > 0 for f in record.between(15.0)]
            first.append(float(next((i + 1 for i, x in enumerate(after) if not x), len(after))))
            late.append(statistics.fmean(after[3:103]))
        result += [
            figure(f'after {name}: first frame that meets the target', first, 'frames', '<= 3'),
            figure(f'after {name}: late among the next 100', late, 'share', '<= 0.06'),
        ]
    changes = []
    for seed in range(1, 3 * runs + 1):
        case = _case(
            'steady',
            XAVIER,
            [_application(network, rate, 0.095, accuracy)],
            sensors={'latency': {'noise': 0.2}},
        )
        longer = replace(case, data={**case.data, 'duration': 65.0})
        steady = simulate(_job(longer, OURS, seed, {}))
        later = [at for at, _ in steady.settings if at > 5.0]
        moved = steady.applications[FRONT].switches
        changes.append(float(len(later) + sum(at > 5.0 for at, _ in moved)))
    result.append(
        figure('changes in 60 s when nothing changes, 20 % jitter', changes, 'changes', '<= 1')
    )
    return result


def _speed() -> list[Figure]:
    """Return what a second of two applications at 30 Hz costs, and where that goes."""
    network: dict[str, Any] = {
        'sub_networks': [
            {
                'id': f's{i:02d}',
                'accuracy': 0.7 + 0.01 * i,
                'multiply_adds': 2_000_000 + 3_000_000 * i,
                'layers': 8 + 2 * i,
                'parameters': 300_000 + 50_000 * i,
            }
            for i in range(12)
        ]
    }
    case = _case(
        'speed',
        XAVIER,
        [
            _application(network, 30.0, 0.045),
            _application(network, 30.0, 0.045, name=REAR, phase=0.012),
        ],
    )
    speeds, decisions, frames, without = [], [], [], []
    for manager in (OURS, 'smallest'):
        made = simulate(_job(case, manager, 1, {}))
        if manager == OURS:
            speeds.append(made.duration / made.wall)
            decisions.append(made.deciding / made.wall)
            frames.append(made.observing / made.wall)
        else:
            without.append(made.duration / made.wall)
    return [
        figure('simulator, two applications at 30 Hz: real time over', speeds, 'ratio', '>= 50'),
        figure('simulator: of that in decisions', decisions, 'share'),
        figure('simulator: of that in observing frames and load', frames, 'share'),
        figure('simulator without manager, under governors: real time over', without, 'ratio'),
    ]
