# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The test's own side of a ROS graph: a context, a node, an executor, and what they collect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import threading
import time
from typing import Any, Generic, TypeVar

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

MessageT = TypeVar('MessageT')
ResultT = TypeVar('ResultT')

RELIABLE = QoSProfile(depth=2000, reliability=QoSReliabilityPolicy.RELIABLE)
"""Volatile, deep enough to lose nothing in a test."""
LATCHED = QoSProfile(
    depth=1,
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
)
"""Reliable, transient local, keep last 1: a state that late joiners get."""
ALL_LATCHED = QoSProfile(
    depth=RELIABLE.depth, reliability=LATCHED.reliability, durability=LATCHED.durability
)
"""The same with each message kept until it is read: two writers at once take two places."""
BEST_EFFORT = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
"""Sensor data."""

DISCOVERY_TIMEOUT = 20.0
"""Seconds within which two processes must have found each other, on a busy machine too."""


class Collector(Generic[MessageT]):
    """Keeps every message of one topic, in order."""

    def __init__(self, graph: Graph, topic: str) -> None:
        self.graph = graph
        self.topic = topic
        self.messages: list[MessageT] = []
        self.arrived: list[float] = []

    def _add(self, message: MessageT) -> None:
        self.arrived.append(time.monotonic())
        self.messages.append(message)

    def __len__(self) -> int:
        """Return how many messages have come."""
        return len(self.messages)

    def __iter__(self) -> Iterator[MessageT]:
        """Iterate over the messages that have come so far."""
        return iter(list(self.messages))

    @property
    def last(self) -> MessageT | None:
        """The newest message; None before the first."""
        return self.messages[-1] if self.messages else None

    def clear(self) -> None:
        """Forget what has come."""
        self.messages.clear()
        self.arrived.clear()

    def wait(self, count: int = 1, timeout: float = 10.0) -> list[MessageT]:
        """
        Wait until this many messages have come since the start or `clear`, and return them.

        :raises TimeoutError: when fewer come in time.
        """
        self.graph.spin_until(
            lambda: len(self.messages) >= count,
            timeout,
            lambda: f'{count} messages on {self.topic}; {len(self.messages)} came',
        )
        return list(self.messages)

    def wait_for(
        self, condition: Callable[[MessageT], bool], timeout: float = 10.0, what: str = ''
    ) -> MessageT:
        """
        Wait for a message that fulfils the condition, those that have come included.

        :raises TimeoutError: when none comes in time; it shows the last one.
        """
        checked = 0
        found: list[MessageT] = []

        def search() -> bool:
            nonlocal checked
            while checked < len(self.messages) and not found:
                if condition(self.messages[checked]):
                    found.append(self.messages[checked])
                checked += 1
            return bool(found)

        self.graph.spin_until(
            search,
            timeout,
            lambda: (
                f'{what or "a message that fulfils the condition"} on {self.topic}; '
                f'{len(self.messages)} came, the last: {self.last}'
            ),
        )
        return found[0]


class Graph:
    """
    A context with one node of the test, spun by hand in `spin_until` or by `spinning`.

    :param domain_id: of the ROS domain; give the same to the processes of the test.
    """

    def __init__(
        self, domain_id: int, name: str = 'test', namespace: str = '/test_support'
    ) -> None:
        self.domain_id = domain_id
        self.context = Context()
        rclpy.init(
            context=self.context,
            domain_id=domain_id,
            # Ctrl-C belongs to pytest, and handlers are put in only by the main thread.
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self.executor = SingleThreadedExecutor(context=self.context)
        self.nodes: list[Node] = []
        self.node = Node(name, namespace=namespace, context=self.context)
        self.add_node(self.node)
        self._thread: threading.Thread | None = None
        self._stop_thread = threading.Event()
        self._clients: dict[tuple[type, str], Any] = {}

    def add_node(self, node: Node) -> Node:
        """Spin a further node, made with `context=graph.context`, and destroy it at the end."""
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def remove_node(self, node: Node) -> None:
        """Stop spinning a node, and destroy it."""
        self.executor.remove_node(node)
        self.nodes.remove(node)
        node.destroy_node()

    def close(self) -> None:
        """Destroy the nodes and the context."""
        self._stop_spinning()
        for node in reversed(self.nodes):
            self.executor.remove_node(node)
            node.destroy_node()
        self.nodes.clear()
        self.executor.shutdown()
        rclpy.try_shutdown(context=self.context)

    # Spinning

    def spin_until(
        self,
        predicate: Callable[[], ResultT],
        timeout: float = 10.0,
        what: str | Callable[[], str] = '',
    ) -> ResultT:
        """
        Spin until the predicate is true, and return its value.

        :param what: what is waited for, said when it does not come.
        :raises TimeoutError: when it does not become true in time.
        """
        end = time.monotonic() + timeout
        while True:
            value = predicate()
            if value:
                return value
            if time.monotonic() >= end:
                said = what() if callable(what) else what
                raise TimeoutError(f'waited {timeout:g} s for {said or predicate}')
            self._spin_once(0.02)

    def spin_for(self, duration: float) -> None:
        """Spin for a time, seconds."""
        end = time.monotonic() + duration
        while time.monotonic() < end:
            self._spin_once(min(0.02, max(0.0, end - time.monotonic())))

    def _spin_once(self, timeout: float) -> None:
        if self._thread is not None:
            time.sleep(min(timeout, 0.002))
            return
        self.executor.spin_once(timeout_sec=timeout)

    @contextmanager
    def spinning(self) -> Iterator[Graph]:
        """Spin in a thread meanwhile, for a test whose own thread publishes at a rate."""
        self._stop_thread.clear()
        self._thread = threading.Thread(target=self._run, name='graph', daemon=True)
        self._thread.start()
        try:
            yield self
        finally:
            self._stop_spinning()

    def _run(self) -> None:
        try:
            while not self._stop_thread.is_set():
                self.executor.spin_once(timeout_sec=0.05)
        except ExternalShutdownException:
            pass

    def _stop_spinning(self) -> None:
        if self._thread is not None:
            self._stop_thread.set()
            self._thread.join()
            self._thread = None

    # Topics

    def collect(
        self, message_type: type[MessageT], topic: str, qos: QoSProfile | None = None
    ) -> Collector[MessageT]:
        """Subscribe to a topic, reliable unless said otherwise, and keep all that comes."""
        collector: Collector[MessageT] = Collector(self, topic)
        self.node.create_subscription(message_type, topic, collector._add, qos or RELIABLE)
        return collector

    def publisher(self, message_type: type, topic: str, qos: QoSProfile | None = None) -> Any:
        """Return a publisher, reliable and volatile unless said otherwise."""
        return self.node.create_publisher(message_type, topic, qos or RELIABLE)

    def wait_for_subscriptions(
        self, publisher: Any, count: int = 1, timeout: float = DISCOVERY_TIMEOUT
    ) -> None:
        """
        Wait until a publisher is heard.

        :raises TimeoutError: when fewer subscriptions match in time.
        """
        self.spin_until(
            lambda: publisher.get_subscription_count() >= count,
            timeout,
            lambda: f'{count} subscriptions of {publisher.topic_name}',
        )

    def wait_for_publishers(
        self, topic: str, count: int = 1, timeout: float = DISCOVERY_TIMEOUT
    ) -> None:
        """
        Wait until a topic has publishers.

        :raises TimeoutError: when there are fewer in time.
        """
        self.spin_until(
            lambda: self.node.count_publishers(topic) >= count,
            timeout,
            f'{count} publishers of {topic}',
        )

    def wait_until_known(self, node: str, timeout: float = DISCOVERY_TIMEOUT) -> None:
        """
        Wait until another node knows every publisher and subscription made here so far.

        A publisher counts a subscription before the subscription's side has heard of the
        publisher; until then, what it sends to a best-effort subscription is lost. Endpoints
        are announced in the order in which they are made, so that a node that answers a client
        made now knows all that was made before.

        :param node: a lifecycle node, fully qualified.
        :raises TimeoutError: when it does not answer in time.
        """
        former = self._clients.pop((GetState, f'{node}/get_state'), None)
        if former is not None:
            self.node.destroy_client(former)
        self.lifecycle_state(node, timeout)

    # Services of other nodes

    def call(self, service_type: Any, name: str, request: Any, timeout: float = 20.0) -> Any:
        """
        Call a service and return its response.

        :raises TimeoutError: when the service is not there, or does not answer, in time.
        """
        client = self._clients.get((service_type, name))
        if client is None:
            client = self.node.create_client(service_type, name)
            self._clients[service_type, name] = client
        end = time.monotonic() + timeout
        self.spin_until(client.service_is_ready, timeout, f'the service {name}')
        future = client.call_async(request)
        self.spin_until(
            future.done, max(0.1, end - time.monotonic()), f'an answer of the service {name}'
        )
        return future.result()

    def lifecycle_state(self, node: str, timeout: float = 20.0) -> str:
        """Return the state of a lifecycle node, e.g. ``active``; the name is fully qualified."""
        end = time.monotonic() + timeout
        patience = 0.1
        while True:
            patience = min(2.0 * patience, end - time.monotonic())
            try:
                # A request may go to a node that was killed and is still taken for alive, and
                # an answer is lost when the node has not discovered this client yet.
                response = self.call(GetState, f'{node}/get_state', GetState.Request(), patience)
            except TimeoutError:
                if time.monotonic() >= end:
                    raise
                continue
            label: str = response.current_state.label
            return label

    def wait_for_state(self, node: str, state: str = 'active', timeout: float = 40.0) -> None:
        """
        Wait until a lifecycle node is in a state.

        :raises TimeoutError: when it is not in time.
        """
        end = time.monotonic() + timeout
        label = 'not there'
        while time.monotonic() < end:
            label = self.lifecycle_state(node, max(0.1, end - time.monotonic()))
            if label == state:
                return
            self.spin_for(0.05)
        raise TimeoutError(f'{node} is {label}, not {state}, after {timeout:g} s')

    def change_state(self, node: str, transition: str, timeout: float = 40.0) -> bool:
        """
        Trigger a transition of a lifecycle node and return whether it succeeded.

        :param transition: ``configure``, ``activate``, ``deactivate``, ``cleanup`` or, by the
            state it is in, ``shutdown``.
        """
        if transition == 'shutdown':
            state = self.lifecycle_state(node)
            transition_id = {
                'unconfigured': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
                'inactive': Transition.TRANSITION_INACTIVE_SHUTDOWN,
                'active': Transition.TRANSITION_ACTIVE_SHUTDOWN,
            }[state]
        else:
            transition_id = getattr(Transition, f'TRANSITION_{transition.upper()}')
        request = ChangeState.Request()
        request.transition.id = transition_id
        return bool(self.call(ChangeState, f'{node}/change_state', request, timeout).success)

    def set_parameter(self, node: str, name: str, value: Any) -> tuple[bool, str]:
        """Set a parameter of another node; return whether it took it, and its reason if not."""
        request = SetParameters.Request()
        request.parameters = [Parameter(name, value=value).to_parameter_msg()]
        result = self.call(SetParameters, f'{node}/set_parameters', request).results[0]
        return bool(result.successful), str(result.reason)

    def parameter(self, node: str, name: str) -> Any:
        """Return the value of a parameter of another node; None when it has none."""
        request = GetParameters.Request()
        request.names = [name]
        values = self.call(GetParameters, f'{node}/get_parameters', request).values
        return parameter_value_to_python(values[0]) if values else None


STATES = {
    'unconfigured': State.PRIMARY_STATE_UNCONFIGURED,
    'inactive': State.PRIMARY_STATE_INACTIVE,
    'active': State.PRIMARY_STATE_ACTIVE,
    'finalized': State.PRIMARY_STATE_FINALIZED,
}
"""Labels of the primary states with their ids."""
