# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn train-decider`: train a decider that learns, in a scenario on a simulated board."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from tqdm import tqdm

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.cli.simulate import find_scenario, levels
from dynamic_dnn_ros.management.baselines.weights_file import DeciderFileError
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.simulation.decider_training import LEARNERS, Episode, Training, train
from dynamic_dnn_ros.simulation.runner import boards_of, parse_governors
from dynamic_dnn_ros.simulation.scenario import Scenario, ScenarioError
from dynamic_dnn_ros.simulation.workloads import workloads

ERRORS = (BundleError, DeciderFileError, PlatformError, ScenarioError)

SEVERAL = 10
"""Last episodes of which the mean is said."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        'decider', choices=sorted(LEARNERS), metavar='DECIDER', help=', '.join(sorted(LEARNERS))
    )
    parser.add_argument(
        'scenario',
        metavar='SCENARIO',
        help='a YAML file, or the name of one that ships with the package (config/scenarios)',
    )
    parser.add_argument(
        '--episodes',
        type=int,
        default=50,
        help='runs of the scenario, each of another seed, with those that the file had before; '
        'default: %(default)s',
    )
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument(
        '--governor',
        default='schedutil+nvhost_podgov',
        help='what sets the clocks that the decider leaves alone; default: %(default)s',
    )
    parser.add_argument(
        '--output',
        type=Path,
        metavar='FILE',
        help='written after each episode; where it is there, the training goes on; default: '
        'DECIDER_SCENARIO.npz here',
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    for name, least in (('episodes', 1), ('seed', 0)):
        if getattr(arguments, name) < least:
            raise ScenarioError(
                f'--{name} {getattr(arguments, name)}', 'is too small', f'Give {least} or more'
            )
    path = find_scenario(arguments.scenario)
    scenario = Scenario.from_file(path)
    governors = parse_governors(arguments.governor)
    training = Training(
        arguments.decider,
        scenario,
        workloads(scenario, boards_of(scenario)(scenario.power_mode), path.parent, levels),
        hashlib.sha256(path.read_bytes()).hexdigest(),
        arguments.seed,
        governors,
    )
    output = arguments.output or Path(f'{arguments.decider}_{path.stem}.npz')
    found: list[Episode] = []
    with tqdm(total=arguments.episodes, desc=arguments.decider, unit='episode') as bar:
        for episode in train(training, output, arguments.episodes):
            found.append(episode)
            bar.update(episode.number - bar.n)
            bar.set_postfix_str(f'{episode.late:.1%} late, {episode.power:.2f} W')
    print(_said(found, output, arguments.decider, arguments.episodes))
    return 0


def _said(found: list[Episode], output: Path, decider: str, episodes: int) -> str:
    if not found:
        return f'{output} has had {episodes} episodes already: nothing was trained'
    lines = []
    for title, part in (('first', found[:SEVERAL]), ('last', found[-SEVERAL:])):
        late = sum(each.late for each in part) / len(part)
        power = sum(each.power for each in part) / len(part)
        lines.append(f'{title} {len(part)} episodes: {late:.1%} late, {power:.2f} W (simulated)')
    lines.append(f'written: {output}')
    lines.append(f'try it: dynamic-dnn simulate SCENARIO --manager {decider} --decider-file FILE')
    return '\n'.join(lines)
