# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Segmentations: a label image of the camera's size."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
import sys

import numpy as np
from PIL import Image
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from dynamic_dnn_ros.msg import Segmentation
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.inference.results.contract import ResultPublisher, is_heard
from dynamic_dnn_ros.nodes.inference.results.vision import LabelInfoPublisher, vision_messages
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.serving.frames import ServedFrame
from dynamic_dnn_ros.tasks.contract import LabelMap
from dynamic_dnn_ros.tasks.drawing import draw_label_map


class SegmentationPublisher(ResultPublisher[LabelMap]):
    """
    Publishes the class of each pixel, and which classes there are.

    Topics `~/label_image`, `~/segmentation` and, where vision_msgs is installed, `~/label_info`.
    """

    def __init__(self, node: StreamNode, bundle: str, labels: Sequence[str]) -> None:
        """Create the publishers; the stream owns them."""
        super().__init__(node, bundle, labels)
        self._ours = self.advertise(Segmentation, '~/segmentation')
        self._image = self.advertise(ImageMessage, '~/label_image', qos.SENSOR_PUBLICATION)
        self._info = LabelInfoPublisher.create(node, vision_messages(), bundle)

    def begin(self) -> None:
        """Publish the labels."""
        if self._info is not None:
            self._info.publish(self.labels, 0.0)

    def publish(self, served: ServedFrame, result: LabelMap) -> None:
        """Publish the label image, then what is in it."""
        header, _ = served.frame.origin
        if is_heard(self._image):
            self._image.publish(label_image(header, result))
        if is_heard(self._ours):
            self._ours.publish(self._summary(header, served, result))

    def draw(self, picture: Image.Image, result: LabelMap) -> Image.Image:
        """Colour the pixels by their class."""
        return draw_label_map(picture, result, self.labels)

    def _summary(self, header: Header, served: ServedFrame, result: LabelMap) -> Segmentation:
        counts = np.bincount(result.classes.ravel(), minlength=LabelMap.UNLABELLED + 1)
        counts[LabelMap.UNLABELLED] = 0
        counts = counts[: len(self.labels)]
        order = np.argsort(-counts, kind='stable')
        found = [int(number) for number in order if counts[number]]
        height, width = result.classes.shape
        return Segmentation(
            header=header,
            application=self.node.identifier,
            sub_network=served.sub_network,
            processor=served.processor,
            image_height=height,
            image_width=width,
            labels=array('H', found),
            class_ids=[self.labels[number] for number in found],
            shares=array('f', [counts[number] / result.classes.size for number in found]),
        )


def label_image(header: Header, result: LabelMap) -> ImageMessage:
    """Return the class of each pixel as an image, mono8 or mono16."""
    classes = np.ascontiguousarray(result.classes)
    height, width = classes.shape
    wide = classes.dtype.itemsize > 1
    data = array('B')
    data.frombytes(classes.tobytes())
    return ImageMessage(
        header=header,
        height=height,
        width=width,
        encoding='mono16' if wide else 'mono8',
        is_bigendian=int(wide and sys.byteorder == 'big'),
        step=width * classes.dtype.itemsize,
        data=data,
    )
