# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes into each decision of the manager, in the order in which it is taken, as a message."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Mapping
from enum import IntEnum
import json
from typing import Any, NamedTuple

from rclpy.serialization import serialize_message

from dynamic_dnn_ros.management.observations import points_digest
from dynamic_dnn_ros.msg import Application, ManagerInputs, OperatingPoints

REFERENCE = 'digest:'
"""What the platform of operating points begins with that only name the ones they stand for."""


class InputKind(IntEnum):
    """Of what type a message is; the values are those of `ManagerInputs.msg`."""

    APPLICATION = ManagerInputs.KIND_APPLICATION
    INFERENCE_STATUS = ManagerInputs.KIND_INFERENCE_STATUS
    PERFORMANCE_TARGET = ManagerInputs.KIND_PERFORMANCE_TARGET
    SYSTEM_LOAD = ManagerInputs.KIND_SYSTEM_LOAD


class Input(NamedTuple):
    """
    One message that the manager took.

    `time` s on its monotonic clock, `arrival` ns on the clock of its node, `data` serialised; of
    an application `abridged`.
    """

    kind: InputKind
    time: float
    arrival: int
    data: bytes


MOST_BYTES = 250_000
"""
Of the messages that went into one decision: 16 cameras at 60 Hz send less in half a second.

The middleware keeps the last eight decisions for those who come late, so the node's memory may
grow by eight times that.
"""


class InputLog:
    """
    Keeps what is taken until the decision that it goes into.

    Where no decision comes, or too much, the oldest is forgotten: a replay cannot make that
    decision again.
    """

    def __init__(self, instance: str, parameters: Mapping[str, Any]) -> None:
        """Begin with nothing, for a manager that begins with nothing."""
        self._instance = instance
        self._inputs: deque[Input] = deque()
        self._size = 0
        self.adjust(parameters)

    def adjust(self, parameters: Mapping[str, Any]) -> None:
        """Take note of other parameters, by which the next decision is made."""
        self._parameters = json.dumps(dict(parameters))

    def add(self, taken: Input) -> None:
        """Append a message."""
        self._inputs.append(taken)
        self._size += len(taken.data)
        while self._size > MOST_BYTES:
            self._size -= len(self._inputs.popleft().data)

    def message(self, decisions: int, time: float) -> ManagerInputs:
        """
        Return what was taken since the last call, without a stamp.

        :param decisions: number of the decision
        :param time: when it was made, s on the monotonic clock of the manager
        """
        inputs, self._inputs, self._size = self._inputs, deque(), 0
        return ManagerInputs(
            instance=self._instance,
            parameters=self._parameters,
            decisions=decisions,
            time=time,
            kinds=array('B', [one.kind for one in inputs]),
            times=array('d', [one.time for one in inputs]),
            arrivals=array('q', [one.arrival for one in inputs]),
            sizes=array('I', [len(one.data) for one in inputs]),
            messages=array('B', b''.join(one.data for one in inputs)),
        )


def inputs_of(message: Any) -> Iterator[Input]:
    """
    Iterate over the messages that went into a decision.

    :param message: a `ManagerInputs` of rclpy, or one that was read from a bag
    """
    messages = bytes(message.messages)
    start = 0
    for kind, time, arrival, size in zip(
        message.kinds, message.times, message.arrivals, message.sizes
    ):
        end = start + int(size)
        yield Input(InputKind(kind), float(time), int(arrival), messages[start:end])
        start = end


def abridged(message: Application) -> bytes:
    """
    Return a presentation, serialised, that names its operating points instead of holding them.

    They are megabytes, stay the same from one presentation to the next, and are in a recording
    already, with the presentation itself.
    """
    points = message.operating_points
    if not len(points.sub_network):
        return bytes(serialize_message(message))
    message.operating_points = OperatingPoints(platform=REFERENCE + points_digest(points))
    try:
        return bytes(serialize_message(message))
    finally:
        message.operating_points = points


def reference(points: Any) -> str | None:
    """
    Return the digest of the operating points that these stand for; none where they are given.

    :param points: an `OperatingPoints` of rclpy, or one that was read from a bag
    """
    if len(points.sub_network) or not points.platform.startswith(REFERENCE):
        return None
    return str(points.platform[len(REFERENCE) :])
