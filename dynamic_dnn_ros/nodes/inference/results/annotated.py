# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results drawn on the camera's picture, while somebody looks."""

from __future__ import annotations

from array import array
from collections.abc import Callable
import io
import logging
import threading
import time
from typing import Any, NamedTuple

from PIL import Image
from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.inference.results.contract import (
    ResultPublisher,
    is_heard,
    optional_messages,
)
from dynamic_dnn_ros.nodes.inference.results.foxglove import set_stamp
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import CameraPicture
from dynamic_dnn_ros.serving.frames import ServedFrame
from dynamic_dnn_ros.serving.mailbox import Mailbox

_LOGGER = logging.getLogger(__name__)

#: Of JPEG pictures, 0..100.
QUALITY = 80


class _Rendering(NamedTuple):
    header: Header
    picture: CameraPicture
    result: Any


class AnnotatedPublisher:
    """
    Publishes pictures with results on them, and annotations for viewers that draw themselves.

    Topics `~/annotated`, `~/annotated/compressed` (JPEG) and, where foxglove_msgs is installed,
    `~/annotations`. A thread of its own renders the newest result, and only what somebody
    subscribes to; results that come meanwhile are left out, counted in `left_out`. Pictures are
    drawn at the rate of parameter `annotated_rate` at most.
    """

    def __init__(self, node: StreamNode, results: ResultPublisher[Any]) -> None:
        """Create the publishers; the stream owns them."""
        self._node = node
        self._results = results
        self._raw = self._advertise(ImageMessage, '~/annotated')
        self._compressed = self._advertise(CompressedImage, '~/annotated/compressed')
        self._messages = optional_messages('foxglove_msgs')
        self._annotations: Publisher | None = None
        if self._messages is not None:
            self._annotations = self._advertise(self._messages.ImageAnnotations, '~/annotations')
        self._mailbox: Mailbox[_Rendering] = Mailbox()
        self._thread: threading.Thread | None = None
        self._failing = False
        self._due = 0.0
        self.rendered = 0

    def _advertise(self, message_type: type, topic: str) -> Publisher:
        return self._node.create_lifecycle_publisher(message_type, topic, qos.SENSOR_PUBLICATION)

    @property
    def wanted(self) -> bool:
        """Tell whether anybody looks."""
        return (
            is_heard(self._raw)
            or is_heard(self._compressed)
            or (self._annotations is not None and is_heard(self._annotations))
        )

    @property
    def left_out(self) -> int:
        """Return how many results were replaced by newer ones before they were rendered."""
        return self._mailbox.replaced

    def offer(self, served: ServedFrame, result: Any) -> None:
        """Have a result rendered, if anybody looks; returns at once."""
        if not self.wanted:
            return
        if self._thread is None:
            self._mailbox = Mailbox()
            self._thread = threading.Thread(
                target=self._render, args=(self._mailbox,), name='annotated', daemon=True
            )
            self._thread.start()
        header, _ = served.frame.origin
        self._mailbox.put(_Rendering(header, served.frame.picture, result))

    def end(self, timeout: float) -> None:
        """Finish the picture in work, and render no more; `timeout` in seconds."""
        self._mailbox.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout)

    def _render(self, mailbox: Mailbox[_Rendering]) -> None:
        while True:
            rendering = mailbox.wait()
            if rendering is None:
                return
            try:
                self._publish(rendering)
            except Exception:
                # What is looked at must never cost what is acted upon.
                if not self._failing:
                    _LOGGER.exception('A result could not be drawn')
                self._failing = True
            else:
                self._failing = False

    def _publish(self, rendering: _Rendering) -> None:
        header, picture, result = rendering
        annotations = self._annotations
        if annotations is not None and not is_heard(annotations):
            annotations = None
        wanted: list[tuple[Publisher, Callable[[Header, Image.Image], Any]]] = [
            (publisher, convert)
            for publisher, convert in (
                (self._raw, raw_message),
                (self._compressed, compressed_message),
            )
            if is_heard(publisher)
        ]
        if wanted and not self._is_due(time.monotonic()):
            wanted = []
        if annotations is None and not wanted:
            return
        opened = picture.open()
        if annotations is not None:
            size = Size(opened.height, opened.width)
            message = self._results.annotations(result, size, self._messages)
            if message is not None:
                set_stamp(message, header.stamp)
                annotations.publish(message)
        if wanted:
            drawn = self._results.draw(opened, result)
            for publisher, convert in wanted:
                publisher.publish(convert(header, drawn))
            self.rendered += 1

    def _is_due(self, now: float) -> bool:
        """Tell whether a picture may be drawn now, s; if so, the next one has to wait."""
        rate = self._node.parameters['annotated_rate']
        if rate > 0.0:
            if now < self._due:
                return False
            # What the last one came late, the next may come early.
            self._due = max(self._due, now - 1.0 / rate) + 1.0 / rate
        return True


def raw_message(header: Header, picture: Image.Image) -> ImageMessage:
    """Return a picture of mode RGB as a message."""
    data = array('B')
    data.frombytes(picture.tobytes())
    return ImageMessage(
        header=header,
        height=picture.height,
        width=picture.width,
        encoding='rgb8',
        step=3 * picture.width,
        data=data,
    )


def compressed_message(header: Header, picture: Image.Image) -> CompressedImage:
    """Return a picture of mode RGB as a JPEG message."""
    file = io.BytesIO()
    # With colours at half the resolution, as is usual, thin lines would lose theirs.
    picture.save(file, 'JPEG', quality=QUALITY, subsampling=0)
    data = array('B')
    data.frombytes(file.getbuffer())
    return CompressedImage(header=header, format='jpeg', data=data)
