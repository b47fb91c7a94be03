# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes into a decision, as a message and back."""

from __future__ import annotations

import json

from rclpy.serialization import deserialize_message, serialize_message

from dynamic_dnn_ros.msg import ManagerInputs, PerformanceTarget, SystemLoad
from dynamic_dnn_ros.nodes.manager_inputs import Input, InputKind, InputLog, inputs_of


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
