# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract of what publishes the results of a task."""

from __future__ import annotations

import abc
from collections.abc import Sequence
import importlib
from typing import Any, Generic, TypeVar

from PIL import Image
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.frames import ServedFrame

ResultT = TypeVar('ResultT')


class ResultPublisher(abc.ABC, Generic[ResultT]):
    """
    Publishes the results of one task, and draws them.

    `publish` is called by one thread, `draw` and `annotations` by another.
    """

    def __init__(self, node: StreamNode, bundle: str, labels: Sequence[str]) -> None:
        """
        Create the publishers; the stream owns them.

        :param bundle: the name of what is served
        :param labels: names of the classes
        """
        self.node = node
        self.bundle = bundle
        self.labels = tuple(labels)
        self._publishers: list[Publisher] = []

    @property
    def wanted(self) -> bool:
        """Tell whether anybody listens to results."""
        return any(map(is_heard, self._publishers))

    def begin(self) -> None:
        """Publish what is said once; called when the node is activated."""

    @abc.abstractmethod
    def publish(self, served: ServedFrame, result: ResultT) -> None:
        """Publish the result of a frame under the header of its image, an empty one as well."""

    @abc.abstractmethod
    def draw(self, picture: Image.Image, result: ResultT) -> Image.Image:
        """Return the camera's picture (mode RGB or L) with a result on it, mode RGB."""

    def annotations(self, result: ResultT, size: Size, messages: Any) -> Any:
        """
        Return a result as `foxglove_msgs/ImageAnnotations`; None: it cannot be said so.

        :param size: of the camera's picture
        :param messages: the module `foxglove_msgs.msg`
        """
        return None

    def advertise(
        self, message_type: type, topic: str, profile: QoSProfile = qos.RESULT
    ) -> Publisher:
        """Return a publisher of results, which the stream owns."""
        publisher = self.node.create_lifecycle_publisher(message_type, topic, profile)
        self._publishers.append(publisher)
        return publisher


def is_heard(publisher: Publisher) -> bool:
    """Tell whether anybody listens; to nobody, nothing is published."""
    return bool(publisher.get_subscription_count() > 0)


def optional_messages(package: str) -> Any:
    """Return the messages of a ROS package, None where it is not installed."""
    try:
        return importlib.import_module(f'{package}.msg')
    except ImportError:
        return None
