# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera topic of an application: frames on their way to the worker."""

from __future__ import annotations

from collections.abc import Callable
import math
import time

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.time import Time as RosTime
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from dynamic_dnn_ros.engines.preprocessing import PictureError
from dynamic_dnn_ros.engines.serving import Frame
from dynamic_dnn_ros.nodes import qos
from dynamic_dnn_ros.nodes.images import compressed_picture, raw_picture
from dynamic_dnn_ros.nodes.parameters import Parameters

#: s, an image older than this, or from the future, comes from another time base.
OLDEST_IMAGE = 10.0


class CameraInput:
    """Subscribes to the camera and counts what comes; `last_arrival` of `time.monotonic`."""

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        deliver: Callable[[Frame], None],
        reject: Callable[[Header, str], None],
    ) -> None:
        """
        Take the transport from parameter `image_transport`; `subscribe` begins.

        :param deliver: called with each frame, at once
        :param reject: called with the header of each frame that cannot be read, and the reason
        """
        self._node = node
        self._parameters = parameters
        self._deliver = deliver
        self._reject = reject
        self._subscription: Subscription | None = None
        self.reset()

    def reset(self) -> None:
        """Count from nothing."""
        self.received = 0
        self.rejected = 0
        self.last_arrival = time.monotonic()

    @property
    def topic(self) -> str:
        """Return the camera topic, as it is remapped."""
        return str(self._node.resolve_topic_name(self._name))

    @property
    def subscribed(self) -> bool:
        """Tell whether it listens."""
        return self._subscription is not None

    def subscribe(self) -> None:
        """Begin to listen."""
        self.last_arrival = time.monotonic()
        self._subscription = self._node.create_subscription(
            CompressedImage if self._compressed else Image,
            self._name,
            self._on_image,
            qos.SENSOR_SUBSCRIPTION,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def unsubscribe(self) -> None:
        """Listen no more."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def age(self, stamp: Time) -> float:
        """Return now minus a stamp, s; NaN where the two come from different time bases."""
        now = self._node.get_clock().now().nanoseconds
        age = (now - RosTime.from_msg(stamp).nanoseconds) * 1e-9
        return age if -0.1 <= age <= OLDEST_IMAGE else math.nan

    @property
    def _compressed(self) -> bool:
        return bool(self._parameters['image_transport'] == 'compressed')

    @property
    def _name(self) -> str:
        return 'image/compressed' if self._compressed else 'image'

    def _on_image(self, message: Image | CompressedImage) -> None:
        arrival = time.monotonic()
        self.received += 1
        self.last_arrival = arrival
        transport = self.age(message.header.stamp)
        try:
            picture = (
                raw_picture(message) if isinstance(message, Image) else compressed_picture(message)
            )
        except PictureError as error:
            self.rejected += 1
            self._reject(message.header, str(error))
            return
        self._deliver(Frame(picture, arrival, (message.header, transport)))
