# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections: boxes in pixels of the camera's image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from std_msgs.msg import Header

from dynamic_dnn_ros.msg import Detection
from dynamic_dnn_ros.msg import Detections as DetectionsMessage
from dynamic_dnn_ros.nodes.inference.results.contract import ResultPublisher, is_heard
from dynamic_dnn_ros.nodes.inference.results.foxglove import (
    box_annotation,
    image_annotations,
    text_annotation,
)
from dynamic_dnn_ros.nodes.inference.results.vision import LabelInfoPublisher, vision_messages
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.frames import ServedFrame
from dynamic_dnn_ros.serving.tracking import UNTRACKED, TrackedDetections
from dynamic_dnn_ros.tasks.contract import Detections
from dynamic_dnn_ros.tasks.drawing import (
    box_text,
    class_colour,
    draw_detections,
    font_height,
    line_width,
)


class DetectionPublisher(ResultPublisher[Detections]):
    """
    Publishes what was found, the best first, with track ids where objects are tracked.

    Topics `~/detections` and, where vision_msgs is installed, `~/vision_detections`.
    """

    def __init__(self, node: StreamNode, bundle: str, labels: Sequence[str]) -> None:
        """Create the publishers; the stream owns them."""
        super().__init__(node, bundle, labels)
        self._ours = self.advertise(DetectionsMessage, '~/detections')
        self._messages = vision_messages()
        self._info = LabelInfoPublisher.create(node, self._messages, bundle)
        # Messages are filled anew for each frame: to make them costs ten times as much.
        self._rows: list[Detection] = []
        self._vision_rows: list[Any] = []
        self._threshold = -1.0
        if self._messages is not None:
            self._vision = self.advertise(self._messages.Detection2DArray, '~/vision_detections')

    def begin(self) -> None:
        """Publish the labels."""
        self._threshold = float(self.node.parameters['score_limit'])
        if self._info is not None:
            self._info.publish(self.labels, self._threshold)

    def publish(self, served: ServedFrame, result: Detections) -> None:
        """Publish detections, none as well."""
        header, _ = served.frame.origin
        if is_heard(self._ours):
            self._ours.publish(self.message(header, served, result))
        if self._messages is not None and is_heard(self._vision):
            self._vision.publish(self.vision_message(header, result))
        if self.node.parameters['score_limit'] != self._threshold:
            self.begin()

    def message(
        self, header: Header, served: ServedFrame, result: Detections
    ) -> DetectionsMessage:
        """Return our message; its detections are those of the next one too."""
        rows = self._filled(self._rows, len(result), Detection)
        for row, box, score, number, track_id in zip(
            rows,
            result.boxes.tolist(),
            result.scores.tolist(),
            result.classes.tolist(),
            track_ids_of(result),
        ):
            row.class_id = self.labels[number]
            row.score = score
            row.x_min, row.y_min, row.x_max, row.y_max = box
            row.track_id = track_id
        size = served.placement.picture
        return DetectionsMessage(
            header=header,
            application=self.node.identifier,
            sub_network=served.sub_network,
            processor=served.processor,
            image_height=size.height,
            image_width=size.width,
            detections=rows,
        )

    def vision_message(self, header: Header, result: Detections) -> Any:
        """Return `vision_msgs/Detection2DArray`; its detections are those of the next one too."""
        rows = self._filled(self._vision_rows, len(result), self._empty_vision_row)
        boxes = result.boxes.astype(np.float64)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        sizes = boxes[:, 2:] - boxes[:, :2]
        for row, centre, size, score, number, track_id in zip(
            rows,
            centres.tolist(),
            sizes.tolist(),
            result.scores.tolist(),
            result.classes.tolist(),
            track_ids_of(result),
        ):
            row.header = header
            hypothesis = row.results[0].hypothesis
            hypothesis.class_id = self.labels[number]
            hypothesis.score = score
            box = row.bbox
            position = box.center.position
            position.x, position.y = centre
            box.size_x, box.size_y = size
            row.id = str(track_id) if track_id != UNTRACKED else ''
        return self._messages.Detection2DArray(header=header, detections=rows)

    def draw(self, picture: Image.Image, result: Detections) -> Image.Image:
        """Draw boxes with label, track id and score."""
        return draw_detections(picture, result, self.labels, track_ids_of(result))

    def annotations(self, result: Detections, size: Size, messages: Any) -> Any:
        """Return boxes and texts."""
        height, width = font_height(size), line_width(size)
        outlines, texts = [], []
        for box, score, number, track_id in zip(
            result.boxes.tolist(),
            result.scores.tolist(),
            result.classes.tolist(),
            track_ids_of(result),
        ):
            colour = class_colour(number)
            outlines.append(box_annotation(messages, box, width, colour))
            text = box_text(self.labels[number], score, track_id)
            # Above the box, or in it where there is no room above.
            lower = box[1] if box[1] >= 1.3 * height else box[1] + 1.3 * height
            texts.append(text_annotation(messages, (box[0], lower), text, height, colour))
        return image_annotations(messages, outlines, texts)

    @staticmethod
    def _filled(rows: list[Any], count: int, create: Any) -> list[Any]:
        while len(rows) < count:
            rows.append(create())
        return rows[:count]

    def _empty_vision_row(self) -> Any:
        row = self._messages.Detection2D()
        row.results.append(self._messages.ObjectHypothesisWithPose())
        return row


def track_ids_of(result: Detections) -> Sequence[int]:
    """Return the track id of each detection, `UNTRACKED` where objects are not tracked."""
    if isinstance(result, TrackedDetections):
        return [int(track_id) for track_id in result.track_ids]
    return [UNTRACKED] * len(result)
