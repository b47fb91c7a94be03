# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes into each decision of the manager, in the order in which it is taken, as a message."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from enum import IntEnum
import json
from typing import Any, NamedTuple

from dynamic_dnn_ros.msg import ManagerInputs


class InputKind(IntEnum):
    """Of what type a message is; the values are those of `ManagerInputs.msg`."""

    APPLICATION = ManagerInputs.KIND_APPLICATION
    INFERENCE_STATUS = ManagerInputs.KIND_INFERENCE_STATUS
    PERFORMANCE_TARGET = ManagerInputs.KIND_PERFORMANCE_TARGET
    SYSTEM_LOAD = ManagerInputs.KIND_SYSTEM_LOAD


class Input(NamedTuple):
    """
    One message that the manager took.

    `time` s on its monotonic clock, `arrival` ns on the clock of its node, `data` serialised.
    """

    kind: InputKind
    time: float
    arrival: int
    data: bytes


class InputLog:
    """Keeps what is taken until the decision that it goes into."""

    def __init__(self, instance: str, parameters: Mapping[str, Any]) -> None:
        """Begin with nothing, for a manager that begins with nothing."""
        self._instance = instance
        self._parameters = json.dumps(dict(parameters))
        self._inputs: list[Input] = []

    def add(self, taken: Input) -> None:
        """Append a message."""
        self._inputs.append(taken)

    def message(self, decisions: int, time: float) -> ManagerInputs:
        """
        Return what was taken since the last call, without a stamp.

        :param decisions: number of the decision
        :param time: when it was made, s on the monotonic clock of the manager
        """
        inputs, self._inputs = self._inputs, []
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
