# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn simulate`: run a scenario on a simulated board, or requests from traces."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.cli.report.record import write_run
from dynamic_dnn_ros.cli.report.simulated import run_record
from dynamic_dnn_ros.cli.request_simulation import chosen_schedulers, simulate_requests
from dynamic_dnn_ros.cli.run_chart import draw_run
from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.scheduling.registry import scheduler_names
from dynamic_dnn_ros.simulation.figures import table
from dynamic_dnn_ros.simulation.requests.compare import choices
from dynamic_dnn_ros.simulation.requests.workload import is_request_workload
from dynamic_dnn_ros.simulation.runner import (
    GOVERNORS,
    OURS,
    Job,
    boards_of,
    manager_names,
    parse_governors,
    sweep,
)
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.scenario import Scenario, ScenarioError, read_scenario
from dynamic_dnn_ros.simulation.workloads import workloads

ERRORS = (BundleError, PlatformError, ScenarioError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        'scenario',
        metavar='SCENARIO',
        help='a YAML file, or the name of one that ships with the package (config/scenarios)',
    )
    parser.add_argument(
        '--manager',
        default=OURS,
        help=f'one or several, with commas between, or "all": {", ".join(manager_names())}; '
        'default: %(default)s',
    )
    parser.add_argument(
        '--scheduler',
        default='',
        help='one or several, with commas between, or "all": '
        f'{", ".join(choices())}; default: as the scenario says, all for requests',
    )
    parser.add_argument(
        '--governor',
        default='schedutil+nvhost_podgov',
        help='what sets the clocks that the manager leaves alone, e.g. performance or '
        f'cpu=schedutil+gpu=simple_ondemand; of: {", ".join(GOVERNORS)}; default: %(default)s',
    )
    parser.add_argument(
        '--rail',
        default='',
        help='whose power dynamic_dnn and oracle keep low, e.g. VDD_CPU_GPU_CV; '
        "default: the module's",
    )
    parser.add_argument(
        '--decider-file',
        default='',
        metavar='FILE',
        help='of a decider that was trained, as `dynamic-dnn train-decider` writes it; of '
        'several managers those that learn read it',
    )
    parser.add_argument(
        '--seeds', type=int, default=1, help='runs, each of another seed; default: %(default)s'
    )
    parser.add_argument('--jobs', type=int, default=1, help='runs at once; default: %(default)s')
    parser.add_argument(
        '--backend', default='loky', help='of joblib, e.g. ray for a cluster; default: %(default)s'
    )
    parser.add_argument(
        '--picture',
        type=Path,
        help='PNG to draw; of several managers one each, with their names appended; default: '
        'SCENARIO_MANAGER.png here; "none": no picture',
    )
    parser.add_argument(
        '--record',
        type=Path,
        metavar='FOLDER',
        help='also write each run as SCENARIO_MANAGER.json, for `dynamic-dnn report`',
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    print(simulate(arguments))
    return 0


def find_scenario(name: str) -> Path:
    """
    Return the file of a scenario by its path, or its name among those that ship.

    :raises ScenarioError: when there is none
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    shipped = share_folder() / 'config' / 'scenarios'
    if '/' not in name and (shipped / f'{name}.yaml').is_file():
        return shipped / f'{name}.yaml'
    known = ', '.join(sorted(file.stem for file in shipped.glob('*.yaml'))) or 'none'
    raise ScenarioError(
        f'scenario {name!r}', 'is neither a file nor one that ships', f'Shipped are: {known}'
    )


def levels(path: str) -> Sequence[SubNetwork]:
    """
    Return the sub-networks of a file of levels as published with Dynamic-OFA; loads PyTorch.

    :raises ValueError: when the file is none of that kind
    """
    from dynamic_dnn_ros.networks.published_levels import published_levels

    return published_levels(path)


def simulate(arguments: argparse.Namespace) -> str:
    """Make the runs and what is drawn of them; return the table."""
    for name in ('seeds', 'jobs'):
        if getattr(arguments, name) < 1:
            raise ScenarioError(f'--{name} {getattr(arguments, name)}', 'is too few', 'Give 1')
    path = find_scenario(arguments.scenario)
    mapping = read_scenario(path)
    if is_request_workload(mapping):
        return simulate_requests(arguments, mapping, path)
    known = manager_names()
    managers = known if arguments.manager == 'all' else arguments.manager.split(',')
    unknown = [name for name in managers if name not in known]
    if unknown:
        raise ScenarioError(
            f'manager {unknown[0]!r}', 'is unknown', f'Choose of: {", ".join(known)}'
        )
    governors = parse_governors(arguments.governor)
    scenario = Scenario.from_mapping(mapping, path)
    board = boards_of(scenario)(scenario.power_mode)
    scenarios = [scenario]
    if arguments.scheduler:
        known = scheduler_names()
        names = chosen_schedulers(arguments.scheduler, known)
        scenarios = [scenario.scheduled(name) for name in names]
    rails = tuple(board.power(board.reference_frequencies, {}))
    if arguments.rail and arguments.rail not in rails:
        raise ScenarioError(
            f'--rail {arguments.rail}', f'{board.name} has none', f'Choose of: {", ".join(rails)}'
        )
    networks = workloads(scenario, board, path.parent, levels)
    runs = sweep(
        [
            Job(
                each,
                networks,
                manager,
                governors,
                scenario.seed + seed,
                arguments.rail,
                decider_file=arguments.decider_file,
            )
            for each in scenarios
            for manager in managers
            for seed in range(arguments.seeds)
        ],
        arguments.jobs,
        arguments.backend,
    )
    text = [f'{scenario.name}: simulated, model of {board.name}, {board.power_mode.name}']
    text += [
        f'figures from {scenario.measured_from:g} to {scenario.duration:g} s; idle power of the '
        'board at its lowest clocks is what "above idle" leaves out',
        '',
        table(runs),
    ]
    late = [(run.manager, run.foreign_late) for run in runs if run.foreign_late > 0]
    text += [f'{name}: other load lagged behind {share:.1%} of its time' for name, share in late]
    speed = sum(run.duration for run in runs) / max(sum(run.wall for run in runs), 1e-9)
    deciding = sum(run.deciding + run.observing for run in runs) / sum(run.wall for run in runs)
    text.append(f'\n{speed:.0f} times as fast as real time, {deciding:.0%} of it in the manager')
    text += _written(arguments, path.stem, scenario, runs)
    return '\n'.join(text)


def _written(
    arguments: argparse.Namespace, stem: str, scenario: Scenario, runs: Sequence[Run]
) -> list[str]:
    """Draw and record the first run of each manager and scheduler; return what was written."""
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault('_'.join((run.manager, *run.schedulers)), run)
    folder: Path | None = arguments.record
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    text = []
    for name, run in first.items():
        record = run_record(run, scenario)
        if str(arguments.picture) != 'none':
            picture = arguments.picture or Path(f'{stem}_{name}.png')
            if arguments.picture is not None and len(first) > 1:
                picture = picture.with_stem(f'{picture.stem}_{name}')
            draw_run(record, picture)
            text.append(f'picture: {picture}')
        if folder is not None:
            write_run(record, folder / f'{stem}_{name}.json')
            text.append(f'run: {folder / f"{stem}_{name}.json"}')
    return text
