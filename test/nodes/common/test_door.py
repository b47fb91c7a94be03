# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages whose size or bytes are not what they should be."""

from __future__ import annotations

import pytest
from rclpy.serialization import serialize_message

from dynamic_dnn_ros.msg import Application, InferenceStatus, PerformanceTarget, SystemLoad
from dynamic_dnn_ros.nodes.common.door import LARGEST_MESSAGE, UnreadableError, decoded
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from support.graph import Graph


def test_a_message_is_what_was_sent() -> None:
    message = PerformanceTarget(application='/front', latency=0.03)
    assert decoded(serialize_message(message), PerformanceTarget) == message


def test_a_message_beyond_its_bound_is_refused_by_name() -> None:
    data = serialize_message(PerformanceTarget(sender='x' * LARGEST_MESSAGE))
    with pytest.raises(UnreadableError, match=r'A PerformanceTarget of \d+ bytes is left out'):
        decoded(data, PerformanceTarget)
    decoded(serialize_message(Application(bundle='x' * LARGEST_MESSAGE)), Application)


@pytest.mark.parametrize('message_type', [SystemLoad, InferenceStatus, PerformanceTarget])
@pytest.mark.parametrize('data', [b'', b'\x00', b'\x00\x01\x00\x00' + b'\xff' * 40])
def test_bytes_that_are_no_message_are_refused_by_name(message_type: type, data: bytes) -> None:
    with pytest.raises(UnreadableError, match='cannot be decoded'):
        decoded(data, message_type)


def test_what_cannot_be_read_is_said_once_and_counted(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    node = graph.add_node(ManagedNode('listener', context=graph.context))
    heard: list[PerformanceTarget] = []
    publisher = graph.publisher(PerformanceTarget, '/topic')
    node.listen(PerformanceTarget, '/topic', heard.append, 10)
    graph.wait_for_subscriptions(publisher)
    for _ in range(3):
        publisher.publish(PerformanceTarget(sender='x' * LARGEST_MESSAGE))
    publisher.publish(PerformanceTarget(sender='last'))
    graph.spin_until(lambda: heard, 10.0, 'the last one')
    assert [message.sender for message in heard] == ['last']
    assert capfd.readouterr().err.count('is left out') == 1
    assert next(iter(node._complaints.values()))[1] == 2
    node.destroy_owned()
