# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera topic of an application: frames on their way to the worker."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
import math
import time

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.image_topic import image_topic
from dynamic_dnn_ros.nodes.common.message_values import nanoseconds
from dynamic_dnn_ros.nodes.common.parameters import ParameterValues
from dynamic_dnn_ros.nodes.common.picture_range import picture_range
from dynamic_dnn_ros.nodes.inference.camera_graph import cause_of_silence
from dynamic_dnn_ros.nodes.inference.images import SerialisedImage
from dynamic_dnn_ros.pictures.scaling import CameraPicture, PictureError, RawPicture
from dynamic_dnn_ros.pictures.value_range import ValueRange
from dynamic_dnn_ros.serving.frames import CameraFrame

#: s, an image older than this, or from the future, comes from another time base.
OLDEST_IMAGE = 10.0

#: s, for which the executor's thread leaves the interpreter to a worker that begins with a frame.
#: Otherwise the two take turns with it: preparing the next wait takes the executor 0.5 ms.
HAND_OVER = 1e-3

#: s without a frame after which a camera counts as silent.
SILENCE = 2.0


class CameraInput:
    """
    Subscribes to the camera and counts what comes.

    A camera may change its resolution and encoding at any frame: each picture is scaled by what
    its own message says. Its stamps may jump back, as those of a bag that starts again: frames
    are served in the order of their arrival. Both are said once for each new format, and once
    for stamps. So is that images arrive, that they do not, and why.
    """

    def __init__(
        self,
        node: Node,
        parameters: ParameterValues,
        deliver: Callable[[CameraFrame], bool],
        reject: Callable[[Header, str], None],
        base: str = 'image',
    ) -> None:
        """
        Take the transport from parameter `image_transport`; `subscribe` begins.

        :param deliver: called with each frame, at once; tells whether work on it begins now
        :param reject: called with the header of each frame that cannot be read, and the reason
        :param base: its topic, without "/compressed", before it is remapped
        """
        self._node = node
        self._base = base
        self._parameters = parameters
        self._deliver = deliver
        self._reject = reject
        self._subscription: Subscription | None = None
        self._message_type: type[Image] | type[CompressedImage] = Image
        self._value_range: ValueRange | None = None
        self.reset()

    def reset(self) -> None:
        """Count from nothing."""
        self.received = 0
        self.rejected = 0
        self.stamps_back = 0
        self._last_stamp = -math.inf
        self._formats: list[str] = []
        self._said_cause = ''
        self._arrived()

    def _arrived(self) -> float:
        self._last_arrival = time.monotonic()
        self._interval = 0.0
        return self._last_arrival

    @property
    def topic(self) -> str:
        """Return the camera topic, as it is remapped."""
        return str(self._node.resolve_topic_name(self._name))

    @property
    def subscribed(self) -> bool:
        """Tell whether it listens."""
        return self._subscription is not None

    @property
    def silence(self) -> float:
        """
        Return for how many seconds no image has come, 0 while one may still be on its way.

        A slow camera is not silent between two of its frames, so it is given three of its
        intervals.
        """
        silence = time.monotonic() - self._last_arrival
        return silence if silence > max(SILENCE, 3 * self._interval) else 0.0

    def silence_cause(self) -> str:
        """
        Return why it is silent, as the ROS graph tells it; each cause is logged once.

        Empty while images arrive.
        """
        if self._subscription is None or not self.silence:
            return ''
        profile = self._subscription.qos_profile
        cause = cause_of_silence(self._node, self._base, self.topic, self._compressed, profile)
        if cause != self._said_cause:
            self._said_cause = cause
            self._say(f'No image for {self.silence:.0f} s: {cause}')
        return cause

    def subscribe(self) -> None:
        """Begin to listen."""
        self._arrived()
        self._message_type = CompressedImage if self._compressed else Image
        self._value_range = picture_range(self._parameters)
        self._subscription = self._node.create_subscription(
            self._message_type,
            self._name,
            self._on_image,
            copy(qos.SENSOR_SUBSCRIPTION),  # rclpy writes the overrides of this topic into it
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            raw=True,
        )

    def unsubscribe(self) -> None:
        """Listen no more."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def age(self, stamp: Time) -> float:
        """Return now minus a stamp, s; NaN where the two come from different time bases."""
        now = self._node.get_clock().now().nanoseconds
        age = (now - nanoseconds(stamp)) * 1e-9
        return age if -0.1 <= age <= OLDEST_IMAGE else math.nan

    @property
    def _compressed(self) -> bool:
        return bool(self._parameters['image_transport'] == 'compressed')

    @property
    def _name(self) -> str:
        return image_topic(self._node, self._compressed, self._base)

    def _on_image(self, data: bytes) -> None:
        before = self._last_arrival
        arrival = self._arrived()
        # The time until the first frame is nobody's interval.
        self._interval = arrival - before if self.received else 0.0
        self.received += 1
        header = Header()
        try:
            message = SerialisedImage(data, self._message_type)
            header = message.header
            picture = message.picture(self._value_range)
        except PictureError as error:
            self.rejected += 1
            self._reject(header, str(error))
            return
        if self._said_cause and self._formats:
            self._node.get_logger().info(
                f'Images of {self.topic} arrive again, after {arrival - before:.0f} s.'
            )
        self._said_cause = ''
        self._notice(header.stamp, picture)
        if self._deliver(CameraFrame(picture, arrival, (header, self.age(header.stamp)))):
            time.sleep(HAND_OVER)

    def _notice(self, stamp: Time, picture: CameraPicture) -> None:
        """Say what a camera does that its user may not know of."""
        if isinstance(picture, RawPicture):
            kind = f'{picture.width}x{picture.height} {picture.encoding}'
            if self._formats and kind not in self._formats:
                self._formats.append(kind)
                self._say(f'{self.topic} has changed to {kind}; it is served all the same.')
        if not self._formats:
            self._begin(picture)
        now = nanoseconds(stamp)
        if now < self._last_stamp:
            self.stamps_back += 1
            if self.stamps_back == 1:
                self._say(
                    f'Stamps of {self.topic} jump back, by {(self._last_stamp - now) * 1e-9:.3f} '
                    's this time: a bag that starts again, a clock that was set, or two cameras '
                    'on one topic. Frames are served as they arrive. Later jumps are counted on '
                    '/diagnostics only.'
                )
        self._last_stamp = now

    def _begin(self, picture: CameraPicture) -> None:
        """Say what arrives; a picture that cannot be read says why by itself."""
        try:
            kind = (
                f'{picture.width}x{picture.height} {picture.encoding}'
                if isinstance(picture, RawPicture)
                else picture.describe()
            )
        except PictureError:
            return
        self._formats.append(kind)
        self._node.get_logger().info(f'Images arrive on {self.topic}: {kind}.')

    def _say(self, text: str) -> None:
        self._node.get_logger().warning(text)
