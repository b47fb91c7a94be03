# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results as `vision_msgs`, where that package is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from dynamic_dnn_ros.msg import Classification
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from support.bundles import make_bundle
from support.graph import Graph
from support.images import image_message, noise

vision = pytest.importorskip('vision_msgs.msg', reason='vision_msgs is not installed')


def test_the_same_results_as_vision_messages(graph: Graph, tmp_path: Path) -> None:
    values = {'bundle': str(make_bundle(tmp_path / 'b').folder), 'platform': 'none', 'lazy': True}
    node = InferenceNode(
        context=graph.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    graph.add_node(node)
    node.start()
    ours = graph.collect(Classification, '/inference_node/classification')
    theirs = graph.collect(vision.Classification, '/inference_node/vision_classification')
    images = graph.publisher(Image, '/image')
    graph.wait_for_subscriptions(images)
    images.publish(image_message(noise(40, 30, 1), frame_id='front'))
    result, message = ours.wait(1)[0], theirs.wait(1)[0]
    assert message.header == result.header
    assert [(row.class_id, row.score) for row in message.results] == [
        (row.class_id, row.score) for row in result.results
    ]
    node.stop()
