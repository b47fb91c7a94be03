# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn search`: choose the sub-networks of a trained bundle, resumable."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
import shlex

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.cli.tables import aligned
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.joint.card import TITLES, rows
from dynamic_dnn_ros.search.joint.recipe import JointFound, search_joint_bundle
from dynamic_dnn_ros.search.joint.settings import JointSettings
from dynamic_dnn_ros.search.recipe import Found, search_bundle
from dynamic_dnn_ros.search.settings import JOINT, SearchSettings
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.tested import certainty, pictures_tested

ERRORS = (
    BundleError,
    EngineError,
    DataError,
    PlatformError,
    SearchError,
    TrainingConfigurationError,
)
_JOINT_ONLY = ('platform', 'latency', 'rate', 'output', 'oracle')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        'configuration',
        metavar='CONFIG',
        type=Path,
        help='the YAML file that the bundle was trained with; its `search` has the settings',
    )
    parser.add_argument('--generations', type=int, help='in place of search.generations')
    parser.add_argument('--population', type=int, help='in place of search.population')
    parser.add_argument(
        '--jobs',
        type=int,
        default=len(os.sched_getaffinity(0)),
        help='accuracies measured at once, default: the cores, %(default)s here',
    )
    parser.add_argument(
        '--backend', default='loky', help='of joblib, e.g. ray for a cluster; default: %(default)s'
    )
    joint = parser.add_argument_group(
        'exits and clocks together with the sub-networks (HADAS)',
        "settings are `joint` in the training file's `search`",
    )
    joint.add_argument(
        '--joint', action='store_true', help='give sub-networks exits, and find their clocks'
    )
    joint.add_argument(
        '--platform', help='simulated board that gives time and energy, as xavier_nx_simulated'
    )
    joint.add_argument(
        '--latency', type=float, help='s that 95 %% of the pictures may take at these clocks'
    )
    joint.add_argument('--rate', type=float, help='pictures a second that the camera gives')
    joint.add_argument(
        '--output', type=Path, help='bundle to write; default: that of CONFIG with _joint'
    )
    joint.add_argument(
        '--oracle',
        action='store_true',
        help='also say what could be reached if each picture left at the first exit that is right',
    )
    parser.add_argument('--quiet', action='store_true', help='show no progress bars')


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if arguments.jobs < 1:
        raise SearchError(f'--jobs is {arguments.jobs}: at least 1 is needed')
    configuration = TrainingConfiguration.from_file(arguments.configuration)
    settings = SearchSettings.from_mapping(configuration.search)
    if arguments.joint:
        return _run_joint(arguments, configuration, settings)
    unused = [name for name in _JOINT_ONLY if getattr(arguments, name)]
    if unused:
        raise SearchError(f'--{unused[0]} is for a search of exits too: give --joint')
    given = {name: getattr(arguments, name) for name in ('generations', 'population')}
    settings = dataclasses.replace(
        settings, **{name: value for name, value in given.items() if value is not None}
    )
    found = search_bundle(
        configuration,
        settings,
        arguments.jobs,
        arguments.backend,
        str(arguments.configuration),
        arguments.quiet,
    )
    print(summary(found), end='')
    return 0


def _run_joint(
    arguments: argparse.Namespace, configuration: TrainingConfiguration, settings: SearchSettings
) -> int:
    joint = JointSettings.from_mapping(configuration.search.get(JOINT))
    names = ('generations', 'population', 'platform', 'latency', 'rate')
    given = {name: getattr(arguments, name) for name in names}
    joint = dataclasses.replace(
        joint, **{name: value for name, value in given.items() if value is not None}
    )
    where = configuration.output
    found = search_joint_bundle(
        configuration,
        settings,
        joint,
        arguments.output or where.with_name(f'{where.name}_joint'),
        arguments.jobs,
        arguments.backend,
        arguments.oracle,
        f'dynamic-dnn train {arguments.configuration}\n{_joint_command(arguments)}',
        arguments.quiet,
    )
    print(joint_summary(found, joint), end='')
    return 0


def _joint_command(arguments: argparse.Namespace) -> str:
    parts = ['dynamic-dnn', 'search', str(arguments.configuration), '--joint']
    for name in ('generations', 'population', 'platform', 'latency', 'rate', 'output'):
        value = getattr(arguments, name)
        if value is not None:
            parts += [f'--{name}', str(value)]
    return shlex.join(parts)


def joint_summary(found: JointFound, joint: JointSettings) -> str:
    """Return what a joint search found, as a table, and what is to be done next."""
    searched = found.searched
    lines = [
        f'{len(searched.wholes)} sub-networks looked at, {len(searched.backbones)} of them given '
        f'exits, {len(searched.front())} designs on the front',
        f'energy, latency and clocks are simulated: model of {joint.platform}',
        aligned(TITLES, rows(found.kept)),
    ]
    if found.oracle is not None:
        accuracy = found.kept[-1].design.accuracy
        ours = searched.least_energy(accuracy)
        bound = found.oracle.least_energy(accuracy)
        if ours is not None and bound is not None:
            lines.append(
                f'an oracle that knew which answers are right: '
                f'{bound.spent.energy * 1e3:.1f} mJ where thresholds take '
                f'{ours.spent.energy * 1e3:.1f} mJ, at {accuracy:.2%} of the held-out pictures. '
                'Nobody has one while serving'
            )
    folder = shlex.quote(str(found.bundle.folder))
    lines += [
        f'written: {found.bundle.folder}, with a profile of {joint.platform}',
        f'next: dynamic-dnn profile {folder}, on the computer that is to serve it',
    ]
    return '\n'.join(lines) + '\n'


def _certainties(found: Found) -> list[str]:
    """Return how sure the accuracies are that were chosen by, and those that are reported."""
    results = found.results
    metric = results.metric
    held_out = [each.evaluation.accuracy for each in results.kept]
    tested = [each.entry.accuracy for each in results.kept]
    return [
        certainty('held-out accuracy', metric, held_out, results.configuration.held_out),
        certainty(
            'test accuracy', metric, tested, pictures_tested(found.bundle.manifest.accuracy_data)
        ),
    ]


def summary(found: Found) -> str:
    """Return what was found, as a table, and what is to be done next."""
    results = found.results
    unit = f'm{results.meter.unit}'
    lines = [
        f'{len(results.evaluations)} sub-networks evaluated, {len(results.front)} on the front',
        f'measured: {results.meter.conditions}',
        f'{"sub-network":12} {results.meter.name:>12} {"held-out":>9} {"test":>8} '
        f'{"multiply-adds":>14} {"input":>6}',
    ]
    lines += [
        f'{each.entry.id:12} {each.evaluation.cost * 1e3:9.3f} {unit} '
        f'{each.evaluation.accuracy:9.2%} {each.entry.accuracy:8.2%} '
        f'{each.entry.multiply_adds:14,} {each.entry.size!s:>9}'
        for each in results.kept
    ]
    lines += _certainties(found)
    if len(results.kept) < results.settings.sub_networks:
        lines.append(
            f'the front has fewer than the {results.settings.sub_networks} sub-networks asked '
            f'for: {len(results.kept)} are kept. More generations may find more'
        )
    if results.comparison is not None:
        least, median, most = results.comparison.factors
        lines.append(
            f'sums of blocks measured alone: rank correlation '
            f'{results.comparison.rank_correlation:.3f}, measured latencies are {median:.2f} '
            f'times as long ({least:.2f} ... {most:.2f})'
        )
    lines += [f'report and picture: {found.folder}', f'written: {found.bundle.folder}']
    if found.lost_profiles:
        lines.append(
            f'the profiles of the former sub-networks are gone: {", ".join(found.lost_profiles)}'
        )
    folder = shlex.quote(str(found.bundle.folder))
    lines.append(f'next: dynamic-dnn profile {folder}')
    return '\n'.join(lines) + '\n'
