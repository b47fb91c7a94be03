# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn exits`: heads inside of a network, so that easy pictures leave it early."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
import shlex

import torch

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.cli.exit_options import (
    ERRORS as COMMON_ERRORS,
)
from dynamic_dnn_ros.cli.exit_options import (
    add_bundle,
    add_engine,
    add_losses,
    add_output,
    add_pictures,
    check_alone,
    check_test,
    losses_given,
    names_in,
    pictures_given,
    print_written,
)
from dynamic_dnn_ros.cli.tables import print_table
from dynamic_dnn_ros.exits.early import check_kind, make_exits
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.exit_pictures import (
    for_heads,
    plain_configuration,
    read_exit_pictures,
)
from dynamic_dnn_ros.exits.exit_report import TITLES
from dynamic_dnn_ros.exits.exit_settings import ExitSettings
from dynamic_dnn_ros.exits.report import rows
from dynamic_dnn_ros.training.checkpoint import CheckpointError
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
)
from dynamic_dnn_ros.training.memory import keep_freed_memory
from dynamic_dnn_ros.training.trainer import DivergenceError

ERRORS = (*COMMON_ERRORS, CheckpointError, DivergenceError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    defaults = ExitSettings()
    add_bundle(parser)
    add_pictures(
        parser,
        data='labelled pictures: heads are trained on most, thresholds calibrated on a sixth of '
        'them. None that the bundle was trained on: it is too sure of these. Without --test, '
        'another sixth is kept to test with',
        configuration='the YAML file that the bundle was trained with: its training pictures '
        'train, those it held out calibrate, its test pictures test',
    )
    parser.add_argument(
        '--sub-network',
        default=defaults.sub_network,
        metavar='S11',
        help='id of the one that gets exits; default: the most accurate one',
    )
    parser.add_argument(
        '--after',
        default='',
        metavar='stages.1,stages.2',
        help='places of exits; default: --exits places that part its cost evenly. Heads that a '
        'training put into the bundle are taken as they are',
    )
    parser.add_argument(
        '--exits',
        type=int,
        default=defaults.exits,
        help='how many, where no places are named; default: %(default)s',
    )
    parser.add_argument(
        '--answers-of',
        default='',
        metavar='s0,s5',
        help='smaller sub-networks, the smallest first: their answers are the exits, and no head '
        'is trained. The whole goes on from the features that they have in common',
    )
    parser.add_argument(
        '--shared',
        type=int,
        default=defaults.shared,
        metavar='PLACES',
        help='with --answers-of: up to how many places all begin as the first one; default: '
        '%(default)s',
    )
    parser.add_argument(
        '--widths',
        type=int,
        nargs='*',
        default=list(defaults.widths),
        metavar='CHANNELS',
        help='of the layers of each head before its classifier; default: '
        f'{" ".join(map(str, defaults.widths))}',
    )
    parser.add_argument(
        '--epochs',
        type=int,
        default=defaults.epochs,
        help='passes over the training pictures; default: %(default)s',
    )
    parser.add_argument(
        '--views',
        type=int,
        default=defaults.views,
        help='ways in which each training picture is altered, for each of which the network runs '
        'once; default: %(default)s',
    )
    add_losses(
        parser,
        defaults.at_most_below,
        'accuracy that may be lost against the whole sub-network, 0..1; one with exits for each '
        'that is named. Default: 0.005, half a point',
    )
    parser.add_argument(
        '--alone',
        action='store_true',
        help='write the sub-network and those with exits, without the others of the bundle',
    )
    add_output(parser)
    parser.add_argument(
        '--work',
        type=Path,
        metavar='FOLDER',
        help='of checkpoints, kept until it is removed; default: build/exits/NAME',
    )
    add_engine(parser, 'stages', defaults.threads)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    settings = ExitSettings(
        sub_network=arguments.sub_network,
        after=names_in(arguments.after),
        exits=arguments.exits,
        answers_of=names_in(arguments.answers_of),
        shared=arguments.shared,
        widths=tuple(arguments.widths),
        epochs=arguments.epochs,
        views=arguments.views,
        at_most_below=tuple(arguments.at_most_below),
        alone=arguments.alone,
        engine=arguments.engine,
        threads=arguments.threads,
    )
    check_test(arguments)
    if arguments.answers_of and arguments.after:
        raise ExitError('--answers-of and --after: give one of them')
    check_alone(arguments)
    keep_freed_memory()
    bundle = read_bundle(find_bundle(arguments.bundle))
    check_kind(bundle.manifest)
    folder = arguments.output or bundle.folder
    work = arguments.work or Path('build', 'exits', folder.name)
    held_out = None
    if arguments.configuration is not None:
        configuration = TrainingConfiguration.from_file(arguments.configuration)
        held_out = configuration.held_out
        if configuration.threads:
            torch.set_num_threads(configuration.threads)
    else:
        configuration = plain_configuration(bundle.manifest, arguments.data, arguments.test, work)
    found = make_exits(
        bundle,
        settings,
        for_heads(configuration),
        read_exit_pictures(configuration, bundle.manifest, held_out, arguments.quiet),
        work,
        arguments.output,
        _command(arguments),
        quiet=arguments.quiet,
    )
    name = found.backbone.id
    alone = ', '.join(f'{stage} {value:.2%}' for stage, value in found.alone.items())
    print(f'measured: latency with {found.conditions}')
    print(f'accuracy if all left after a stage: {alone}')
    print(
        f'calibrated on {found.calibrated_on} pictures, tested on {found.tested_on}; below, and '
        f'time as a share: against {name} whole, {found.latency * 1e3:.3g} ms'
    )
    print_table(TITLES, rows(found.made))
    print_written(found.bundle.folder)
    return 0


def _command(arguments: argparse.Namespace) -> str:
    """Return what was called, for the model card: without what does not change the result."""
    parts = ['dynamic-dnn', 'exits', arguments.bundle, *pictures_given(arguments)]
    if arguments.sub_network:
        parts += ['--sub-network', arguments.sub_network]
    if arguments.after:
        parts += ['--after', arguments.after]
    if arguments.answers_of:
        parts += ['--answers-of', arguments.answers_of, '--shared', str(arguments.shared)]
    else:
        parts += _heads_given(arguments)
    parts += losses_given(arguments)
    if arguments.alone:
        parts.append('--alone')
    parts += ['--engine', arguments.engine]
    return shlex.join(parts)


def _heads_given(arguments: argparse.Namespace) -> list[str]:
    parts = ['--widths', *map(str, arguments.widths), '--epochs', str(arguments.epochs)]
    return [*parts, '--views', str(arguments.views)]
