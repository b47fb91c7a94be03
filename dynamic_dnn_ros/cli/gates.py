# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn gates`: the picture picks, after a shared beginning, how the network goes on."""

from __future__ import annotations

import argparse
from pathlib import Path
import shlex

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.cli.exit_options import (
    ERRORS as ERRORS,
)
from dynamic_dnn_ros.cli.exit_options import (
    add_bundle,
    add_engine,
    add_output,
    check_alone,
    names_in,
    print_written,
)
from dynamic_dnn_ros.cli.tables import print_table
from dynamic_dnn_ros.exits.gate_report import TITLES, rows
from dynamic_dnn_ros.exits.gate_settings import GateSettings
from dynamic_dnn_ros.exits.gates import make_gates
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    defaults = GateSettings()
    add_bundle(parser)
    parser.add_argument(
        '--configuration',
        type=Path,
        required=True,
        metavar='CONFIG',
        help='the YAML file that the bundle was trained with: its pictures train the gates, those '
        'that it held out give the shares of the choices, its test pictures the accuracies',
    )
    parser.add_argument(
        '--choices',
        default='',
        metavar='S0,S11',
        help='ids of the sub-networks that it picks of, the fastest first; default: the fastest '
        'and the most accurate of one size',
    )
    parser.add_argument(
        '--shared',
        type=int,
        default=defaults.shared,
        metavar='PLACES',
        help='places, blocks mostly, up to which all begin as the first one does; default: '
        '%(default)s',
    )
    parser.add_argument(
        '--after',
        type=int,
        metavar='PLACE',
        help='number of the place in the first one that the gate looks at, from 0; default: at '
        'the end of what is shared. Behind it the gate sees more, and the others go on from '
        'where they depart',
    )
    goals = parser.add_mutually_exclusive_group()
    goals.add_argument(
        '--complexity',
        type=float,
        nargs='+',
        default=list(defaults.complexities),
        metavar='WEIGHT',
        help='weight of the loss on what is computed; a sub-network for each that is named. '
        'Below 0 it asks for more. Default: 0',
    )
    goals.add_argument(
        '--at-most-below',
        type=float,
        nargs='+',
        default=[],
        metavar='SHARE',
        help='losses of accuracy that are promised, against the last choice whole; 0.005 is half '
        'a point. The gate learns how sure the choices are, and what it asks for is chosen on '
        'the pictures that the training held out. A sub-network for each that is named',
    )
    parser.add_argument(
        '--squeeze',
        type=int,
        default=defaults.squeeze,
        metavar='CHANNELS',
        help="of the gate's hidden layer; default: %(default)s",
    )
    parser.add_argument(
        '--pictures',
        type=int,
        default=defaults.pictures,
        help='to train the gates on; default: %(default)s',
    )
    parser.add_argument(
        '--views',
        type=int,
        default=defaults.views,
        help='ways in which each of these is altered; default: %(default)s',
    )
    parser.add_argument(
        '--epochs', type=int, default=defaults.epochs, help='of the gates; default: %(default)s'
    )
    parser.add_argument(
        '--alone',
        action='store_true',
        help='write the choices and what is behind gates, without the others of the bundle',
    )
    add_output(parser)
    add_engine(parser, 'paths', defaults.threads)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    settings = GateSettings(
        choices=names_in(arguments.choices),
        shared=arguments.shared,
        after=arguments.after,
        complexities=tuple(arguments.complexity),
        at_most_below=tuple(arguments.at_most_below),
        squeeze=arguments.squeeze,
        views=arguments.views,
        pictures=arguments.pictures,
        epochs=arguments.epochs,
        alone=arguments.alone,
        engine=arguments.engine,
        threads=arguments.threads,
    )
    check_alone(arguments)
    configuration = TrainingConfiguration.from_file(arguments.configuration)
    bundle = read_bundle(find_bundle(arguments.bundle))
    found = make_gates(
        bundle,
        configuration,
        settings,
        arguments.output,
        _command(arguments),
        quiet=arguments.quiet or None,
    )
    print(f'measured: latency with {found.conditions}')
    print(
        f'trained on {found.trained_on} pictures, {found.views} view(s) of each, tested on '
        f'{found.tested_on}; mean time as a share of the largest path, '
        f'{found.latency * 1e3:.3g} ms'
    )
    print_table(TITLES, rows(found))
    print_written(found.bundle.folder)
    return 0


def _command(arguments: argparse.Namespace) -> str:
    """Return what was called, for the model card: without what does not change the result."""
    parts = ['dynamic-dnn', 'gates', arguments.bundle]
    parts += ['--configuration', str(arguments.configuration)]
    if arguments.choices:
        parts += ['--choices', arguments.choices]
    parts += ['--shared', str(arguments.shared)]
    if arguments.after is not None:
        parts += ['--after', str(arguments.after)]
    goal = 'at_most_below' if arguments.at_most_below else 'complexity'
    values = [f'{value:g}' for value in getattr(arguments, goal)]
    parts += [f'--{goal.replace("_", "-")}', *values]
    for option in ('squeeze', 'pictures', 'views', 'epochs'):
        parts += [f'--{option}', str(getattr(arguments, option))]
    if arguments.alone:
        parts.append('--alone')
    parts += ['--engine', arguments.engine]
    return shlex.join(parts)
