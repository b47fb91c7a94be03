# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The nodes of the demo: what they are started with, and the wait until all of them serve."""

from __future__ import annotations

from pathlib import Path
import time

from rclpy.executors import SingleThreadedExecutor

from dynamic_dnn_ros.cli.demo.observer import NAMESPACE, Observer
from dynamic_dnn_ros.cli.demo.options import Options
from dynamic_dnn_ros.cli.demo.processes import ProcessGroup
from dynamic_dnn_ros.cli.demo.signals import spin_once

CAMERA = '/camera_node'
APPLICATION = '/inference_node'
MANAGER = f'{NAMESPACE}/manager_node'
PLATFORM = f'{NAMESPACE}/platform_node'
NODES = (PLATFORM, MANAGER, APPLICATION, CAMERA)

#: Seconds within which the nodes must be active and serve: importing a learning library is slow.
START_TIMEOUT = 90.0
#: Seconds that a node's ERROR may stand before the start is given up.
ERROR_PATIENCE = 3.0


class DemoError(RuntimeError):
    """The demo cannot go on. The text says why, and what to do."""


def applications_of(options: Options) -> list[str]:
    """Return the ids of the applications: that of the node, or one for each of its cameras."""
    if options.cameras == 1:
        return [APPLICATION]
    return [f'{APPLICATION}/{name}' for name in _names(options)]


def _names(options: Options) -> list[str]:
    return [f'camera_{number}' for number in range(1, options.cameras + 1)]


def _streams(options: Options) -> list[str]:
    """Return arguments by which the inference node serves several cameras, of one topic."""
    if options.cameras == 1:
        return []
    arguments = ['-p', f'cameras:=[{",".join(_names(options))}]']
    for name in _names(options):
        for topic in ('image', 'image/compressed'):
            arguments += ['-r', f'{name}/{topic}:=/{topic}']
    return arguments


def start(group: ProcessGroup, executables: Path, options: Options) -> None:
    """
    Start the four nodes.

    :raises ProcessError: when one cannot be started
    """
    arguments: dict[str, dict[str, str]] = {
        PLATFORM: {'platform': options.platform, 'manager_namespace': NAMESPACE},
        MANAGER: {'manager_namespace': NAMESPACE},
        APPLICATION: {'manager_namespace': NAMESPACE, 'image_transport': options.transport},
        CAMERA: {
            'source': options.source,
            'path': options.path,
            'rate': f'{options.rate:.6f}',
            'transport': options.transport,
        },
    }
    if options.bundle:
        arguments[APPLICATION]['bundle'] = options.bundle
    for name in NODES:
        namespace, node = name.rsplit('/', 1)
        group.start(
            node,
            [
                str(executables / node),
                '--ros-args',
                *('-r', f'__ns:={namespace or "/"}'),
                *_parameters(arguments[name]),
                *(_streams(options) if name == APPLICATION else ()),
            ],
        )


def _parameters(values: dict[str, str]) -> list[str]:
    """Return parameters for the command line; text in quotes, so that YAML keeps it text."""
    arguments = []
    for name, value in values.items():
        shown = value if name == 'rate' else "'" + value.replace("'", "''") + "'"
        arguments += ['-p', f'{name}:={shown}']
    return arguments


def wait_until_active(
    group: ProcessGroup, observer: Observer, executor: SingleThreadedExecutor
) -> None:
    """
    Wait until all nodes are active, serve, and are managed.

    :raises DemoError: when that takes too long, or one says what keeps it
    :raises ProcessError: when one ends
    """
    deadline = time.monotonic() + START_TIMEOUT
    next_question = 0.0
    errors_since: dict[str, float] = {}
    while True:
        spin_once(executor)
        group.check()
        now = time.monotonic()
        waiting = [name for name in NODES if name not in observer.active]
        for name in waiting:
            if name not in observer.errors:
                continue
            if now - errors_since.setdefault(name, now) > ERROR_PATIENCE:
                raise DemoError(f'{name} did not start. {observer.errors[name]}')
        if not waiting and observer.has_operating_points and observer.serves:
            if observer.heard and observer.run.loads:
                return
        if now > deadline:
            raise DemoError(_why_not_started(group, observer, waiting))
        if now >= next_question:
            next_question = now + 0.3
            for name in waiting:
                observer.ask_state(name)


def _why_not_started(group: ProcessGroup, observer: Observer, waiting: list[str]) -> str:
    if waiting:
        tails = '\n'.join(
            f'-- the end of the log of {name}:\n{group.tail(name.rsplit("/", 1)[1])}'
            for name in waiting
        )
        return f'{", ".join(waiting)} did not become active in {START_TIMEOUT:g} s.\n{tails}'
    missing = [
        text
        for there, text in (
            (observer.has_operating_points, 'the application presented no operating points'),
            (observer.serves, 'no frame was served'),
            (observer.heard, 'the manager does not listen to targets'),
            (observer.run.loads, 'the platform node published no load'),
        )
        if not there
    ]
    return (
        f'all nodes are active, but within {START_TIMEOUT:g} s {" and ".join(missing)}.\n'
        f'-- the end of the log of {APPLICATION}:\n{group.tail("inference_node")}'
    )
