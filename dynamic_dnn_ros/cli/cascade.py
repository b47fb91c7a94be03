# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn cascade`: sub-networks that run one after the other until an answer is sure."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.cli.exit_options import (
    ERRORS as ERRORS,
)
from dynamic_dnn_ros.cli.exit_options import (
    add_bundle,
    add_engine,
    add_losses,
    add_output,
    add_pictures,
    check_test,
    losses_given,
    names_in,
    pictures_given,
    print_written,
)
from dynamic_dnn_ros.cli.tables import print_table
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.exits.cascades import make_cascades
from dynamic_dnn_ros.exits.held_out import halves, held_out_pictures
from dynamic_dnn_ros.exits.report import TITLES, rows
from dynamic_dnn_ros.exits.settings import CascadeSettings
from dynamic_dnn_ros.profiling.accuracy import open_labelled
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    defaults = CascadeSettings()
    add_bundle(parser)
    add_pictures(
        parser,
        data='labelled pictures to calibrate with, none that were trained on: any layout of '
        'docs/datasets.md. Without --test, every other one is kept to test with',
        configuration='the YAML file that the bundle was trained with: its held-out pictures '
        'calibrate, its test pictures test',
    )
    parser.add_argument(
        '--stages',
        default='',
        metavar='S1,S11',
        help='ids of the sub-networks, the fastest first; default: those that take the least '
        'time, ending in the most accurate one',
    )
    add_losses(
        parser,
        defaults.at_most_below,
        'accuracy that may be lost against the last stage alone, 0..1; a cascade for each that '
        'is named. Default: 0.005, half a point',
    )
    parser.add_argument(
        '--longest',
        type=int,
        default=defaults.longest,
        help='stages at most, where none are named; default: %(default)s',
    )
    add_output(parser)
    add_engine(parser, 'stages', defaults.threads)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    settings = CascadeSettings(
        stages=names_in(arguments.stages),
        at_most_below=tuple(arguments.at_most_below),
        longest=arguments.longest,
        engine=arguments.engine,
        threads=arguments.threads,
    )
    check_test(arguments)
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
    print_written(found.bundle.folder)
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
    parts = ['dynamic-dnn', 'cascade', arguments.bundle, *pictures_given(arguments)]
    if arguments.stages:
        parts += ['--stages', arguments.stages]
    parts += losses_given(arguments)
    parts += ['--engine', arguments.engine]
    return shlex.join(parts)
