# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One application of a test: an inference node in its own process, with its topics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.msg import Classification, InferenceStatus, SubNetworkSwitch
from support.graph import LATCHED, Collector, Graph
from support.process import NodeProcess

STATUS_TOPIC = '/dynamic_dnn/inference_status'
APPLICATION_TOPIC = '/dynamic_dnn/application'
SWITCH_TIMEOUT = 20.0


class Application:
    """
    Starts an inference node and waits until it is active.

    :param bundle: folder, or name of a shipped one.
    :param namespace: of the node, e.g. ``/front``; its image topic lies there too.
    :param parameters: of the node, over those that suit a test: no platform, all classes.
    :param classes: how many the bundle has.
    :param wait: False: return at once, for a node that is to fail.
    """

    def __init__(
        self,
        graph: Graph,
        start_node: Callable[..., NodeProcess],
        bundle: Path | str,
        namespace: str = '',
        classes: int = 10,
        wait: bool = True,
        environment: Mapping[str, str | None] | None = None,
        **parameters: Any,
    ) -> None:
        self.graph = graph
        settings = {
            'bundle': str(bundle),
            'platform': 'none',
            'results': classes,
            'threads': 1,
            **parameters,
        }
        self.id = f'{namespace}/inference_node'
        compressed = settings.get('image_transport') == 'compressed'
        self.image_topic = f'{namespace}/image' + ('/compressed' if compressed else '')
        self.results: Collector[Classification] = graph.collect(
            Classification, f'{self.id}/classification'
        )
        self.all_statuses: Collector[InferenceStatus] = graph.collect(
            InferenceStatus, STATUS_TOPIC
        )
        self.images = graph.publisher(CompressedImage if compressed else Image, self.image_topic)
        self.switches = graph.publisher(SubNetworkSwitch, f'{self.id}/sub_network_switch', LATCHED)
        self.sequence = 0
        self.process = start_node(
            'inference_node', parameters=settings, namespace=namespace, environment=environment
        )
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until the node is active, and every topic of it is matched."""
        self.graph.wait_for_state(self.id, 'active')
        self.graph.wait_for_subscriptions(self.images)
        self.graph.wait_for_subscriptions(self.switches)
        self.graph.wait_for_publishers(self.results.topic)
        self.wait_for_event(InferenceStatus.EVENT_HEARTBEAT)

    @property
    def statuses(self) -> list[InferenceStatus]:
        """Statuses of this application that have come."""
        return [status for status in self.all_statuses if status.application == self.id]

    def wait_for_event(self, event: int, after: int = 0, timeout: float = 20.0) -> Any:
        """
        Wait for a status of an event, beyond the first `after` statuses on the topic.

        :raises TimeoutError: when none comes in time.
        """
        index = after

        def search() -> InferenceStatus | None:
            nonlocal index
            while index < len(self.all_statuses.messages):
                status = self.all_statuses.messages[index]
                index += 1
                if status.application == self.id and status.event == event:
                    return status
            return None

        return self.graph.spin_until(
            search, timeout, lambda: f'event {event} of {self.id}; last: {self.all_statuses.last}'
        )

    def switch(
        self,
        sub_network: str,
        application: str | None = None,
        manager: str = 'test',
        **fields: Any,
    ) -> InferenceStatus:
        """Send a switch, and return the status that answers it."""
        seen = len(self.all_statuses)
        self.sequence += 1
        message = SubNetworkSwitch(
            application=self.id if application is None else application,
            manager=manager,
            sequence=self.sequence,
            sub_network=sub_network,
            reason=SubNetworkSwitch.REASON_OPERATOR,
            **fields,
        )
        message.header.stamp = self.graph.node.get_clock().now().to_msg()
        self.switches.publish(message)
        status = self.wait_for_event(InferenceStatus.EVENT_SWITCH, seen, SWITCH_TIMEOUT)
        assert (status.switch_manager, status.switch_sequence) == (manager, self.sequence)
        answer: InferenceStatus = status
        return answer

    def serve(self, message: Image | CompressedImage, timeout: float = 20.0) -> Classification:
        """Publish an image, and return its result."""
        seen = len(self.results)
        self.images.publish(message)
        return self.results.wait(seen + 1, timeout)[seen]

    def reject(self, message: Image | CompressedImage, timeout: float = 20.0) -> InferenceStatus:
        """Publish an image that cannot be read, and return the status that says so."""
        seen = len(self.all_statuses)
        self.images.publish(message)
        status: InferenceStatus = self.wait_for_event(
            InferenceStatus.EVENT_REJECTED, seen, timeout
        )
        return status
