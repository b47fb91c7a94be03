# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results as they are published."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rclpy.parameter import Parameter

from dynamic_dnn_ros.msg import Classification
from dynamic_dnn_ros.nodes.inference.result_publisher import ResultPublisher
from dynamic_dnn_ros.tasks.contract import ClassScores
from support.graph import Graph
from support.serving import served_frame, serving_node

CLASSES = ('cat', 'dog', 'ship')


def test_the_best_classes_come_first_with_their_probabilities(graph: Graph) -> None:
    node = serving_node(graph, results=2)
    results = ResultPublisher(node, CLASSES)
    assert not results.wanted
    collected = graph.collect(Classification, '/inference_node/classification')
    graph.spin_until(lambda: results.wanted)
    node.trigger_configure()
    node.trigger_activate()

    result = ClassScores(np.array([0.2, 0.7, 0.1]))
    results.publish(served_frame(0.0, result=result, processor='gpu'))
    (first,) = collected.wait(1)
    assert [(row.class_id, pytest.approx(row.score)) for row in first.results] == [
        ('dog', 0.7),
        ('cat', 0.2),
    ]
    assert (first.header.frame_id, first.application) == ('front', '/inference_node')
    assert (first.sub_network, first.processor) == ('s1', 'gpu')

    node.set_parameters([Parameter('results', value=10)])
    results.publish(served_frame(0.0, result=result))
    second = collected.wait(2)[1]
    assert [row.class_id for row in second.results] == ['dog', 'cat', 'ship']
    assert math.fsum(row.score for row in second.results) == pytest.approx(1.0)
