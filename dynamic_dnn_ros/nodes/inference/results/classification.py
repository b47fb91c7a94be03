# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classifications: the best classes of each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from dynamic_dnn_ros.msg import Classification, ClassScore
from dynamic_dnn_ros.nodes.inference.results.contract import ResultPublisher, is_heard
from dynamic_dnn_ros.nodes.inference.results.foxglove import image_annotations, text_annotation
from dynamic_dnn_ros.nodes.inference.results.vision import LabelInfoPublisher, vision_messages
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.frames import ServedFrame
from dynamic_dnn_ros.tasks.contract import ClassScores
from dynamic_dnn_ros.tasks.drawing import class_colour, draw_scores, font_height


class ClassificationPublisher(ResultPublisher[ClassScores]):
    """
    Publishes the best classes; parameter `results` says how many.

    Topics `~/classification` and, where vision_msgs is installed, `~/vision_classification`.
    """

    def __init__(self, node: StreamNode, bundle: str, labels: Sequence[str]) -> None:
        """Create the publishers; the stream owns them."""
        super().__init__(node, bundle, labels)
        self._ours = self.advertise(Classification, '~/classification')
        self._messages = vision_messages()
        self._info = LabelInfoPublisher.create(node, self._messages, bundle)
        if self._messages is not None:
            self._vision = self.advertise(self._messages.Classification, '~/vision_classification')

    def begin(self) -> None:
        """Publish the labels."""
        if self._info is not None:
            self._info.publish(self.labels, 0.0)

    def publish(self, served: ServedFrame, result: ClassScores) -> None:
        """Publish the best classes, best first."""
        header, _ = served.frame.origin
        best = self._best(result)
        if is_heard(self._ours):
            self._ours.publish(
                Classification(
                    header=header,
                    application=self.node.identifier,
                    sub_network=served.sub_network,
                    processor=served.processor,
                    results=[ClassScore(class_id=name, score=score) for name, score in best],
                )
            )
        if self._messages is not None and is_heard(self._vision):
            hypothesis = self._messages.ObjectHypothesis
            self._vision.publish(
                self._messages.Classification(
                    header=header,
                    results=[hypothesis(class_id=name, score=score) for name, score in best],
                )
            )

    def draw(self, picture: Image.Image, result: ClassScores) -> Image.Image:
        """Draw the best classes as bars."""
        return draw_scores(picture, self._best(result))

    def annotations(self, result: ClassScores, size: Size, messages: Any) -> Any:
        """Write the best class into the upper left."""
        height = font_height(size)
        texts = [
            text_annotation(messages, (0.0, 1.2 * height), f'{name} {score:.2f}', height, colour)
            for (name, score), colour in zip(self._best(result)[:1], [class_colour(0)])
        ]
        return image_annotations(messages, [], texts)

    def _best(self, result: ClassScores) -> list[tuple[str, float]]:
        order = np.argsort(result.scores)[::-1][: self.node.parameters['results']]
        return [(self.labels[number], float(result.scores[number])) for number in order]
