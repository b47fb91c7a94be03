# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bad messages, straight into the callbacks of nodes: none is a surprise, each is counted."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message

from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from dynamic_dnn_ros.nodes.manager.node import ManagerNode
from dynamic_dnn_ros.nodes.platform.node import PlatformNode
from support.graph import Graph

NAMES = ('/front/inference_node', '/rear/inference_node', 's0', 's1', 'gpu', 'cpu', 'memory')
NUMBER = 400


@pytest.mark.parametrize('kind', [ManagerNode, PlatformNode])
def test_no_message_is_a_surprise(
    kind: type[ManagedNode], graph: Graph, program: Callable[[str], ModuleType]
) -> None:
    overrides = [Parameter('autostart', value=False)]
    if kind is PlatformNode:
        overrides.append(Parameter('platform', value='xavier_nx_simulated'))
    node = kind(context=graph.context, parameter_overrides=overrides)
    node.trigger_configure()
    node.trigger_activate()
    maker = program('messages').MessageMaker(3, NAMES)
    subscriptions = [s for s in node.subscriptions if s.topic_name.startswith('/dynamic_dnn/')]
    assert len(subscriptions) >= 3
    for number in range(NUMBER):
        subscription = subscriptions[number % len(subscriptions)]
        if number % 3:
            data = bytes(serialize_message(maker.message(subscription.msg_type)))
        else:
            data = maker.bytes(subscription.msg_type)
        subscription.callback(data)
        if isinstance(node, ManagerNode) and number % 20 == 0:
            node._listening_until = 0.0
            node._decide()
    values = node.message_counts.diagnostic().values
    counts = {key: int(str(count)) for key, count in values.items()}
    received = sum(count for key, count in counts.items() if key.endswith(': received'))
    assert received == NUMBER
    assert sum(count for key, count in counts.items() if key.endswith(': unreadable')) > 30
    assert not [key for key in counts if key.endswith(': failure')]
    node.stop()
    node.destroy_node()
