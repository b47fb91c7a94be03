# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A node as one of its streams sees it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rclpy.clock import Clock
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from dynamic_dnn_ros.nodes.common.parameters import ParameterValues, PartParameters
from dynamic_dnn_ros.nodes.common.uniqueness import Identity


class StreamNode:
    """
    Gives what a stream makes names of its own, and destroys it with the stream.

    A stream without a name has the names of its node: `~/detections` is that of the node. Those
    of stream `front` lie below it: `~/front/detections`.
    """

    def __init__(self, node: ManagedNode, name: str = '') -> None:
        """
        Begin with nothing made.

        :param name: of the stream; empty: it is the only one
        """
        self.node = node
        self.name = name
        #: Its own where they are set, else those of the node.
        self.parameters: ParameterValues = (
            PartParameters(node.parameters, name) if name else node.parameters
        )
        self._prefix = f'{name}/' if name else ''
        self._made = ExitStack()
        self._gated: list[Any] = []

    @property
    def identifier(self) -> str:
        """Return the id of the application."""
        return f'{self.node.identifier}/{self.name}' if self.name else self.node.identifier

    @property
    def identity(self) -> Identity:
        """Return which instance of the node it is."""
        return self.node.identity

    def get_logger(self) -> RcutilsLogger:
        """Return the logger of the node, or one below it that names the stream."""
        logger = self.node.get_logger()
        return logger.get_child(self.name) if self.name else logger

    def get_clock(self) -> Clock:
        """Return the clock of the node."""
        return self.node.get_clock()

    def shared_topic(self, name: str) -> str:
        """Return the full name of a topic that all applications share."""
        return self.node.shared_topic(name)

    def complain(self, text: str, kind: str = '') -> None:
        """Log a problem, and the same one of this stream not again for a while."""
        self.node.complain(text, f'{self.identifier} {kind or text}')

    def leave_out(self, topic: str, reason: str, text: str) -> None:
        """Count a message that is left out, as `ManagedNode.leave_out` does."""
        self.node.leave_out(self.topic(topic), reason, text)

    def topic(self, name: str) -> str:
        """Return the stream's own topic for `~/name`; others stay what they are."""
        return f'~/{self._prefix}{name[2:]}' if name.startswith('~/') else name

    def create_publisher(self, message_type: type, topic: str, profile: QoSProfile) -> Publisher:
        """Return a publisher that publishes while the node is inactive too."""
        publisher = self.node.create_publisher(message_type, self.topic(topic), profile)
        self._made.callback(self.node.destroy_publisher, publisher)
        return publisher

    def create_lifecycle_publisher(
        self, message_type: type, topic: str, profile: QoSProfile
    ) -> Publisher:
        """Return a publisher that publishes while the node is active."""
        publisher = self.node.create_lifecycle_publisher(message_type, self.topic(topic), profile)
        self._gated.append(publisher)
        self._made.callback(self.node.destroy_lifecycle_publisher, publisher)
        return publisher

    def listen(
        self, message_type: type, topic: str, callback: Callable[[Any], None], profile: QoSProfile
    ) -> None:
        """Subscribe to a topic; what cannot be read is said and left out."""
        subscription = self.node.create_checked_subscription(
            message_type, self.topic(topic), callback, profile
        )
        self._made.callback(self.node.destroy_subscription, subscription)

    def enable(self) -> None:
        """Have lifecycle publishers publish: those of a stream that joins an active node."""
        for publisher in self._gated:
            publisher.on_activate(None)

    def destroy(self) -> None:
        """Destroy what was made, the latest first."""
        self._gated.clear()
        self._made.close()
