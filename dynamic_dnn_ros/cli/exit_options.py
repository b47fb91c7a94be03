# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the commands share that let a picture take a part of a network: cascade, exits, gates."""

from __future__ import annotations

import argparse
from pathlib import Path
import shlex

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.engines.registry import AUTO, engine_choices
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.tasks.contract import TaskError
from dynamic_dnn_ros.training.configuration import TrainingConfigurationError

ERRORS = (
    BundleError,
    DataError,
    EngineError,
    ExitError,
    TaskError,
    TrainingConfigurationError,
)
"""What these commands answer in one line."""


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """Add the bundle, which comes first."""
    parser.add_argument('bundle', metavar='BUNDLE', help='name of a bundle that ships, or a path')


def add_pictures(parser: argparse.ArgumentParser, data: str, configuration: str) -> None:
    """
    Add the options that name labelled pictures, one of which is needed.

    :param data: the help of --data
    :param configuration: the help of --configuration
    """
    pictures = parser.add_mutually_exclusive_group(required=True)
    pictures.add_argument('--data', type=Path, metavar='FOLDER_OR_ARCHIVE', help=data)
    pictures.add_argument('--configuration', type=Path, metavar='CONFIG', help=configuration)
    parser.add_argument(
        '--test',
        type=Path,
        metavar='FOLDER_OR_ARCHIVE',
        help='with --data: other pictures, to measure accuracy on',
    )


def check_alone(arguments: argparse.Namespace) -> None:
    """
    Check that --alone leaves nothing out of the bundle that is there.

    :raises ExitError: without --output
    """
    if arguments.alone and arguments.output is None:
        raise ExitError('--alone leaves sub-networks out: give --output, so that none is lost')


def add_losses(parser: argparse.ArgumentParser, default: tuple[float, ...], text: str) -> None:
    """Add the losses of accuracy that are promised, with their help."""
    parser.add_argument(
        '--at-most-below',
        type=float,
        nargs='+',
        default=list(default),
        metavar='SHARE',
        help=text,
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the bundle that is written."""
    parser.add_argument(
        '--output',
        type=Path,
        metavar='FOLDER',
        help='write a bundle there, and leave this one as it is',
    )


def add_engine(parser: argparse.ArgumentParser, what: str, threads: int) -> None:
    """
    Add the engine that measures, its threads, and whether progress is shown.

    :param what: of which the time is measured, as stages
    """
    parser.add_argument(
        '--engine',
        default=AUTO,
        choices=engine_choices(),
        help=f'that will serve it: what {what} take is measured with it; default: %(default)s, '
        'the fastest one here',
    )
    parser.add_argument(
        '--threads',
        type=int,
        default=threads,
        help='of one inference on the CPU; default: %(default)s',
    )
    parser.add_argument('--quiet', action='store_true', help='show no progress bars')


def names_in(text: str) -> tuple[str, ...]:
    """Return the names that stand between commas."""
    return tuple(name.strip() for name in text.split(',') if name.strip())


def check_test(arguments: argparse.Namespace) -> None:
    """
    Check that test pictures of their own go with pictures to calibrate with.

    :raises ExitError: where a configuration names its own
    """
    if arguments.test is not None and arguments.data is None:
        raise ExitError('--test goes with --data: a configuration names its own test pictures')


def pictures_given(arguments: argparse.Namespace) -> list[str]:
    """Return the options of pictures as they were given, for the command on a model card."""
    parts = []
    for name in ('data', 'configuration', 'test'):
        value = getattr(arguments, name)
        if value is not None:
            parts += [f'--{name}', str(value)]
    return parts


def losses_given(arguments: argparse.Namespace) -> list[str]:
    """Return the losses that are promised, for the command on a model card."""
    return ['--at-most-below', *(f'{value:g}' for value in arguments.at_most_below)]


def print_written(folder: Path) -> None:
    """Say where the bundle is, and what comes next."""
    print(f'written: {folder}')
    print(f'next: dynamic-dnn profile {shlex.quote(str(folder))}')
