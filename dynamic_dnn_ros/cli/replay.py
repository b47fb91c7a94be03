# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn replay`: a recorded run again, under the same manager or another one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import math
from pathlib import Path
import statistics
import sys
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.management.decisions import PlatformState
from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.targets import TargetError
from dynamic_dnn_ros.nodes.management_messages import (
    application_of,
    load_of,
    status_of,
    target_of,
)
from dynamic_dnn_ros.nodes.message_values import nanoseconds
from dynamic_dnn_ros.simulation.contract import Decider
from dynamic_dnn_ros.simulation.replay import (
    Clearing,
    Comparison,
    Entry,
    RecordedDecision,
    Recording,
    Refusal,
    Told,
    WhatIf,
    decide_again,
    what_if,
)
from dynamic_dnn_ros.simulation.runner import MANAGERS, OURS

PACKAGE = 'dynamic_dnn_ros'
SAME = 'same'
TYPES = ('Application', 'InferenceStatus', 'PerformanceTarget', 'SystemLoad', 'ManagerStatus')

CLEAR = 1
"""`PerformanceTarget.ACTION_CLEAR`."""


class ReplayError(ValueError):
    """A recording that cannot be replayed: what, why, and the remedy."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('bag', metavar='BAG', type=Path, help='folder of the recording')
    parser.add_argument(
        '--manager',
        default=SAME,
        help=f'"{SAME}": tell the manager what the recorded one was told, and compare decisions; '
        f'otherwise simulate the run under one of: {", ".join(MANAGERS)}; default: %(default)s',
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    try:
        if arguments.manager != SAME and arguments.manager not in MANAGERS:
            raise ReplayError(
                f'manager {arguments.manager!r} is unknown. Choose of: '
                f'{", ".join((SAME, *MANAGERS))}'
            )
        recording = read(arguments.bag)
        if arguments.manager == SAME:
            text = compared(recording)
        else:
            manager: Decider = MANAGERS[arguments.manager]()
            text = answer(what_if(recording, manager), arguments.manager)
    except ValueError as error:
        print(f'dynamic-dnn replay: {arguments.bag}: {error}', file=sys.stderr)
        return 1
    print(text)
    return 0


def read(path: Path) -> Recording:
    """
    Read what a manager was told, and what it decided, from a bag.

    Topics are known by their types, so a namespace of the recording does not matter.

    :raises ReplayError: when it is no bag, or has nothing of this package
    """
    try:
        entries = list(_entries(path))
    except (AnyReaderError, OSError, KeyError) as error:
        raise ReplayError(
            f'cannot be read ({error}). Give the folder that `ros2 bag record` wrote'
        ) from error
    if not entries:
        raise ReplayError(
            'has no messages of this package. Record /dynamic_dnn/application, inference_status, '
            'performance_target, system_load and manager_status'
        )
    return Recording(tuple(entries))


def _entries(path: Path) -> Iterator[Entry]:
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for file in sorted((share_folder() / 'msg').glob('*.msg')):
        types.update(get_types_from_msg(file.read_text(), f'{PACKAGE}/msg/{file.stem}'))
    store.register(types)
    wanted = {f'{PACKAGE}/msg/{name}': name for name in TYPES}
    first = None
    with AnyReader([path], default_typestore=store) as reader:
        connections = [c for c in reader.connections if c.msgtype in wanted]
        if not connections:
            return  # An empty list would mean all to rosbags.
        for connection, arrival, data in reader.messages(connections=connections):
            told = _told(
                wanted[connection.msgtype], store.deserialize_cdr(data, connection.msgtype)
            )
            if told is not None:
                first = arrival if first is None else first
                yield Entry((arrival - first) * 1e-9, arrival, told)


def _told(kind: str, message: Any) -> Told | None:
    """Return what a message says; none where the manager node would ignore it."""
    if kind == 'PerformanceTarget':
        try:
            if message.action == CLEAR:
                stamp = nanoseconds(message.header.stamp)
                return Clearing(message.application, stamp, message.sender)
            return target_of(message)
        except TargetError as error:
            return Refusal(message.application, message.sender, error)
    if kind == 'ManagerStatus':
        return RecordedDecision(
            message.instance,
            tuple(
                (row.application, row.decision.sub_network, row.decision.processor)
                for row in message.targets
            ),
            tuple((row.name, round(row.maximum / 1e3)) for row in message.domains),
            PlatformState(message.platform_state),
        )
    try:
        if kind == 'Application':
            return application_of(message)[0]
        return status_of(message) if kind == 'InferenceStatus' else load_of(message)
    except ValueError:
        return None


def again(recording: Recording) -> list[tuple[str, Comparison]]:
    """
    Return, for each manager that decided in a recording, how its decisions compare.

    :raises ReplayError: when none did
    """
    managers = recording.managers()
    if not managers:
        raise ReplayError('has no manager_status, so there are no decisions to compare with')
    return [(name, decide_again(recording, Manager(name))) for name in managers]


def compared(recording: Recording) -> str:
    """Return how decisions made again compare with the recorded ones, as text."""
    lines = []
    for name, found in again(recording):
        same = found.decisions - found.unlike - len(found.differences)
        lines.append(f'manager {name}: {same} of {found.decisions} decisions are the same')
        if found.unlike:
            lines.append(
                f'  {found.unlike} cannot be compared: the load reached it later than the recorder'
            )
        for time, recorded, made in found.differences[:3]:
            lines.append(f'  at {time:.3f} s: recorded {recorded.options} {recorded.frequencies}')
            lines.append(f'             made again {made.options} {made.frequencies}')
    return '\n'.join(lines)


def answer(found: WhatIf, manager: str) -> str:
    """Return what would have been, as a table of Markdown."""
    lines = [
        f'what if {manager if manager != OURS else "the manager of this release"} had managed '
        'this run: simulated from its profiles, recorded slow-downs and loads',
        '',
        '| application | | frames | late | p95 [ms] | accuracy |',
        '| --- ' * 6 + '|',
    ]
    for name in found.recorded:
        for label, frames in (
            ('recorded', found.recorded[name]),
            ('simulated', found.simulated[name]),
        ):
            latencies = [latency for latency, _, _ in frames]
            asked = [latency > limit for latency, limit, _ in frames if limit > 0]
            p95 = float(np.quantile(latencies, 0.95)) * 1e3 if frames else math.nan
            accuracy = statistics.fmean(a for _, _, a in frames) if frames else math.nan
            late = f'{statistics.fmean(asked):.1%}' if asked else 'no limit'
            lines.append(
                f'| {name} | {label} | {len(frames)} | {late} | {p95:.1f} | {accuracy:.1%} |'
            )
    energy = 'not known' if math.isnan(found.energy) else f'{found.energy:.1f} J, simulated'
    lines += [
        '',
        f'energy of the whole board: {energy}; {found.switches} switches, {found.settings} '
        'settings of the clocks',
    ]
    return '\n'.join(lines)
