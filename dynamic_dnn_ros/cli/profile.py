# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn profile`: put a profile into a bundle, measured here or of a simulated board."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
import re
import sys
from typing import Any

import numpy as np

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.locking import exclusive
from dynamic_dnn_ros.bundles.profile import LARGEST_BATCH, FlagColumn, OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.bundles.writer import with_profile
from dynamic_dnn_ros.cli.next_steps import serving
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.engines.automatic import open_engine
from dynamic_dnn_ros.engines.contract import Engine, EngineError, Precision
from dynamic_dnn_ros.engines.registry import BY_BUNDLE, ENGINE_NAMES
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.profiling.accuracy import measure_accuracies, open_labelled
from dynamic_dnn_ros.profiling.batches import batch_latency
from dynamic_dnn_ros.profiling.journal import JournalError
from dynamic_dnn_ros.profiling.measured import Options, computer, measure_profile, set_aside
from dynamic_dnn_ros.profiling.measurements import (
    MeasurementError,
    board_profile,
    matched,
    point_profile,
    read_table,
)
from dynamic_dnn_ros.profiling.path_times import PathTimes
from dynamic_dnn_ros.profiling.simulated import simulated_profile

ERRORS = (
    BundleError,
    DataError,
    EngineError,
    JournalError,
    MeasurementError,
    PlatformError,
)

_DEFAULTS = Options(settings=24)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('bundle', metavar='BUNDLE', help='name of a shipped bundle, or its folder')
    parser.add_argument(
        '--platform',
        default='auto',
        help='linux or auto: this computer, measured; or a simulated board, e.g. '
        'xavier_nx_simulated, computed; default: %(default)s',
    )
    parser.add_argument(
        '--dry-run', action='store_true', help='show the profile, leave the bundle as it is'
    )
    table = parser.add_argument_group('latencies that others measured')
    table.add_argument(
        '--measurements',
        type=Path,
        metavar='TABLE.csv',
        help='take latencies at the highest clocks from a table with the columns board, '
        'framework, network, image_size and mean_ms; on a simulated board its model adds the '
        'other clocks and power, which are assumed then',
    )
    table.add_argument(
        '--board', default='', help='which board of the table; needed where it has several'
    )
    table.add_argument(
        '--framework', default='', help='what ran the networks there, e.g. tensorrt; likewise'
    )
    table.add_argument(
        '--map',
        type=_mapping,
        action='append',
        default=[],
        metavar='SUB_NETWORK=NETWORK@SIZE',
        help='the row of a sub-network, or of a model, that the table calls otherwise',
    )
    board = parser.add_argument_group('simulated boards')
    board.add_argument(
        '--power-mode', default='', help="the board's power mode, e.g. 15W_6CORE; its default else"
    )
    measured = parser.add_argument_group('this computer')
    _add_engine(measured)
    _add_sweep(measured)
    _add_journal(measured)
    measured.add_argument(
        '--sysfs-root', default=_DEFAULTS.sysfs_root, help='folder that holds sys and proc'
    )


def _add_engine(measured: argparse._ArgumentGroup) -> None:
    measured.add_argument(
        '--engine',
        default=BY_BUNDLE,
        help=f'what runs the sub-networks: {", ".join(ENGINE_NAMES)}, or auto, the fastest one '
        'here; default: torch for a super-network, onnxruntime for separate models',
    )
    measured.add_argument(
        '--precision',
        default=Precision.FLOAT32.value,
        choices=[precision.value for precision in Precision],
        help='what the engine computes in, default %(default)s',
    )
    measured.add_argument(
        '--data',
        type=Path,
        metavar='FOLDER_OR_ARCHIVE',
        help='measure the accuracy of each sub-network with this engine in this precision on '
        'these labelled pictures (docs/datasets.md has the layouts), and write it into the '
        'profile',
    )
    measured.add_argument(
        '--threads',
        type=_at_least(1),
        default=_DEFAULTS.threads,
        help='of one inference on the CPU, default %(default)s',
    )


def _add_sweep(measured: argparse._ArgumentGroup) -> None:
    measured.add_argument(
        '--settings',
        type=_settings,
        default=_DEFAULTS.settings,
        metavar='all|N|present',
        help='settings of the frequency domains to measure: all of them, N from which the others '
        'are interpolated, or the present clocks only; default %(default)s, or all where there '
        'are no more',
    )
    measured.add_argument(
        '--seconds-per-point',
        type=seconds,
        default=_DEFAULTS.seconds,
        help='to run each sub-network at each setting, default %(default)s',
    )
    measured.add_argument(
        '--idle-seconds',
        type=seconds,
        default=_DEFAULTS.idle_seconds,
        help='of each look at the idle computer: power where it has a rail, load of other '
        'programs; default %(default)s',
    )
    measured.add_argument(
        '--picture',
        type=_size,
        metavar='WIDTHxHEIGHT',
        help='measure with camera frames of this size, scaling included; without, with pictures '
        "of each sub-network's own resolution, of which nothing is scaled",
    )
    measured.add_argument(
        '--batches',
        type=_batches,
        default=(),
        metavar='1,2,4,8',
        help='measure besides what so many pictures together take, with an engine that runs them '
        'so, on its first processor at the clocks of that moment; default: not measured',
    )
    measured.add_argument(
        '--seed', type=_at_least(0), default=_DEFAULTS.seed, help='of the order of measurements'
    )


def _add_journal(measured: argparse._ArgumentGroup) -> None:
    how = measured.add_mutually_exclusive_group()
    how.add_argument(
        '--resume',
        action='store_true',
        help='go on with a measurement that was ended, and fail where there is none; without, '
        'one is gone on with where there is one',
    )
    how.add_argument('--restart', action='store_true', help='forget a measurement that was ended')
    measured.add_argument(
        '--work-folder',
        type=Path,
        help='where the journal of the measurement lies; default: BUNDLE.profiling beside it',
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    folder = find_bundle(arguments.bundle)
    with nullcontext() if arguments.dry_run else exclusive(folder):
        bundle = read_bundle(folder)
        if arguments.measurements is not None:
            _take_over(bundle, arguments)
        elif arguments.platform.endswith(SIMULATED_SUFFIX):
            _simulate(bundle, arguments)
        else:
            _measure(bundle, arguments)
    return 0


def _simulate(bundle: Bundle, arguments: argparse.Namespace) -> None:
    board = load_board(arguments.platform, arguments.power_mode)
    profile = simulated_profile(board, arguments.platform, bundle.manifest.sub_networks)
    print(summary(profile))
    if not arguments.dry_run:
        with_profile(bundle, profile)
        print(f'written into {bundle.folder}')
        _say_next(bundle, arguments.platform)


def _take_over(bundle: Bundle, arguments: argparse.Namespace) -> None:
    """Put latencies that others measured into a bundle."""
    table = read_table(arguments.measurements)
    sub_networks = bundle.manifest.sub_networks
    rows = matched(table, sub_networks, arguments.board, arguments.framework, dict(arguments.map))
    if arguments.platform.endswith(SIMULATED_SUFFIX):
        board = load_board(arguments.platform, arguments.power_mode)
        profile = board_profile(board, arguments.platform, sub_networks, table, rows)
    else:
        profile = point_profile(arguments.platform, sub_networks, table, rows)
    print(summary(profile))
    print(profile.description)
    if not arguments.dry_run:
        with_profile(bundle, profile)
        print(f'written into {bundle.folder}')
        _say_next(bundle, arguments.platform)


def _measure(bundle: Bundle, arguments: argparse.Namespace) -> None:
    if arguments.power_mode:
        raise PlatformError(
            f'power mode {arguments.power_mode!r}',
            'only simulated boards have one',
            'Leave --power-mode out; a real board is measured in the mode that it is in',
        )
    options = Options(
        threads=arguments.threads,
        settings=arguments.settings,
        seconds=arguments.seconds_per_point,
        idle_seconds=arguments.idle_seconds,
        picture=arguments.picture,
        seed=arguments.seed,
        sysfs_root=arguments.sysfs_root,
        work_folder=arguments.work_folder,
        restart=arguments.restart,
        resume=arguments.resume,
        quiet=not sys.stderr.isatty(),
    )
    platform = computer(arguments.platform, options)
    pictures = None
    if arguments.data is not None:
        pictures = open_labelled(arguments.data, bundle.manifest)
    precision = Precision(arguments.precision)
    engine = open_engine(
        arguments.engine,
        bundle,
        arguments.threads,
        precision,
        say=print,
        largest_batch=max(arguments.batches, default=1),
    )
    try:
        measurement = measure_profile(bundle, engine, platform, options, say=print)
    except KeyboardInterrupt:
        print(
            'What was measured is kept: the same command goes on with it, --restart begins anew.',
            file=sys.stderr,
        )
        raise
    profile = measurement.profile
    if arguments.batches:
        profile = _with_batches(bundle, engine, profile, arguments.batches)
    if pictures is not None:
        profile = _with_accuracies(bundle, engine, profile, pictures)
    print(summary(profile))
    print(profile.description)
    for notice in measurement.notices:
        print(f'WARNING: {notice}')
    if arguments.dry_run:
        print(f'kept in {measurement.journal}; without --dry-run it goes into the bundle')
        return
    # Until this is done the journal stays, so that nothing is measured twice.
    with_profile(bundle, profile)
    journal = set_aside(measurement.journal)
    print(f'written into {bundle.folder}; every run is in {journal}')
    _say_next(bundle, arguments.platform)


def _say_next(bundle: Bundle, platform: str) -> None:
    """Say what to type next: how to serve the bundle, on a simulated board if it is of one."""
    board = platform if platform.endswith(SIMULATED_SUFFIX) else ''
    print(f'next: {serving(bundle.folder, board)}')


def _with_accuracies(
    bundle: Bundle, engine: Engine, profile: OperatingPoints, pictures: LabelledSet[Any]
) -> OperatingPoints:
    """
    Return a profile with the accuracy that its sub-networks have with an engine.

    :raises DataError: when a picture cannot be read
    :raises EngineError: when a sub-network cannot be run
    """
    prepared = [
        engine.prepare(entry, engine.processors[0]) for entry in bundle.manifest.sub_networks
    ]
    manifest = bundle.manifest
    task = manifest.make_task()
    paths = PathTimes()
    measured = measure_accuracies(
        prepared, task, manifest.labels, manifest.preprocessing, pictures, paths=paths
    )
    for name, accuracy in measured.items():
        entry = manifest.sub_network(name)
        expected = f'{entry.accuracy:.2%}' if entry.accuracy_is_known else 'none'
        print(
            f'{name}: accuracy {accuracy:.2%} ({task.metric.title}) with {engine.name} in '
            f'{engine.precision.value}, {expected} in the bundle'
        )
    mixtures = paths.mixtures({entry.id: entry.stages for entry in manifest.sub_networks})
    for name, mixture in mixtures.items():
        works = ', '.join(f'{work:.3f}' for work in mixture.works)
        taken = ', '.join(f'{share:.1%}' for share in mixture.taken)
        print(f'{name}: paths take {works} of the largest, and {taken} of the pictures take them')
    return replace(
        profile,
        works={name: mixture.works for name, mixture in mixtures.items()},
        taken={name: mixture.taken for name, mixture in mixtures.items()},
        accuracy=np.array([measured[name] for name in profile.sub_networks]),
        accuracy_data=f'{len(pictures)} pictures of {pictures.files.path.name}',
    )


def _with_batches(
    bundle: Bundle, engine: Engine, profile: OperatingPoints, batches: Sequence[int]
) -> OperatingPoints:
    """
    Return a profile with what several pictures of its sub-networks take together.

    :raises EngineError: when a sub-network cannot be run
    """
    rows = []
    for name in profile.sub_networks:
        prepared = engine.prepare(bundle.manifest.sub_network(name), engine.processors[0])
        rows.append(batch_latency(prepared, batches))
        each = ', '.join(f'{number}: {rows[-1][number - 1] / number:.2f}' for number in batches)
        takes = '' if prepared.largest_batch > 1 else ' (takes one at a time)'
        print(f'{name}: latency a picture in a batch, against one alone: {each}{takes}')
        prepared.close()
    return replace(profile, batch_latency=np.array(rows))


# What argparse says of a text that one of these cannot read has the function's name in it.


def _at_least(least: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f'{value} is below {least}')
        return value

    return integer


def seconds(text: str) -> float:
    """Return a duration that was given on the command line, s."""
    value = float(text)
    if not 0.0 < value <= 3600.0:
        raise argparse.ArgumentTypeError(f'{text} is not between 0 and 3600')
    return value


def _batches(text: str) -> tuple[int, ...]:
    parts = text.split(',')
    if not all(part.isdigit() and 1 <= int(part) <= LARGEST_BATCH for part in parts):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no list of numbers from 1 to {LARGEST_BATCH}, such as 1,2,4,8'
        )
    return tuple(sorted({int(part) for part in parts}))


def _mapping(text: str) -> tuple[str, str]:
    name, _, row = text.partition('=')
    if not name or not row:
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form SUB_NETWORK=NETWORK@SIZE')
    return name, row


def _settings(text: str) -> int | None:
    if text in ('all', 'present'):
        return None if text == 'all' else 0
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'all', 'present' nor a number")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'([1-9]\d{0,4})x([1-9]\d{0,4})', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is no size such as 640x480')
    return int(match[1]), int(match[2])


def summary(profile: OperatingPoints) -> str:
    """Return a table: each sub-network at the lowest and the highest clocks."""
    kind = profile.kind.name.lower() + (', extrapolated' if profile.extrapolated else '')
    lines = [f'{len(profile)} operating points on {profile.platform} ({kind})']
    if profile.domains:
        lines.append('sub-network  processor  latency at the highest ... lowest clocks  energy')
    else:
        lines.append('sub-network  processor  latency: mean      p50      p95      p99')
    wide = max([12, *map(len, profile.sub_networks)])
    lines[1] = lines[1].replace('sub-network ', 'sub-network'.ljust(wide), 1)
    for index, name in enumerate(profile.sub_networks):
        for number, processor in enumerate(profile.processors):
            rows = (profile.sub_network == index) & (profile.processor == number)
            lines.append(f'{name:<{wide}} {processor:<10} {_figures(profile, rows)}')
    return '\n'.join(lines)


def _figures(profile: OperatingPoints, rows: FlagColumn) -> str:
    """Return the figures of one sub-network; its last row has the highest clocks."""
    energy = profile.energy[rows]
    if profile.domains:
        latency = profile.latency_mean[rows]
        text = f'{latency[-1] * 1e3:7.1f} ... {latency[0] * 1e3:7.1f} ms'
        ends = f'  {energy[-1]:7.3f} ... {energy[0]:7.3f} J'
    else:
        names = ('mean', 'p50', 'p95', 'p99')
        columns = [getattr(profile, f'latency_{name}')[rows][0] for name in names]
        text = '     ' + ' '.join(f'{value * 1e3:8.2f}' for value in columns) + ' ms'
        ends = f'  {energy[0]:7.3f} J'
    return text if np.isnan(energy).any() else text + ends
