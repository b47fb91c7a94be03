# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn replay`: a recorded run again, under the same manager or another one."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable
import json
import math
from pathlib import Path
import statistics
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.serde import SerdeError

from dynamic_dnn_ros.cli.bag_reading import BagError, message_store, raw_messages
from dynamic_dnn_ros.files import PACKAGE
from dynamic_dnn_ros.management.observations import points_digest
from dynamic_dnn_ros.management.registry import MANAGER, create_decider, decider_names
from dynamic_dnn_ros.management.targets import TargetError
from dynamic_dnn_ros.msg import Application as ApplicationMessage
from dynamic_dnn_ros.msg import PerformanceTarget
from dynamic_dnn_ros.nodes.common.message_values import nanoseconds
from dynamic_dnn_ros.nodes.manager.inputs import InputKind, inputs_of, reference
from dynamic_dnn_ros.nodes.manager.messages import (
    application_of,
    load_of,
    status_of,
    target_of,
)
from dynamic_dnn_ros.nodes.manager.parameters import manager_settings
from dynamic_dnn_ros.simulation.replay import (
    Clearing,
    Entry,
    Question,
    RecordedDecision,
    Recording,
    Refusal,
    Round,
    Session,
    Told,
    WhatIf,
    decide_again,
    what_if,
)
from dynamic_dnn_ros.simulation.runner import OURS

SAME = 'same'
TOLD = {
    'Application': InputKind.APPLICATION,
    'InferenceStatus': InputKind.INFERENCE_STATUS,
    'PerformanceTarget': InputKind.PERFORMANCE_TARGET,
    'SystemLoad': InputKind.SYSTEM_LOAD,
}
_NAMES = {kind: name for name, kind in TOLD.items()}
TYPES = (*TOLD, 'ManagerStatus', 'ManagerInputs')
CLEAR, ASK = PerformanceTarget.ACTION_CLEAR, PerformanceTarget.ACTION_ASK


class ReplayError(ValueError):
    """A recording that cannot be replayed: what, why, and the remedy."""


ERRORS = (ReplayError,)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('bag', metavar='BAG', type=Path, help='folder of the recording')
    parser.add_argument(
        '--manager',
        default=SAME,
        help=f'"{SAME}": tell the manager what the recorded one was told, and compare decisions; '
        f'otherwise simulate the run under one of: {", ".join(decider_names())}; '
        'default: %(default)s',
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    try:
        if arguments.manager != SAME and arguments.manager not in decider_names():
            raise ReplayError(
                f'manager {arguments.manager!r} is unknown. Choose of: '
                f'{", ".join((SAME, *decider_names()))}'
            )
        recording = read(arguments.bag)
        if arguments.manager == SAME:
            text = compared(recording)
        else:
            manager = create_decider(arguments.manager, 'simulated')
            text = answer(what_if(recording, manager), arguments.manager)
    except ValueError as error:
        raise ReplayError(f'{arguments.bag}: {error}') from error
    print(text)
    return 0


def read(path: Path) -> Recording:
    """
    Read what a manager was told, and what it decided, from a bag.

    Topics are known by their types, so a namespace of the recording does not matter.

    :raises ReplayError: when it is no bag, or has nothing of this package
    """
    bag = _Bag()
    try:
        bag.read(path)
    except SerdeError as error:
        raise _of_another_version(error) from error
    except BagError as error:
        raise ReplayError(str(error)) from error
    if not bag.entries and not bag.inputs:
        raise ReplayError(
            'has no messages of this package. Record /dynamic_dnn/application, inference_status, '
            'performance_target, system_load, manager_status and manager_inputs'
        )
    try:
        sessions = bag.sessions()
    except (SerdeError, KeyError, ValueError) as error:
        raise _of_another_version(error) from error
    return Recording(tuple(bag.entries), sessions)


def _of_another_version(error: Exception) -> ReplayError:
    return ReplayError(
        f'has messages of another version of this package ({error}). Replay it with the version '
        'that it was recorded with'
    )


class _Bag:
    """What a bag holds of this package."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.entries: list[Entry] = []
        self.inputs: list[Any] = []
        self._decisions: dict[tuple[str, int], deque[RecordedDecision]] = {}
        self._points: dict[str, Any] = {}
        self._store = message_store()

    def read(self, path: Path) -> None:
        """Read all messages, in the order in which they were recorded."""
        first = None
        for _, name, arrival, data in raw_messages(path, TYPES, self._store):
            if name in TOLD:
                first = arrival if first is None else first
                self._tell(self.entries, TOLD[name], (arrival - first) * 1e-9, arrival, data)
                continue
            message: Any = self._store.deserialize_cdr(data, f'{PACKAGE}/msg/{name}')
            if name == 'ManagerInputs':
                self.inputs.append(message)
            else:
                key = message.instance, int(message.decisions)
                self._decisions.setdefault(key, deque()).append(_decision(message))

    def sessions(self) -> tuple[Session, ...]:
        """Return what each manager was told and decided; one begins where decisions are 1."""
        found: dict[str, list[tuple[dict[str, Any], list[Round]]]] = {}
        last: dict[str, dict[str, Any]] = {}
        for message in self.inputs:
            entries: list[Entry] = []
            known = [
                self._tell(entries, kind, time, arrival, data)
                for kind, time, arrival, data in inputs_of(message)
            ]
            number = int(message.decisions)
            of_manager = found.setdefault(message.instance, [])
            values, adjusted = json.loads(message.parameters), None
            if number == 1 or not of_manager:
                of_manager.append((values, []))
            elif values != last.get(message.instance):
                adjusted = manager_settings(values)
            if not all(known):
                continue  # What went into it is not in the recording.
            last[message.instance] = values
            decided = self._decisions.get((message.instance, number))
            of_manager[-1][1].append(
                Round(
                    number,
                    float(message.time),
                    tuple(entries),
                    decided.popleft() if decided else None,
                    adjusted,
                )
            )
        return tuple(
            Session(
                instance, manager_settings(values), tuple(rounds), values.get('decider', MANAGER)
            )
            for instance, of_manager in found.items()
            for values, rounds in of_manager
        )

    def _tell(
        self, entries: list[Entry], kind: InputKind, time: float, arrival: int, data: bytes
    ) -> bool:
        """
        Append what a message says; nothing where the manager node ignores it.

        :return: whether all that it says is in the recording
        """
        message: Any
        try:
            message = self._store.deserialize_cdr(data, f'{PACKAGE}/msg/{_NAMES[kind]}')
        except SerdeError:
            if kind is not InputKind.APPLICATION:
                raise
            message = _presentation(bytes(data))
        if kind is InputKind.APPLICATION:
            meant = reference(message.operating_points)
            if meant is None:
                self._points[points_digest(message.operating_points)] = message.operating_points
            elif meant in self._points:
                message.operating_points = self._points[meant]
            else:
                return False
        told = _CONVERSIONS[kind](message)
        if told is not None:
            entries.append(Entry(time, arrival, told))
        return True


def _presentation(data: bytes) -> ApplicationMessage:
    """
    Return what an application said of itself.

    For what rclpy itself has serialised: where operating points are empty it may be longer than
    what came over DDS, and than what rosbags takes.

    :raises SerdeError: when it is of another version
    """
    try:
        message = deserialize_message(data, ApplicationMessage)
        same = len(serialize_message(message)) == len(data)
    except Exception as error:  # Each middleware has its own.
        raise SerdeError(f'an Application is not readable: {error}') from error
    if not same:
        raise SerdeError('an Application has another size')
    return message


def _target(message: Any) -> Told:
    try:
        if message.action == CLEAR:
            return Clearing(message.application, nanoseconds(message.header.stamp), message.sender)
        if message.action == ASK:
            return Question(target_of(message))
        return target_of(message)
    except TargetError as error:
        return Refusal(message.application, message.sender, error)


def _or_none(convert: Callable[[Any], Told]) -> Callable[[Any], Told | None]:
    def converted(message: Any) -> Told | None:
        try:
            return convert(message)
        except ValueError:
            return None

    return converted


_CONVERSIONS: dict[InputKind, Callable[[Any], Told | None]] = {
    InputKind.APPLICATION: _or_none(lambda message: application_of(message)[0]),
    InputKind.INFERENCE_STATUS: _or_none(status_of),
    InputKind.PERFORMANCE_TARGET: _target,
    InputKind.SYSTEM_LOAD: _or_none(load_of),
}


def _decision(message: Any) -> RecordedDecision:
    return RecordedDecision(
        tuple(
            (row.application, row.decision.sub_network, row.decision.processor)
            for row in message.targets
        ),
        tuple((row.name, round(row.maximum / 1e3)) for row in message.domains),
    )


def compared(recording: Recording) -> str:
    """
    Return how decisions made again compare with the recorded ones, as text.

    :raises ReplayError: when the recording does not say what went into them
    """
    if not recording.sessions:
        raise ReplayError(
            'has no manager_inputs, so what went into each decision is not known. Record '
            '/dynamic_dnn/manager_inputs and manager_status too, or ask for another manager'
        )
    lines = []
    for session in recording.sessions:
        found = decide_again(session)
        same = found.decisions - len(found.differences)
        lines.append(
            f'manager {session.instance}: {same} of {found.decisions} decisions are the same'
        )
        if session.missing:
            lines.append(
                f'  {session.missing} of its decisions are not in the recording, so what it '
                'learnt from them is missing here. Begin to record before the manager starts, and '
                'record /dynamic_dnn/application too'
            )
        for number, recorded, made in found.differences[:3]:
            lines.append(f'  {number}: recorded   {recorded.options} {recorded.frequencies}')
            lines.append(f'  {number}: made again {made.options} {made.frequencies}')
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
