# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vision_msgs`, where that package is installed: its messages, and what the labels are."""

from __future__ import annotations

from typing import Any

from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.inference.results.contract import optional_messages
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode


def vision_messages() -> Any:
    """
    Return the messages of vision_msgs 4 (ROS 2 Humble and later), None where they are not there.

    Earlier versions have boxes of another kind.
    """
    messages = optional_messages('vision_msgs')
    return messages if hasattr(messages, 'Pose2D') else None


class LabelInfoPublisher:
    """
    Says which number stands for which class, to who listens now or later.

    Topics `~/label_info` (`LabelInfo`) and `~/vision_info` (`VisionInfo`, which names the first).
    """

    @classmethod
    def create(cls, node: StreamNode, messages: Any, bundle: str) -> LabelInfoPublisher | None:
        """Return one, None where vision_msgs is not installed or older than 4.1."""
        return cls(node, messages, bundle) if hasattr(messages, 'LabelInfo') else None

    def __init__(self, node: StreamNode, messages: Any, bundle: str) -> None:
        """Create the publishers; the stream owns them."""
        self._node = node
        self._messages = messages
        self._bundle = bundle
        create = node.create_lifecycle_publisher
        self._labels = create(messages.LabelInfo, '~/label_info', qos.LABEL_INFO)
        self._vision = create(messages.VisionInfo, '~/vision_info', qos.LABEL_INFO)

    def publish(self, labels: tuple[str, ...], threshold: float) -> None:
        """Say it; `threshold` is the score 0..1 below which nothing is published."""
        now = self._node.get_clock().now().to_msg()
        names = [
            self._messages.VisionClass(class_id=number, class_name=name)
            for number, name in enumerate(labels[: 2**16])
        ]
        info = self._messages.LabelInfo(class_map=names, threshold=threshold)
        info.header.stamp = now
        self._labels.publish(info)
        vision = self._messages.VisionInfo(
            method=self._bundle, database_location=self._labels.topic_name
        )
        vision.header.stamp = now
        self._vision.publish(vision)
