# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
import subprocess
import sys
import time

import pytest
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from dynamic_dnn_ros.nodes.common import false_arrivals
from dynamic_dnn_ros.nodes.common.false_arrivals import take_what_waits
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from support.domain import isolated_environment
from support.graph import LATCHED, RELIABLE, Graph

TOPIC = '/hurt'

_PUBLISHER = f"""
import time
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

rclpy.init()
node = rclpy.create_node('publisher')
latched = QoSProfile(depth=8, durability=DurabilityPolicy.TRANSIENT_LOCAL)
publisher = node.create_publisher(String, {TOPIC!r}, latched)
while not publisher.get_subscription_count():
    time.sleep(0.05)
for message in (String(), b'', String()):
    publisher.publish(message)
print('sent', flush=True)
time.sleep(100.0)
"""


class CountingExecutor(SingleThreadedExecutor):
    """Counts how often it looks what there is to do."""

    def __init__(self, context: Context) -> None:
        super().__init__(context=context)
        self._looks = 0

    def can_execute(self, entity: object) -> bool:
        self._looks += 1
        return super().can_execute(entity)

    def looks(self) -> int:
        """Return how often it looks in ten waits of 0.1 s, after all that came is done."""
        for _ in range(10):
            self.spin_once(timeout_sec=0.1)
        self._looks = 0
        for _ in range(10):
            self.spin_once(timeout_sec=0.1)
        return self._looks


@contextmanager
def hurting_publisher(domain_id: int) -> Iterator[None]:
    """Publish a message of no bytes between two others from another process."""
    environment = {**os.environ, **isolated_environment(domain_id)}
    with subprocess.Popen(
        [sys.executable, '-c', _PUBLISHER], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == 'sent\n'
            yield
        finally:
            process.kill()


def test_an_executor_waits_again_after_a_message_of_no_bytes(graph: Graph) -> None:
    node = Node('hurt', context=graph.context)
    executor = CountingExecutor(graph.context)
    executor.add_node(node)
    try:
        node.create_subscription(String, TOPIC, lambda data: None, LATCHED, raw=True)
        usual = executor.looks()
        for _ in range(5):  # each with a publisher of its own: the next one is heard
            with hurting_publisher(graph.domain_id):
                if executor.looks() > 10 * usual:
                    break
        else:
            pytest.skip('this middleware announces nothing where nothing is')
        assert executor.looks() > 10 * usual, 'it lasts'
        take_what_waits(node)
        assert executor.looks() < 3 * usual
    finally:
        executor.shutdown()
        node.destroy_node()


@pytest.mark.parametrize('raw', [False, True])
def test_what_waits_is_handed_to_its_callback_once(graph: Graph, raw: bool) -> None:
    node = Node('taking', context=graph.context)  # nothing spins it
    try:
        taken: list[String | bytes] = []
        node.create_subscription(String, '/topic', taken.append, RELIABLE, raw=raw)
        publisher = graph.node.create_publisher(String, '/topic', RELIABLE)
        graph.spin_until(publisher.get_subscription_count)
        sent = [String(data=str(number)) for number in range(3)]
        for message in sent:
            publisher.publish(message)
        deadline = time.monotonic() + 10.0
        while len(taken) < 3 and time.monotonic() < deadline:
            take_what_waits(node)
        take_what_waits(node)
        assert taken == ([serialize_message(message) for message in sent] if raw else sent)
    finally:
        node.destroy_node()


def test_a_callback_may_destroy_the_next_subscription(graph: Graph) -> None:
    node = Node('destroying', context=graph.context)
    try:
        calls: list[str] = []

        def first(message: String) -> None:
            calls.append('first')
            node.destroy_subscription(second)

        node.create_subscription(String, '/first', first, LATCHED)
        second = node.create_subscription(
            String, '/second', lambda message: calls.append('second'), LATCHED
        )
        publisher = graph.node.create_publisher(String, '/first', LATCHED)
        graph.spin_until(publisher.get_subscription_count)
        publisher.publish(String())
        deadline = time.monotonic() + 10.0
        while not calls and time.monotonic() < deadline:
            take_what_waits(node)
        assert calls == ['first']
    finally:
        node.destroy_node()


def test_managed_nodes_do_so_by_themselves(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes: list[Node] = []
    monkeypatch.setattr(false_arrivals, 'take_what_waits', nodes.append)
    node = graph.add_node(ManagedNode('managed', context=graph.context))
    graph.spin_until(lambda: len(nodes) >= 2, timeout=10.0)
    assert set(nodes) == {node}
