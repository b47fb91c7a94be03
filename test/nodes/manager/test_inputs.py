# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes into a decision, as a message and back."""

from __future__ import annotations

from array import array
import json
from typing import Any

import pytest
from rclpy.serialization import deserialize_message, serialize_message

from dynamic_dnn_ros.management.observations import points_digest
from dynamic_dnn_ros.msg import (
    Application,
    ManagerInputs,
    OperatingPoints,
    PerformanceTarget,
    SystemLoad,
)
from dynamic_dnn_ros.nodes.manager import inputs
from dynamic_dnn_ros.nodes.manager.inputs import (
    Input,
    InputKind,
    InputLog,
    abridged,
    inputs_of,
    reference,
)
from dynamic_dnn_ros.nodes.manager.messages import application_of
from support.presentation import presentation


def test_messages_come_back_in_order_and_each_goes_into_one_decision() -> None:
    log = InputLog('one', {'mode': 'control', 'dwell': 2.0})
    target = PerformanceTarget(application='/front/inference_node', latency=0.03)
    taken = [
        Input(InputKind.SYSTEM_LOAD, 1.1, 2**62, serialize_message(SystemLoad(period=0.1))),
        Input(InputKind.PERFORMANCE_TARGET, 1.2, -1, serialize_message(target)),
    ]
    for one in taken:
        log.add(one)
    sent = serialize_message(log.message(7, 1.5))

    message = deserialize_message(sent, ManagerInputs)
    assert list(inputs_of(message)) == taken
    assert (message.instance, message.decisions, message.time) == ('one', 7, 1.5)
    assert json.loads(message.parameters) == {'mode': 'control', 'dwell': 2.0}
    again = [one.data for one in inputs_of(message)]
    assert deserialize_message(again[1], PerformanceTarget) == target
    assert list(inputs_of(log.message(8, 2.0))) == []


def test_what_no_decision_takes_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, 'MOST_BYTES', 1000)
    log = InputLog('one', {})
    for number in range(100):
        log.add(Input(InputKind.INFERENCE_STATUS, float(number), 0, bytes(100)))
    kept = [one.time for one in inputs_of(log.message(1, 100.0))]
    assert kept == [float(number) for number in range(90, 100)]
    log.add(Input(InputKind.INFERENCE_STATUS, 0.0, 0, bytes(1000)))
    assert len(list(inputs_of(log.message(2, 101.0)))) == 1


def test_a_presentation_is_kept_without_its_operating_points_but_names_them() -> None:
    message = presentation(1000)
    data = abridged(message)
    assert message == presentation(1000), 'the message itself stays as it was'
    kept = deserialize_message(data, Application)
    assert len(data) < len(serialize_message(message)) - 64 * 1000
    assert reference(kept.operating_points) == points_digest(message.operating_points)
    assert reference(message.operating_points) is None
    kept.operating_points = message.operating_points
    assert kept == message


def test_a_presentation_without_operating_points_is_kept_whole() -> None:
    message = presentation(0)
    data = abridged(message)
    assert deserialize_message(data, Application) == message
    assert reference(message.operating_points) is None


def test_the_values_of_a_message_have_its_digest() -> None:
    message = presentation()
    application, problem = application_of(message)
    assert not problem
    assert points_digest(application.operating_points) == points_digest(message.operating_points)


@pytest.mark.parametrize('name', OperatingPoints.get_fields_and_field_types())
def test_operating_points_that_differ_in_anything_have_another_digest(name: str) -> None:
    points = presentation().operating_points
    before = points_digest(points)
    value: Any = getattr(points, name)
    if isinstance(value, array):
        value[1] += type(value[1])(1)
    elif isinstance(value, list):
        value[0] += 'x'
    else:
        setattr(points, name, not value if isinstance(value, bool) else value * 2)
    assert points_digest(points) != before
