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
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.recipe import Found, search_bundle
from dynamic_dnn_ros.search.settings import SearchSettings
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)

ERRORS = (BundleError, EngineError, DataError, SearchError, TrainingConfigurationError)


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
    parser.add_argument('--quiet', action='store_true', help='show no progress bars')


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if arguments.jobs < 1:
        raise SearchError(f'--jobs is {arguments.jobs}: at least 1 is needed')
    configuration = TrainingConfiguration.from_file(arguments.configuration)
    settings = SearchSettings.from_mapping(configuration.search)
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
