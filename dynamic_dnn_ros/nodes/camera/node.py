# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A camera for machines that have none: publishes pictures, a video, a camera or a bag."""

from __future__ import annotations

import array
from collections.abc import Sequence
from copy import copy
import io
import math
import threading
import time
import traceback
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.nodes.camera.sources import (
    SOURCES,
    FrameError,
    FrameSource,
    Picture,
    SourceError,
    SourceLost,
    open_source,
)
from dynamic_dnn_ros.nodes.common import main as process
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic, Level
from dynamic_dnn_ros.nodes.common.image_topic import image_topic
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification
from dynamic_dnn_ros.nodes.common.picture_range import PICTURE_RANGE, picture_range

#: s between two attempts to open a camera that was lost.
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0

#: s for which a frame that could not be read is news.
REMEMBERED = 10.0


class CameraNode(ManagedNode):
    """Publishes a source of pictures as a camera driver would, reliably (REP-2003)."""

    PARAMETERS = (
        ParameterSpecification(
            'source',
            'pictures',
            'Where the frames come from: photographs that scikit-image carries, a folder of '
            'pictures, a video file, a camera, or a bag.',
            choices=SOURCES,
        ),
        ParameterSpecification(
            'path',
            '',
            'Folder of pictures, video file, camera index, or folder of the bag.',
        ),
        ParameterSpecification('topic', '', 'Image topic of the bag; empty: its only one.'),
        ParameterSpecification(
            'rate',
            0.0,
            "Frames published in a second; 0: the source's own rate.",
            unit='Hz',
            minimum=0.0,
            maximum=1000.0,
        ),
        ParameterSpecification(
            'width',
            0,
            "Width of the frames; 0: the source's own, 640 for pictures.",
            unit='pixels',
            minimum=0,
            maximum=8192,
        ),
        ParameterSpecification(
            'height',
            0,
            "Height of the frames; 0: the source's own, 480 for pictures.",
            unit='pixels',
            minimum=0,
            maximum=8192,
        ),
        ParameterSpecification(
            'transport',
            'raw',
            'Publish `image`, or JPEG on `image/compressed`.',
            choices=('raw', 'compressed'),
        ),
        ParameterSpecification(
            'encoding', 'bgr8', 'Encoding of raw images.', choices=('bgr8', 'rgb8')
        ),
        ParameterSpecification(
            'jpeg_quality', 90, 'Quality of compressed images.', minimum=1, maximum=95
        ),
        ParameterSpecification('frame_id', 'camera', 'Frame id of the images.'),
        PICTURE_RANGE,
        ParameterSpecification(
            'loop', True, 'Begin again at the end of the source; false: stop publishing there.'
        ),
    )

    def __init__(self, **arguments: Any) -> None:
        """Create the node, unconfigured."""
        self._source: FrameSource | None = None
        self._publisher: Any = None
        self._worker: threading.Thread | None = None
        self._end = threading.Event()
        self._published = 0
        self._late = 0
        self._finished = False
        self._source_problem = ''
        self._forget_failures()
        super().__init__('camera_node', **arguments)

    def _forget_failures(self) -> None:
        self._unread = 0
        self._last_unread = -math.inf
        self._unread_reason = ''
        self._lost = ''
        self._pause = FIRST_PAUSE

    def configure(self) -> None:
        """
        Open the source and announce the topic.

        :raises SourceError: when the source cannot be opened
        """
        self._source = open_source(
            self.parameters['source'],
            self.parameters['path'],
            self.parameters['topic'],
            (self.parameters['width'], self.parameters['height']),
            picture_range(self.parameters),
        )
        for reason in self._source.left_out:
            self.get_logger().warning(f'Left out: {reason}')
        compressed = self.parameters['transport'] == 'compressed'
        self._publisher = self.create_publisher(
            CompressedImage if compressed else Image,
            image_topic(self, compressed),
            copy(qos.SENSOR_PUBLICATION),  # rclpy writes the overrides of this topic into it
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._published = 0
        self._late = 0
        self.get_logger().info(
            f'publishes {self._source.description} on {self._publisher.topic_name}'
        )

    def activate(self) -> None:
        """Begin to publish, in a thread: decoding and cameras block."""
        assert self._source is not None
        self._end.clear()
        self._finished = False
        self._source_problem = ''
        self._forget_failures()
        self._worker = threading.Thread(
            target=self._work, args=(self._source,), name='camera', daemon=True
        )
        self._worker.start()

    def deactivate(self) -> None:
        """Stop publishing."""
        self._end.set()
        if self._worker is not None:
            self._worker.join()
            self._worker = None

    def clean_up(self) -> None:
        """Close the source."""
        if self._source is not None:
            self._source.close()
            self._source = None
        if self._publisher is not None:
            self.destroy_publisher(self._publisher)
            self._publisher = None

    def hardware_id(self) -> str:
        """Return the source."""
        return self._source.description if self._source is not None else ''

    def diagnose(self) -> Sequence[Diagnostic]:
        """Report the frames published."""
        if self._source_problem:
            level, message = Level.ERROR, self._source_problem
        elif self._lost:
            level, message = Level.WARNING, self._lost
        elif time.monotonic() - self._last_unread < REMEMBERED:
            level = Level.WARNING
            message = f'{self._unread} frames could not be read, the last one: '
            message += self._unread_reason
        elif self._finished:
            level, message = Level.OK, 'the source is at its end'
        else:
            level, message = Level.OK, 'publishes'
        values = {
            'published frames': self._published,
            'late frames': self._late,
            'frames that could not be read': self._unread,
        }
        return (Diagnostic('source', level, message, values),)

    def _work(self, source: FrameSource) -> None:
        try:
            self._publish_stream(source)
        except SourceError as error:
            self._source_problem = str(error)
        except Exception as error:  # a decoder's own errors are of any type
            self.get_logger().error(traceback.format_exc())
            self._source_problem = f'{source.description} failed: {error!r}. Choose another one.'
        else:
            return
        self.get_logger().error(self._source_problem)

    def _publish_stream(self, source: FrameSource) -> None:
        rate = self.parameters['rate'] or source.rate
        period = 1.0 / rate if rate else 0.0
        # Frames are paced by the monotonic clock: a camera does not stop when /clock does.
        due = time.monotonic()
        empty = True
        while not self._end.is_set():
            try:
                picture = source.read()
            except FrameError as error:
                self._skip(error)
                continue
            except SourceLost as error:
                self._open_again(source, error)
                continue
            if picture is None:
                if empty:
                    raise SourceError(
                        f'{source.description} holds no frame that can be decoded. '
                        f'{self._unread_reason or "Choose another one."}'
                    )
                if not self.parameters['loop']:
                    self._finished = True
                    self.get_logger().info(f'{source.description} is at its end')
                    return
                source.rewind()
                empty = True
                continue
            empty = False
            if self._lost:
                self._lost = ''
                self.get_logger().info(f'{source.description} delivers frames again')
            now = time.monotonic()
            if period and now > due + period:
                # Too slow for the rate: go on from now, rather than make up for it in a burst.
                self._late += 1
                due = now
            elif self._end.wait(max(0.0, due - now)):
                return
            due += period
            self._publish(picture)

    def _skip(self, error: FrameError) -> None:
        """Count a frame that cannot be read; the first of a series is logged."""
        now = time.monotonic()
        if now - self._last_unread > REMEMBERED:
            self.get_logger().warning(
                f'A frame cannot be read and is left out: {error}. Further ones are counted on '
                '/diagnostics.'
            )
        self._unread += 1
        self._last_unread = now
        self._unread_reason = str(error)

    def _open_again(self, source: FrameSource, error: SourceLost) -> None:
        """Open a source that was lost again, with pauses that grow until it delivers a frame."""
        if not self._lost:
            self._pause = FIRST_PAUSE
            self.get_logger().error(f'{error} It is opened again until it delivers frames.')
        while True:
            self._lost = f'{error} It is opened again after {self._pause:g} s.'
            if self._end.wait(self._pause):
                return
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            try:
                source.rewind()
            except SourceError:
                continue
            return

    def _publish(self, picture: Picture) -> None:
        if self.parameters['transport'] == 'compressed':
            message = self._compressed(picture)
        else:
            message = self._raw(picture)
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self.parameters['frame_id']
        self._publisher.publish(message)
        self._published += 1

    def _raw(self, picture: Picture) -> Image:
        message = Image()
        message.height, message.width = picture.shape[:2]
        message.step = message.width * 3
        message.encoding = self.parameters['encoding']
        # An array.array takes the bytes as they are; assigning a numpy array would check each of
        # them, which costs more than 100 ms. Pillow swaps colours faster than numpy does.
        data = array.array('B')
        if message.encoding == 'bgr8':
            data.frombytes(PillowImage.fromarray(picture).tobytes('raw', 'BGR'))
        else:
            data.frombytes(np.ascontiguousarray(picture).data.cast('B'))
        message.data = data
        return message

    def _compressed(self, picture: Picture) -> CompressedImage:
        encoded = io.BytesIO()
        PillowImage.fromarray(picture).save(
            encoded, format='JPEG', quality=self.parameters['jpeg_quality']
        )
        message = CompressedImage()
        message.format = 'jpeg'
        message.data = array.array('B', encoded.getvalue())
        return message


def main() -> int:
    """Run the node."""
    return process.run(CameraNode)
