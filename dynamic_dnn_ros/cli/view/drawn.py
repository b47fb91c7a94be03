# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a camera with results drawn on them here, where no node draws them: in a replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
import functools
import io
from typing import Any
import zlib

import numpy as np
from PIL import Image as Pillow
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.msg import Classification
from dynamic_dnn_ros.msg import Detections as DetectionsMessage
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.inference.images import SerialisedImage
from dynamic_dnn_ros.pictures.scaling import PictureError
from dynamic_dnn_ros.tasks.contract import Detections
from dynamic_dnn_ros.tasks.drawing import draw_detections, draw_scores

LONGEST_SIDE = 640
"""Pixels of a picture as it is sent to viewers, at most."""

QUALITY = 75

PATIENCE = 1.0
"""Seconds without a result after which pictures are shown without."""

MOST_BYTES = 16 << 20
"""Of pictures that wait for their results, together; a larger one is left alone."""

MOST_WAITING = 32
"""Pictures that wait for their results, at most."""

KINDS = {
    'sensor_msgs/msg/CompressedImage': CompressedImage,
    'sensor_msgs/msg/Image': Image,
}
_OWN = ('/annotated', '/annotated/compressed', '/label_image')

Maker = Callable[[], bytes]
"""Makes a JPEG when it is asked for."""


def camera_of(
    application: str, topics: Iterable[tuple[str, Sequence[str]]]
) -> tuple[str, type] | None:
    """
    Return the camera topic of an application, by name, with its message; None: none is found.

    :param application: the node, or the node and one of its cameras
    :param topics: of the graph that somebody publishes, with their types
    """
    cameras = {
        name: KINDS[kind]
        for name, kinds in topics
        for kind in kinds
        if kind in KINDS and not name.endswith(_OWN)
    }
    namespace, _, last = application.rpartition('/')
    above = namespace.rpartition('/')[0]
    for base in (f'{namespace}/image', f'{above}/{last}/image'):
        for name in (f'{base}/compressed', base):
            if name in cameras:
                return name, cameras[name]
    # Remapped: there is no doubt where there is one camera only.
    roots = {name.removesuffix('/compressed') for name in cameras}
    if len(roots) == 1:
        return min(cameras.items(), key=lambda row: -len(row[0]))
    return None


def drawn_picture(image: SerialisedImage, result: Any) -> bytes:
    """
    Return a picture as JPEG, with its result.

    :param result: `Detections`, `Classification`, or None
    :raises PictureError: when it cannot be read
    """
    canvas = image.picture().open().convert('RGB')
    canvas.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    if isinstance(result, DetectionsMessage):
        canvas = _with_boxes(canvas, result)
    elif isinstance(result, Classification):
        canvas = draw_scores(canvas, [(row.class_id, row.score) for row in result.results])
    file = io.BytesIO()
    canvas.save(file, 'JPEG', quality=QUALITY)
    return file.getvalue()


def _with_boxes(canvas: Pillow.Image, message: DetectionsMessage) -> Pillow.Image:
    rows = message.detections
    scale = canvas.width / (message.image_width or canvas.width)
    # The same colour for a class in every picture, without a list of all classes.
    labels = {zlib.crc32(row.class_id.encode()) % 4096: row.class_id for row in rows}
    numbers = [zlib.crc32(row.class_id.encode()) % 4096 for row in rows]
    boxes = [[row.x_min, row.y_min, row.x_max, row.y_max] for row in rows]
    found = Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4) * np.float32(scale),
        np.asarray([row.score for row in rows], np.float32),
        np.asarray(numbers, np.int64),
    )
    tracks = [row.track_id for row in rows]
    return draw_detections(canvas, found, _Labels(labels), tracks)


class _Labels(Sequence[str]):
    """Names of classes by numbers that have gaps."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names

    def __getitem__(self, index: Any) -> Any:
        return self._names[index]

    def __len__(self) -> int:
        return max(self._names, default=-1) + 1


class DrawnPictures:
    """Hears one camera and one application's results, and pairs those of one stamp."""

    def __init__(
        self,
        node: Node,
        application: str,
        camera: tuple[str, type],
        give: Callable[[Maker], None],
        clock: Callable[[], float],
        period: float,
    ) -> None:
        """
        Begin to hear.

        :param camera: topic and message
        :param give: takes each picture
        :param period: s between two pictures, at least
        """
        self._node = node
        self._give = give
        self._clock = clock
        self._period = period
        self._due = 0.0
        self._plain_due = clock() + PATIENCE
        self._waiting: deque[tuple[SerialisedImage, int]] = deque()
        self._bytes = 0
        topic, self._kind = camera
        self._subscriptions = [
            node.create_subscription(
                self._kind, topic, self._on_picture, qos.SENSOR_SUBSCRIPTION, raw=True
            ),
            *(
                node.create_subscription(
                    kind,
                    f'{application}/{name}',
                    functools.partial(self._on_result, kind),
                    qos.RESULT,
                    raw=True,
                )
                for kind, name in (
                    (DetectionsMessage, 'detections'),
                    (Classification, 'classification'),
                )
            ),
        ]

    def close(self) -> None:
        """Hear no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _on_picture(self, raw: bytes) -> None:
        if len(raw) > MOST_BYTES:
            return
        try:
            image = SerialisedImage(raw, self._kind)
        except PictureError:
            return
        now = self._clock()
        if now >= self._plain_due:
            self._plain_due = now + PATIENCE
            self._hand_over(image, None)
            return
        self._waiting.append((image, len(raw)))
        self._bytes += len(raw)
        while self._bytes > MOST_BYTES or len(self._waiting) > MOST_WAITING:
            self._bytes -= self._waiting.popleft()[1]

    def _on_result(self, kind: type, raw: bytes) -> None:
        now = self._clock()
        if now < self._due:
            return
        try:
            result = deserialize_message(raw, kind)
        except Exception:  # of another release, say; rclpy has no type of its own for it
            return
        for image, _ in self._waiting:
            if image.header.stamp == result.header.stamp:
                self._due = now + self._period
                self._plain_due = now + PATIENCE
                self._waiting.clear()
                self._bytes = 0
                self._hand_over(image, result)
                return

    def _hand_over(self, image: SerialisedImage, result: Any) -> None:
        self._give(functools.partial(drawn_picture, image, result))
