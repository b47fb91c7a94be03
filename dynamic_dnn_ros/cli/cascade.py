# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn cascade`: sub-networks that run one after the other until an answer is sure."""

from __future__ import annotations

import argparse
from pathlib import Path
import shlex
from typing import Any

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.cli.tables import print_table
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.engines.registry import AUTO, engine_choices
from dynamic_dnn_ros.exits.cascades import make_cascades
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.held_out import halves, held_out_pictures
from dynamic_dnn_ros.exits.report import TITLES, rows
from dynamic_dnn_ros.exits.settings import CascadeSettings
from dynamic_dnn_ros.profiling.accuracy import open_labelled
from dynamic_dnn_ros.tasks.contract import TaskError
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)

ERRORS = (
    BundleError,
    DataError,
    EngineError,
    ExitError,
    TaskError,
    TrainingConfigurationError,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    defaults = CascadeSettings()
    parser.add_argument('bundle', metavar='BUNDLE', help='name of a bundle that ships, or a path')
    pictures = parser.add_mutually_exclusive_group(required=True)
    pictures.add_argument(
        '--data',
        type=Path,
        metavar='FOLDER_OR_ARCHIVE',
        help='labelled pictures to calibrate with, none that were trained on: any layout of '
        'docs/datasets.md. Without --test, every other one is kept to test with',
    )
    pictures.add_argument(
        '--configuration',
        type=Path,
        metavar='CONFIG',
        help='the YAML file that the bundle was trained with: its held-out pictures calibrate, '
        'its test pictures test',
    )
    parser.add_argument(
        '--test',
        type=Path,
        metavar='FOLDER_OR_ARCHIVE',
        help='with --data: other pictures, to measure accuracy on',
    )
    parser.add_argument(
        '--stages',
        default='',
        metavar='S1,S11',
        help='ids of the sub-networks, the fastest first; default: those that take the least '
        'time, ending in the most accurate one',
    )
    parser.add_argument(
        '--at-most-below',
        type=float,
        nargs='+',
        default=list(defaults.at_most_below),
        metavar='SHARE',
        help='accuracy that may be lost against the last stage alone, 0..1; a cascade for each '
        'that is named. Default: 0.005, half a point',
    )
    parser.add_argument(
        '--longest',
        type=int,
        default=defaults.longest,
        help='stages at most, where none are named; default: %(default)s',
    )
    parser.add_argument(
        '--output',
        type=Path,
        metavar='FOLDER',
        help='write a bundle there, and leave this one as it is',
    )
    parser.add_argument(
        '--engine',
        default=AUTO,
        choices=engine_choices(),
        help='that will serve it: what stages take is measured with it; default: %(default)s, '
        'the fastest one here',
    )
    parser.add_argument(
        '--threads',
        type=int,
        default=defaults.threads,
        help='of one inference on the CPU; default: %(default)s',
    )
    parser.add_argument('--quiet', action='store_true', help='show no progress bars')


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    settings = CascadeSettings(
        stages=tuple(name.strip() for name in arguments.stages.split(',') if name.strip()),
        at_most_below=tuple(arguments.at_most_below),
        longest=arguments.longest,
        engine=arguments.engine,
        threads=arguments.threads,
    )
    if arguments.test is not None and arguments.data is None:
        raise ExitError('--test goes with --data: a configuration names its own test pictures')
    bundle = read_bundle(find_bundle(arguments.bundle))
    calibration, test = _pictures(bundle, arguments)
    found = make_cascades(
        bundle,
        settings,
        calibration,
        test,
        arguments.output,
        _command(arguments),
        quiet=arguments.quiet or None,
    )
    last = found.made[0].cascade.stages[-1]
    print(f'measured: latency with {found.conditions}')
    print(
        f'calibrated on {found.calibrated_on} pictures, tested on {found.tested_on}; below, and '
        f'time as a share: against {last} alone, {found.latency * 1e3:.3g} ms'
    )
    print_table(TITLES, rows(found.made))
    folder = found.bundle.folder
    print(f'written: {folder}')
    print(f'next: dynamic-dnn profile {shlex.quote(str(folder))}')
    return 0


def _pictures(
    bundle: Bundle, arguments: argparse.Namespace
) -> tuple[LabelledSet[Any], LabelledSet[Any]]:
    """Return the pictures to calibrate with, and those to test on."""
    if arguments.configuration is not None:
        configuration = TrainingConfiguration.from_file(arguments.configuration)
        return held_out_pictures(configuration, bundle.manifest, print)
    data = open_labelled(arguments.data, bundle.manifest)
    if arguments.test is None:
        if len(data) < 2:
            raise DataError(f'{arguments.data} holds one picture: give more of them, or --test')
        return halves(data)
    return data, open_labelled(arguments.test, bundle.manifest)


def _command(arguments: argparse.Namespace) -> str:
    """Return what was called, for the model card: without what does not change the result."""
    parts = ['dynamic-dnn', 'cascade', arguments.bundle]
    for name in ('data', 'configuration', 'test'):
        value = getattr(arguments, name)
        if value is not None:
            parts += [f'--{name}', str(value)]
    if arguments.stages:
        parts += ['--stages', arguments.stages]
    parts += ['--at-most-below', *(f'{value:g}' for value in arguments.at_most_below)]
    parts += ['--engine', arguments.engine]
    return shlex.join(parts)
