# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results of an application, as messages of this package and of vision_msgs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rclpy.publisher import Publisher

from dynamic_dnn_ros.msg import Classification, ClassScore
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from dynamic_dnn_ros.nodes.inference.vision_publisher import VisionPublisher
from dynamic_dnn_ros.serving.worker import ServedFrame
from dynamic_dnn_ros.tasks.contract import ClassScores


class ResultPublisher:
    """Publishes the best classes of each served frame."""

    def __init__(self, node: ManagedNode, labels: Sequence[str]) -> None:
        """Create the publishers; the node owns them. Parameter `results` says how many classes."""
        self._parameters = node.parameters
        self._application = node.identifier
        self._labels = labels
        self._classification: Publisher = node.create_lifecycle_publisher(
            Classification, '~/classification', qos.RESULT
        )
        node.own(node.destroy_lifecycle_publisher, self._classification)
        self._vision = VisionPublisher.create(node)
        if self._vision is not None:
            node.own(node.destroy_lifecycle_publisher, self._vision.publisher)

    @property
    def wanted(self) -> bool:
        """Tell whether anybody listens."""
        publishers = [self._classification]
        if self._vision is not None:
            publishers.append(self._vision.publisher)
        return any(publisher.get_subscription_count() > 0 for publisher in publishers)

    def publish(self, served: ServedFrame) -> None:
        """Publish one result under the header of its image."""
        header, _ = served.frame.origin
        assert isinstance(served.result, ClassScores)
        scores = served.result.scores
        best = np.argsort(scores)[::-1][: self._parameters['results']]
        results = [(self._labels[index], float(scores[index])) for index in best]
        self._classification.publish(
            Classification(
                header=header,
                application=self._application,
                sub_network=served.sub_network,
                processor=served.processor,
                results=[ClassScore(class_id=name, score=score) for name, score in results],
            )
        )
        if self._vision is not None:
            self._vision.publish(header, results)
