# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The manager against everything that it is judged against, on simulated boards. All simulated.

Scenarios come from a table of classes. `Best fixed` is the one sub-network that meets the same
targets for the least energy under schedutil + nvhost_podgov, found by trying each on that run;
where none meets them the scenario counts in no ratio to it. Energy is that of the whole rail
unless it says `above idle`; accuracy stands beside it.

DYNAMIC_DNN_SWEEP=1 repeats the headline ratios with each assumed parameter of the boards at -30 %
and +30 %, on all scenarios that count in them; each headline is then given as the range over all
that, and its bar counts as met if the worst end meets it. A parameter is left out where changing
it leaves the hottest runs of its board as they are, to the last digit. What is done is kept in a
file, so a sweep that was stopped goes on. DYNAMIC_DNN_JOBS says how many runs at once,
DYNAMIC_DNN_SWEEP_PARAMETERS (a part of their names) which parameters, for a trial.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
import hashlib
import json
import os
from pathlib import Path
import statistics
import time
from typing import Any

import event_loops
from joblib import Parallel, delayed
from report import Figure, Report, figure
from tqdm import tqdm

from dynamic_dnn_ros import simulation
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.networks.published_levels import published_levels
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.simulation.clairvoyant import least_energy
from dynamic_dnn_ros.simulation.figures import energy, figures, rails_of, shortfall
from dynamic_dnn_ros.simulation.runner import BEST_FIXED, ORACLE, OURS, Job, boards_of
from dynamic_dnn_ros.simulation.runner import run as simulate
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.scenario import Scenario, ScenarioError
from dynamic_dnn_ros.simulation.workload import Workload
from dynamic_dnn_ros.simulation.workloads import workloads
from dynamic_dnn_ros.storage import JournalFile
from support.shared_data import DATA

RUNS = 1
SWEEP = 'DYNAMIC_DNN_SWEEP'
JOBS = int(os.environ.get('DYNAMIC_DNN_JOBS', '2'))
XAVIER, ORIN = 'xavier_nx_simulated', 'orin_nx_simulated'
SMALL = 'cifar10_ofa'
LEVELS = DATA / 'platforms' / 'xavier_nx' / 'dynamic_ofa_levels.json'
OTHERS = ('alert', 'dvfs_only', 'network_only', 'dynamic_ofa')
PROCESSING_RAIL = 'VDD_CPU_GPU_CV'
OURS_FOR_RAIL, ORACLE_FOR_RAIL = 'dynamic_dnn for that rail', 'oracle for that rail'
SLOW_MEMORY, AT_HIGHEST = 'best fixed, slow memory', 'best fixed, highest clocks'
QUICKER = 0.91
QUICKER_OURS, QUICKER_ORACLE = 'dynamic_dnn, quicker', 'oracle, quicker'
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    OURS_FOR_RAIL: (OURS, {'rail': PROCESSING_RAIL}),
    ORACLE_FOR_RAIL: (ORACLE, {'rail': PROCESSING_RAIL}),
    SLOW_MEMORY: (BEST_FIXED, {'governors': {'memory': 'simple_ondemand'}}),
    AT_HIGHEST: (BEST_FIXED, {'governors': {'cpu': 'performance', 'gpu': 'performance'}}),
}
"""Managers with another objective or beside other governors than those of the headlines."""
DURATION, MEASURED_FROM = 25.0, 5.0
LOOP_DURATION = 300.0
"""Simulated seconds of two event loops."""
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
    """What a run comes to; kept in place of the run itself. Energy in joules, p95 in seconds."""

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
    clairvoyant: float | None = None

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


Outcomes = dict[str, Outcome]
"""What came of one scenario, by manager."""


@dataclass(frozen=True)
class Change:
    """One assumed parameter of one board, and the factor that it is multiplied by."""

    board: str
    parameter: str
    factor: float

    def __str__(self) -> str:
        """Say which."""
        return f'{self.parameter} of {self.board} x {self.factor:g}'


def run(runs: int) -> Report:
    """Run the table with `runs` seeds, and what shows reactions and speed."""
    cases, left_out = table()
    kept = Kept(_digest(cases)) if os.environ.get(SWEEP) else None
    found = [outcomes(cases, seed, kept) for seed in range(1, runs + 1)]
    scaled: dict[Change, list[Outcomes]] = {}
    without_effect: list[Change] = []
    if kept is not None:
        scaled, without_effect = sweep(cases, found[0], kept)
        kept.close()
    else:
        left_out['range over assumed parameters'] = f'{SWEEP}=1 gives it'
    figures_found, worst = _headlines(cases, found, scaled)
    figures_found += _beside(cases, found)
    figures_found += _classes(cases, found)
    figures_found += _reactions(runs)
    figures_found += _speed()
    try:
        figures_found += _loops(runs)
    except ImportError as error:
        left_out['event loop against SimPy'] = f'{error}; pip install simpy'
    configuration: dict[str, Any] = {
        'scenarios': len(cases),
        'of_one_model': sum(case.models == 1 for case in cases),
        'seconds_each': DURATION,
        'measured_from': MEASURED_FROM,
        'baseline': 'best fixed sub-network under schedutil + nvhost_podgov',
        'changes_of_assumed_parameters': len(scaled),
        'changes_without_effect_on_the_hottest_runs': [str(each) for each in without_effect],
        'worst_change_for_each_bar': worst,
        'better_than_ours': _better(cases, found),
        'networks': 'Xavier NX: sub-networks published with Dynamic-OFA (ImageNet top-1 as '
        'published) and the bundle cifar10_ofa; Orin NX: static networks measured on it',
        'simulated': 'everything but the speed of the simulator, which is processor time',
        'not_measured': [f'{name}: {why}' for name, why in left_out.items()],
    }
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
    network = {'bundle': SMALL}
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
    return workloads(scenario, boards_of(scenario)(''), Path('.'), published_levels)[FRONT]


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
    name, more = VARIANTS.get(manager, (manager, {}))
    return Job(scenario, networks, name, **more)


def _outcomes(case: Case, seed: int, scale: dict[str, float], managers: Sequence[str]) -> Outcomes:
    found = {name: Outcome.of(simulate(_job(case, name, seed, scale))) for name in managers}
    if set(VARIANTS) <= set(managers) and case.models == 1:
        found[ORACLE] = replace(found[ORACLE], clairvoyant=_clairvoyant(case, seed))
        found.update(_quicker(case, seed, found[BEST_FIXED]))
    return found


def _clairvoyant(case: Case, seed: int) -> float | None:
    """Return the energy of the module if every frame were known, where that limit is known."""
    job = _job(case, ORACLE, seed, {})
    try:
        return least_energy(job.scenario, boards_of(job.scenario), job.workloads, simulate(job))
    except ScenarioError:
        return None


def _quicker(case: Case, seed: int, fixed: Outcome) -> Outcomes:
    """Return what comes of asking for less than the latency that the best fixed one has."""
    (application,) = case.data['applications']
    if fixed.missed or len(application['targets']) > 1:
        return {}
    (target,) = application['targets']
    asked = {**application, 'targets': [{**target, 'latency': QUICKER * fixed.p95}]}
    quicker = replace(case, data={**case.data, 'applications': [asked]})
    return {
        label: Outcome.of(simulate(_job(quicker, name, seed, {})))
        for label, name in ((QUICKER_OURS, OURS), (QUICKER_ORACLE, ORACLE))
    }


EVERYONE = (OURS, ORACLE, BEST_FIXED, 'largest', *OTHERS, *VARIANTS)


def outcomes(cases: Sequence[Case], seed: int, kept: Kept | None) -> list[Outcomes]:
    """
    Return what each manager comes to in each scenario.

    :param kept: of a sweep that was stopped, to take it from and to add it to
    """
    key = f'seed {seed}: {sorted(EVERYONE)}, {sorted(VARIANTS.items())}, {QUICKER}'
    if kept is not None and key in kept.rows:
        return kept.rows[key]
    found = Parallel(n_jobs=JOBS, batch_size=1, return_as='generator')(
        delayed(_outcomes)(case, seed, {}, EVERYONE) for case in cases
    )
    rows = list(_watched(found, len(cases), 'scenarios'))
    if kept is not None:
        kept.add(key, rows)
    return rows


def _watched(found: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    watched: Iterable[Any] = tqdm(found, total=total, desc=what, unit='')
    return watched


# The sweep over what is assumed.


def sweep(
    cases: Sequence[Case], found: Sequence[Outcomes], kept: Kept
) -> tuple[dict[Change, list[Outcomes]], list[Change]]:
    """
    Return the outcomes of all scenarios under each change, and the changes without effect.

    A change of one board leaves the outcomes of the other one as they are.
    """
    wanted = os.environ.get(f'{SWEEP}_PARAMETERS', '')
    changes = [
        Change(board, parameter.name, factor)
        for board in sorted({case.data['platform']['board'] for case in cases})
        for parameter in load_board(board).parameters
        if parameter.assumed and wanted in parameter.name
        for factor in (0.7, 1.3)
    ]
    todo = [change for change in changes if str(change) not in kept.rows]
    hottest = _hottest(cases, found)
    made = Parallel(n_jobs=JOBS, batch_size=1, return_as='generator_unordered')(
        delayed(_changed)(change, cases, found, hottest[change.board]) for change in todo
    )
    for change, rows in _watched(made, len(todo), 'assumed parameters'):
        kept.add(str(change), rows)
    scaled, without_effect = {}, []
    for change in changes:
        rows = kept.rows[str(change)]
        if not rows:
            without_effect.append(change)
            continue
        places = dict(zip(_of_board(cases, change.board), rows))
        scaled[change] = [places.get(index, row) for index, row in enumerate(found)]
    return scaled, without_effect


def _changed(
    change: Change, cases: Sequence[Case], found: Sequence[Outcomes], hottest: int
) -> tuple[Change, list[Outcomes]]:
    """Return the outcomes of the scenarios of one board; none where nothing changes."""
    scale = {change.parameter: change.factor}
    probes = (OURS, 'largest')
    probed = _outcomes(cases[hottest], 1, scale, probes)
    if all(probed[name] == found[hottest][name] for name in probes):
        return change, []
    at = _of_board(cases, change.board)
    return change, [_of_headlines(cases[index], scale, found[index]) for index in at]


def _of_headlines(case: Case, scale: dict[str, float], plain: Outcomes) -> Outcomes:
    """
    Return what the headlines need; nothing of a scenario that counts in none.

    :param plain: what came of it with the boards as they are
    """
    if case.models > 1:
        return _outcomes(case, 1, scale, (BEST_FIXED, OURS, ORACLE, 'largest'))
    if not _comparable(plain):
        return {}
    found = _outcomes(case, 1, scale, (BEST_FIXED,))
    if not _comparable(found):
        return found
    return found | _outcomes(case, 1, scale, (OURS, ORACLE, ORACLE_FOR_RAIL))


def _of_board(cases: Sequence[Case], board: str) -> list[int]:
    return [i for i, case in enumerate(cases) if case.data['platform']['board'] == board]


def _hottest(cases: Sequence[Case], found: Sequence[Outcomes]) -> dict[str, int]:
    """Return for each board the scenario in which our manager takes the most energy."""
    return {
        board: max(_of_board(cases, board), key=lambda index: found[index][OURS].module)
        for board in {case.data['platform']['board'] for case in cases}
    }


class Kept:
    """Outcomes by change, in a file of the user's cache."""

    def __init__(self, digest: str) -> None:
        """
        Read what is there of the same sources, boards and scenarios.

        :raises BlockingIOError: while another sweep writes there
        """
        folder = Path(os.environ.get('XDG_CACHE_HOME', Path.home() / '.cache'))
        self._journal = JournalFile(folder / 'dynamic_dnn_ros' / f'sweep_{digest}.jsonl')
        self.rows: dict[str, list[Outcomes]] = {
            entry['change']: [
                {name: Outcome(**outcome) for name, outcome in row.items()}
                for row in entry['rows']
            ]
            for entry in self._journal.rows
        }

    def add(self, change: str, rows: list[Outcomes]) -> None:
        """Keep the outcomes of one change."""
        self.rows[change] = rows
        plain = [{name: asdict(outcome) for name, outcome in row.items()} for row in rows]
        self._journal.append({'change': change, 'rows': plain})

    def close(self) -> None:
        """Close the file, for the next one to read."""
        self._journal.close()


def _digest(cases: Sequence[Case]) -> str:
    """
    Return what outcomes depend on: the sources, the boards, the networks and their profiles, the
    scenarios, what is kept.
    """
    package = Path(simulation.__file__).parents[1]
    files = [
        *(
            path
            for room in ('management', 'simulation')
            for path in package.glob(f'{room}/**/*.py')
        ),
        *(
            package / 'platforms' / f'{name}.py'
            for name in ('board_model', 'board_parameters', 'governors')
        ),
        *(package / name for name in ('profiling/simulated.py', 'simulation/workloads.py')),
        *(share_folder() / 'config' / 'platforms').glob('*.yaml'),
        *(path for path in (find_bundle(SMALL) / 'manifest.json', LEVELS) if path.exists()),
    ]
    found = hashlib.sha256()
    for path in sorted(files, key=lambda path: (path.parent.name, path.name)):
        found.update(path.read_bytes())
    found.update(
        repr(([case.data for case in cases], [field.name for field in fields(Outcome)])).encode()
    )
    return found.hexdigest()[:16]


# Figures.


def _saving(found: Outcomes, name: str, rail: str, base: str = BEST_FIXED) -> float:
    saving: float = 1.0 - getattr(found[name], rail) / getattr(found[base], rail)
    return round(saving, 6) + 0.0  # no -0


def _comparable(found: Outcomes) -> bool:
    """Tell whether there is a fixed sub-network that meets the same targets."""
    return bool(found) and not found[BEST_FIXED].missed


def _headline(cases: Sequence[Case], found: Sequence[Outcomes]) -> dict[str, float]:
    """Return the headline figures of one set of outcomes."""
    one = [f for c, f in zip(cases, found) if c.models == 1 and _comparable(f)]
    smaller = [
        f
        for c, f in zip(cases, found)
        if c.models == 1 and 'smaller may' in c.kind and _comparable(f)
    ]
    two = [f for c, f in zip(cases, found) if c.models == 2 and 'smaller' in c.kind]
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
    for base, some, text in (
        (BEST_FIXED, one, 'one model'),
        ('largest', two, 'two models against two static largest'),
    ):
        for rail, above in (('processing', ''), ('processing_above', ' above idle')):
            add(
                f'{text}: energy saved, CPU+GPU rail{above}, {ORACLE_FOR_RAIL}',
                [_saving(f, ORACLE_FOR_RAIL, rail, base) for f in some if ORACLE_FOR_RAIL in f],
            )
    every = [f for f in found if _comparable(f)]
    result['scenarios in which a fixed sub-network meets the targets'] = len(every)
    result['of these: ours meets them'] = sum(not f[OURS].missed for f in every)
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
    "share of the oracle's saving, module rail": '>= 0.97',
}


def _headlines(
    cases: Sequence[Case],
    found: Sequence[Sequence[Outcomes]],
    scaled: dict[Change, list[Outcomes]],
) -> tuple[list[Figure], dict[str, str]]:
    """
    Return the headline figures, and for those with a bar which change is the worst.

    The value is that of the boards as they are, lowest and highest are those over all changes.
    """
    plain = [_headline(cases, each) for each in found]
    changed = {change: _headline(cases, each) for change, each in scaled.items()}
    result, worst = [], {}
    for name in plain[0]:
        values = [row[name] for row in plain if name in row]
        over = {str(change): row[name] for change, row in changed.items() if name in row}
        unit = 'scenarios' if 'scenarios' in name or 'of these' in name else 'share'
        own = figure(name, values, unit, _BARS.get(name))
        extremes = figure(name, [own.low, own.high, *over.values()], unit)
        result.append(replace(own, low=extremes.low, high=extremes.high))
        if over and own.bar is not None:
            change = min(over, key=lambda each: over[each])
            worst[name] = f'{over[change]:.3g} with {change}'
    return result, worst


def _beside(cases: Sequence[Case], found: Sequence[Sequence[Outcomes]]) -> list[Figure]:
    """Return what another objective, other governors or foreknowledge would make of it."""
    rows: dict[str, list[float]] = {}
    for each in found:
        one = [f for case, f in zip(cases, each) if case.models == 1]
        fixed = [f for f in one if _comparable(f)]
        known = [f for f in fixed if f[ORACLE].clairvoyant is not None]
        quicker = [f for f in fixed if QUICKER_OURS in f and not f[QUICKER_ORACLE].missed]
        slow = [f for f in one if not f[SLOW_MEMORY].missed]
        tight = [f for f in one if f[BEST_FIXED].missed and not f[AT_HIGHEST].missed]
        new: dict[str, list[float]] = {
            'one model: energy saved, CPU+GPU rail, ours for that rail': [
                _saving(f, OURS_FOR_RAIL, 'processing') for f in fixed
            ],
            'one model: idle share of the CPU+GPU rail under governors': [
                1 - f[BEST_FIXED].processing_above / f[BEST_FIXED].processing for f in fixed
            ],
        }
        for who, text in ((OURS, 'ours'), (ORACLE, 'oracle')):
            for rail, where in (('module', 'module rail'), ('processing', 'CPU+GPU rail')):
                new[f'memory under simple_ondemand: energy saved, {where}, {text}'] = [
                    _saving(f, who, rail, SLOW_MEMORY) for f in slow
                ]
                new[
                    'targets that governors miss, against performance: '
                    f'energy saved, {where}, {text}'
                ] = [_saving(f, who, rail, AT_HIGHEST) for f in tight]
            new[f'where frames can be known: energy saved, module rail, {text}'] = [
                _saving(f, who, 'module') for f in known
            ]
        new['where frames can be known: energy saved, module rail, clairvoyant'] = [
            1 - (f[ORACLE].clairvoyant or 0.0) / f[BEST_FIXED].module for f in known
        ]
        for who, text in ((QUICKER_OURS, 'ours'), (QUICKER_ORACLE, 'oracle')):
            new[f'p95 9 % below the fixed one asked for: energy saved, module rail, {text}'] = [
                _saving(f, who, 'module') for f in quicker
            ]
        for name, values in new.items():
            if values:
                rows.setdefault(f'{name} ({len(values)} scenarios)', []).append(
                    statistics.median(values)
                )
    return [figure(name, values, 'share') for name, values in rows.items()]


def _better(
    cases: Sequence[Case], found: Sequence[Sequence[Outcomes]]
) -> dict[str, dict[str, str]]:
    """Return by class which other managers meet the targets for less energy, and how much less."""
    result: dict[str, dict[str, str]] = {}
    for kind in dict.fromkeys(case.kind for case in cases):
        mine = [f for each in found for case, f in zip(cases, each) if case.kind == kind]
        for name in (*OTHERS, BEST_FIXED):
            less = [1 - f[name].module / f[OURS].module for f in mine if _beaten_by(f, name)]
            if less:
                result.setdefault(kind, {})[name] = (
                    f'{len(less)} of {len(mine)} scenarios, by {max(less):.1%} at most'
                )
    return result


def _classes(cases: Sequence[Case], found: Sequence[Sequence[Outcomes]]) -> list[Figure]:
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


def _beats(found: Outcomes) -> bool:
    """Tell whether no other manager meets the targets for less energy, or at all if ours fails."""
    return not any(_beaten_by(found, name) for name in (*OTHERS, BEST_FIXED))


def _beaten_by(found: Outcomes, name: str) -> bool:
    ours, other = found[OURS], found[name]
    return not other.missed and (ours.missed or other.module < ours.module * 0.999)


def _reactions(runs: int) -> list[Figure]:
    """Return how soon a target is met again, and how much changes when nothing does."""
    network = {'levels': str(LEVELS)} if LEVELS.exists() else {'bundle': SMALL}
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
    for name, step in steps.items():
        first, late = [], []
        for seed in range(1, 3 * runs + 1):
            application = _application(network, rate, 0.095, accuracy)
            application['targets'] = step['targets']
            application['slow_down'] = step.get('slow_down', [])
            rest = {k: v for k, v in step.items() if k in ('other_load', 'power_modes')}
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
        figure('simulator, two applications at 30 Hz: real time over', speeds, 'ratio', '>= 150'),
        figure('simulator: of that in decisions', decisions, 'share'),
        figure('simulator: of that in observing frames and load', frames, 'share'),
        figure('simulator without manager, under governors: real time over', without, 'ratio'),
    ]


def _loops(runs: int) -> list[Figure]:
    """Return how much faster the loop of the simulation is than SimPy, on the same skeleton."""
    ratios, speeds = [], []
    for _ in range(3 * runs):
        seconds = []
        for loop in (event_loops.heap, event_loops.simpy):
            begun = time.process_time()
            frames = len(loop(LOOP_DURATION))
            seconds.append(time.process_time() - begun)
        ratios.append(seconds[1] / seconds[0])
        speeds.append(frames / seconds[0])
    return [
        figure(
            'event loop alone, without board and manager: SimPy over ours', ratios, 'ratio', '>= 1'
        ),
        figure('event loop alone: frames a second of one core', speeds, 'Hz'),
    ]
