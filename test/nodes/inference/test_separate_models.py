# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle of separate models, served and switched by a node like any other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

pytest.importorskip('onnx', reason='the models are made with it')
pytest.importorskip('onnxruntime')

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.msg import (
    Application,
    Classification,
    InferenceStatus,
    SubNetworkSwitch,
)
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from dynamic_dnn_ros.pictures.scaling import RawPicture, fitted
from dynamic_dnn_ros.tasks.classification import softmax
from support.graph import LATCHED, Graph
from support.images import image_message, noise
from support.separate_models import make_models_bundle

ID = '/inference_node'


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_models_bundle(tmp_path_factory.mktemp('separate') / 'models')


@pytest.fixture
def node(graph: Graph, models: Bundle) -> Iterator[InferenceNode]:
    values = {'bundle': str(models.folder), 'platform': 'none', 'results': 3}
    node = InferenceNode(
        context=graph.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    graph.add_node(node)
    yield node
    node.stop()
    graph.remove_node(node)
    node.destroy_node()


def scores(bundle: Bundle, identifier: str, message: Image) -> list[float]:
    """Return the probabilities of the labels, the highest first, computed without any node."""
    entry = bundle.manifest.sub_network(identifier)
    picture = RawPicture(
        message.encoding, message.width, message.height, message.step, message.data
    )
    pixels, _ = fitted(picture, entry.size, bundle.manifest.preprocessing)
    outputs = create_engine('onnxruntime', bundle, 1).prepare(entry, 'cpu').run(pixels)
    return sorted(softmax(outputs['scores'][0]).tolist(), reverse=True)


def test_serves_and_switches_models_and_sizes(
    graph: Graph, node: InferenceNode, models: Bundle
) -> None:
    results = graph.collect(Classification, f'{ID}/classification')
    statuses = graph.collect(InferenceStatus, '/dynamic_dnn/inference_status')
    applications = graph.collect(Application, '/dynamic_dnn/application', LATCHED)
    images = graph.publisher(Image, '/image')
    switches = graph.publisher(SubNetworkSwitch, f'{ID}/sub_network_switch', LATCHED)
    node.start()
    assert node.active, node.problem
    presented = applications.wait_for(lambda message: message.sub_network != '')
    assert (presented.family, presented.engine) == ('separate_models', 'onnxruntime')
    assert [entry.id for entry in presented.sub_networks] == ['small_24', 'small_48', 'large']

    message = image_message(noise(64, 96, 3), 'rgb8')
    graph.wait_for_subscriptions(images)
    graph.wait_for_subscriptions(switches)
    for sequence, identifier in enumerate(('small_24', 'small_48', 'large', 'small_24'), 1):
        switches.publish(
            SubNetworkSwitch(
                application=ID, manager='test', sequence=sequence, sub_network=identifier
            )
        )
        answer = statuses.wait_for(
            lambda status, number=sequence: (
                status.event == InferenceStatus.EVENT_SWITCH and status.switch_sequence == number
            )
        )
        assert answer.switch_result == InferenceStatus.SWITCH_APPLIED, answer.message
        results.clear()
        images.publish(message)
        result = results.wait(1)[0]
        assert result.sub_network == identifier
        found = [row.score for row in result.results]
        np.testing.assert_allclose(found, scores(models, identifier, message), atol=1e-6)


def test_an_engine_that_cannot_leaves_the_node_unconfigured(graph: Graph, models: Bundle) -> None:
    values = {'bundle': str(models.folder), 'platform': 'none', 'engine': 'torch'}
    node = InferenceNode(
        context=graph.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    graph.add_node(node)
    try:
        node.start()
        assert not node.active
        assert 'holds separate models. Name one of: auto, onnxruntime' in node.problem
    finally:
        node.stop()
        graph.remove_node(node)
        node.destroy_node()
