# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A camera for machines that have none: publishes pictures, a video, a camera or a bag."""

from __future__ import annotations

import array
from collections.abc import Sequence
from copy import copy
import io
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
    FrameSource,
    Picture,
    SourceError,
    open_source,
)
from dynamic_dnn_ros.nodes.common import main as process
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic, Level
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification


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
        super().__init__('camera_node', **arguments)

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
        )
        compressed = self.parameters['transport'] == 'compressed'
        self._publisher = self.create_publisher(
            CompressedImage if compressed else Image,
            'image/compressed' if compressed else 'image',
            copy(qos.SENSOR_PUBLICATION),  # rclpy writes the overrides of this topic into it
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._published = 0
        self._late = 0
        self.get_logger().info(f'publishes {self._source.description}')

    def activate(self) -> None:
        """Begin to publish, in a thread: decoding and cameras block."""
        assert self._source is not None
        self._end.clear()
        self._finished = False
        self._source_problem = ''
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
        elif self._finished:
            level, message = Level.OK, 'the source is at its end'
        else:
            level, message = Level.OK, 'publishes'
        values = {'published frames': self._published, 'late frames': self._late}
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
            picture = source.read()
            if picture is None:
                if empty:
                    raise SourceError(
                        f'{source.description} holds no frame that can be decoded. Choose '
                        'another one.'
                    )
                if not self.parameters['loop']:
                    self._finished = True
                    self.get_logger().info(f'{source.description} is at its end')
                    return
                source.rewind()
                empty = True
                continue
            empty = False
            now = time.monotonic()
            if period and now > due + period:
                # Too slow for the rate: go on from now, rather than make up for it in a burst.
                self._late += 1
                due = now
            elif self._end.wait(max(0.0, due - now)):
                return
            due += period
            self._publish(picture)

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
