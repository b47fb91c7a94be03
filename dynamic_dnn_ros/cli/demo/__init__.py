# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``dynamic-dnn demo``: the whole chain on this machine, with targets that change."""

from __future__ import annotations

import argparse
import importlib.util
import math
from pathlib import Path

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.cli.demo.options import (
    LEAST_SECONDS,
    LIBRARY,
    MOST_CAMERAS,
    PICTURE_RATE,
    PLATFORM,
    SECONDS,
    Options,
)

ERRORS = (BundleError,)  # Its session says the rest, after it has taken everything down.
NEEDED = ('rclpy', 'matplotlib', 'rich')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--bag', metavar='PATH', help='take the frames from a ROS 2 bag')
    source.add_argument('--video', metavar='PATH', help='take the frames from a video file')
    source.add_argument('--camera', metavar='INDEX', help='take the frames from a camera')
    source.add_argument(
        '--pictures',
        metavar='FOLDER',
        help='show some pictures of a folder or archive, those in folders within it too (default: '
        'test pictures of the bundle, where a training file in this folder wrote it; else '
        'photographs that ship with scikit-image)',
    )
    parser.add_argument(
        '--seconds',
        type=_seconds,
        default=SECONDS,
        help='length of the run, start and end not included (default: %(default)s)',
    )
    parser.add_argument(
        '--platform',
        default=PLATFORM,
        help='board to run on, as platform_node knows it (default: %(default)s)',
    )
    served = parser.add_mutually_exclusive_group()
    served.add_argument(
        '--bundle', default='', help='bundle to serve (default: that of inference_node)'
    )
    served.add_argument(
        '--task', default='', help='serve the bundle that ships for a task, e.g. detection'
    )
    served.add_argument(
        '--stand-in',
        type=Path,
        metavar='TABLE.csv',
        help='YOLOv8 n, s and m at eight sizes as somebody measured them on the board: networks '
        'that compute nothing and find nothing stand in for them; with --platform '
        'xavier_nx_simulated or orin_nano_simulated',
    )
    parser.add_argument(
        '--cameras',
        type=_cameras,
        default=1,
        metavar='N',
        help='cameras that one inference node serves, each a stream with a target of its own: the '
        'first one has the targets that change (default: %(default)s)',
    )
    parser.add_argument(
        '--rate',
        type=number,
        help="frames in a second of each camera; 0: the source's own rate (default: 15 for "
        'pictures and videos, shared by the cameras, else 0)',
    )
    parser.add_argument(
        '--transport',
        choices=('raw', 'compressed'),
        default='raw',
        help='how the images travel (default: %(default)s)',
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('demo_output'),
        metavar='FOLDER',
        help='where summary, picture and logs go (default: %(default)s)',
    )
    parser.add_argument(
        '--record',
        type=Path,
        metavar='PATH',
        help='record the run as a bag (mcap): all topics, images only if compressed',
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and return its exit code."""
    for module in NEEDED:
        # Said now, rather than when the run is over.
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f'No module named {module!r}', name=module)
    from dynamic_dnn_ros.cli.demo.session import run_demo

    if arguments.bag is not None:
        source, path = 'bag', arguments.bag
    elif arguments.video is not None:
        source, path = 'video', arguments.video
    elif arguments.camera is not None:
        source, path = 'camera', arguments.camera
    else:
        source, path = 'pictures', arguments.pictures or ''
    default_rate = PICTURE_RATE / arguments.cameras if source in ('pictures', 'video') else 0.0
    return run_demo(
        Options(
            source=source,
            path=str(Path(path).resolve()) if source in ('bag', 'video') else path,
            seconds=arguments.seconds,
            platform=arguments.platform,
            bundle=_bundle(arguments),
            rate=arguments.rate if arguments.rate is not None else default_rate,
            transport=arguments.transport,
            output=arguments.output,
            record=arguments.record,
            stand_in=arguments.stand_in,
            cameras=arguments.cameras,
            shown=LIBRARY if source == 'pictures' else f'{source} {Path(path).name}',
        )
    )


def _bundle(arguments: argparse.Namespace) -> str:
    if not arguments.task:
        return str(arguments.bundle)
    from dynamic_dnn_ros.bundles.shipped import shipped_bundle_of

    return str(shipped_bundle_of(arguments.task))


# What argparse says of a text that one of these cannot read has the function's name in it.


def _seconds(text: str) -> float:
    """Return a length of the run that was given on the command line."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not LEAST_SECONDS <= value < math.inf:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no number of seconds from {LEAST_SECONDS:g} on: each part of the run '
            'has to last until its target is judged'
        )
    return value


def _cameras(text: str) -> int:
    """Return a number of cameras that was given on the command line."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_CAMERAS:
        raise argparse.ArgumentTypeError(f'{text!r} is no number from 1 to {MOST_CAMERAS}')
    return int(text)


def number(text: str) -> float:
    """Return a number of 0 or above that was given on the command line."""
    value = float(text)
    if not 0.0 <= value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} is below 0')
    return value
