# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn watch`: what runs on this robot now, how targets stand, and what was switched."""

from __future__ import annotations

import argparse
import json
import sys
import time

from dynamic_dnn_ros.cli.system.listening import System
from dynamic_dnn_ros.cli.target import ERRORS as TARGET_ERRORS
from dynamic_dnn_ros.cli.target import RequestError, add_connection
from dynamic_dnn_ros.cli.watch.view import choose_view, lines_of, system_data
from dynamic_dnn_ros.client import TargetClient

ERRORS = TARGET_ERRORS

LOOK = 1.0
"""Seconds that `--once` listens to all: everybody speaks once a second at least."""

FRAMES = 3.0
"""Seconds that `--once` waits for a frame of each application: cameras may be slow, or absent."""

PERIOD = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_connection(parser)
    parser.add_argument(
        '--once',
        action='store_true',
        help='print how things stand, once, and end; waits for manager and platform up to '
        '--timeout',
    )
    parser.add_argument('--json', action='store_true', help='with --once: as JSON, in SI units')


def run(arguments: argparse.Namespace) -> int:
    """
    Show what is heard until Ctrl-C, or once.

    :raises RequestError: when nobody is there, or --json is given without --once
    """
    if arguments.json and not arguments.once:
        raise RequestError('--json prints one state. Give --once too.')
    with TargetClient(manager_namespace=arguments.namespace, timeout=arguments.timeout) as client:
        system = System(client)
        _wait_for_anybody(system, arguments)
        if arguments.once:
            _wait_for_everybody(system, arguments.timeout)
            if arguments.json:
                print(json.dumps(system_data(system), indent=2, ensure_ascii=False))
            else:
                print('\n'.join(lines_of(system)))
            return 0
        return _follow(system)


def _wait_for_anybody(system: System, arguments: argparse.Namespace) -> None:
    end = time.monotonic() + arguments.timeout
    while not system.is_there:
        if time.monotonic() > end:
            raise RequestError(
                f'nothing runs under {arguments.namespace}: no application, no manager and no '
                'platform is heard. Check ROS_DOMAIN_ID and --namespace, or start them '
                '(`ros2 launch dynamic_dnn_ros dynamic_dnn.launch.py`).'
            )
        time.sleep(PERIOD)


def _wait_for_everybody(system: System, timeout: float) -> None:
    """Listen for a moment once all are heard; up to the timeout for one who may not be there."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if system.has_heard_all and system.has_manager and system.has_platform:
            end = min(end, time.monotonic() + LOOK)
            break
        time.sleep(PERIOD)
    time.sleep(max(0.0, end - time.monotonic()))
    end = time.monotonic() + FRAMES
    while not system.has_seen_frames and time.monotonic() < end:
        time.sleep(PERIOD)


def _follow(system: System) -> int:
    view = choose_view(sys.stdout)
    view.start()
    try:
        while True:
            view.update(system)
            time.sleep(PERIOD)
    except KeyboardInterrupt:
        return 0  # how watching ends
    finally:
        view.stop()
