# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results as `vision_msgs`, for who listens to those."""

from __future__ import annotations

from collections.abc import Sequence
import importlib
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from dynamic_dnn_ros.nodes.common import qos


class VisionPublisher:
    """Publishes `vision_msgs/Classification` too, where that package is installed."""

    def __init__(self, publisher: Publisher, messages: Any) -> None:
        self.publisher = publisher
        self._messages = messages

    @classmethod
    def create(cls, node: LifecycleNode) -> VisionPublisher | None:
        """Return the publisher, None where vision_msgs is not installed."""
        try:
            messages = importlib.import_module('vision_msgs.msg')
        except ImportError:
            return None
        publisher = node.create_lifecycle_publisher(
            messages.Classification, '~/vision_classification', qos.RESULT
        )
        return cls(publisher, messages)

    def publish(self, header: Header, results: Sequence[tuple[str, float]]) -> None:
        """Publish one result, best class first."""
        message = self._messages.Classification(header=header)
        for name, score in results:
            message.results.append(self._messages.ObjectHypothesis(class_id=name, score=score))
        self.publisher.publish(message)
