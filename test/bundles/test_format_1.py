# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bundles that ship are of format 1, and are what they were when only it was known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.graphs import graph_key, graph_name, onnx_model, parse_graph
from dynamic_dnn_ros.bundles.manifest import CLASSIFICATION, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.bundles.writer import rewrite_bundle, write_bundle
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.verification import response
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import RawPicture, fitted
from dynamic_dnn_ros.tasks.contract import Limits
from support.images import noise

#: SHA-256 over the whole ONNX models of all sub-networks, made by the release before format 2.
MODELS = {
    'cifar10_ofa': 'db61229ce6993dd1ce168d14ae4902d6413d3ed273d0777fcde3e093cb13af2d',
    'cifar10_incremental_group': (
        'c885619ce3b0e870711d1d0b19e3f845c5bd75fa35d705551d725ddced3fa598'
    ),
}


@pytest.fixture(params=MODELS)
def shipped(request: pytest.FixtureRequest) -> Bundle:
    return read_bundle(find_bundle(request.param))


def models(bundle: Bundle) -> dict[str, bytes]:
    """Return the ONNX model of each sub-network, of the bundle's own graphs."""
    weights = bundle.weight_views()
    found = {}
    for entry in bundle.manifest.sub_networks:
        name = graph_name(entry)
        key = graph_key(bundle.manifest, bundle.manifest.weights_sha256, entry)
        graph = parse_graph(bundle.other_files[name], name, key)
        statistics = weights.batch_norm_statistics[entry.id]
        found[entry.id] = onnx_model(graph, weights.network, statistics, name)
    return found


def test_says_in_format_2_what_it_said(shipped: Bundle) -> None:
    manifest = shipped.manifest
    said = json.loads((shipped.folder / 'manifest.json').read_text())
    assert said['format_version'] == 1
    source = SuperNetwork(said['family'], said['layout'], said['weights'])
    assert (manifest.source, manifest.task) == (source, CLASSIFICATION)
    assert list(manifest.labels) == said['classes']
    for entry, row in zip(manifest.sub_networks, said['sub_networks']):
        assert entry.size == Size(row['resolution'], row['resolution'])
        assert (entry.id, entry.accuracy) == (row['id'], row['accuracy'])
        assert entry.configuration == row['configuration']


def test_models_are_those_of_before_to_the_bit(shipped: Bundle) -> None:
    digest = hashlib.sha256()
    for name, content in models(shipped).items():
        digest.update(name.encode() + content)
    assert digest.hexdigest() == MODELS[shipped.manifest.name]


def test_answers_as_it_was_recorded(shipped: Bundle) -> None:
    task = shipped.manifest.make_task()
    engine = create_engine('torch', shipped, 1)
    assert len(shipped.responses) == len(shipped.manifest.sub_networks)
    for entry in shipped.manifest.sub_networks:
        found = response(engine.prepare(entry, 'cpu'))
        assert task.departure(found, shipped.responses[entry.id]) < 1e-5


def test_a_result_is_the_softmax_of_the_logits(shipped: Bundle) -> None:
    manifest = shipped.manifest
    entry = manifest.sub_networks[-1]
    pixels = noise(48, 64, 0)
    picture = RawPicture('rgb8', 64, 48, 3 * 64, pixels.tobytes())
    fitting, placement = fitted(picture, entry.size, manifest.preprocessing)
    outputs = create_engine('torch', shipped, 1).prepare(entry, 'cpu').run(fitting)
    result = manifest.make_task().decode(outputs, 0, placement, manifest.labels, Limits())
    logits = outputs['logits'][0].astype(np.float64)
    exponentials = np.exp(logits - logits.max())
    assert np.array_equal(result.scores, exponentials / exponentials.sum())


def test_written_again_it_is_the_same_in_format_2(shipped: Bundle, tmp_path: Path) -> None:
    content = shipped.source_content
    written = write_bundle(
        tmp_path / 'again', shipped.manifest, content, shipped.profiles, shipped.other_files
    )
    assert json.loads((written.folder / 'manifest.json').read_text())['format_version'] == 2
    assert models(written) == models(shipped)
    assert written.manifest.sub_networks == shipped.manifest.sub_networks
    again = rewrite_bundle(written)
    assert again.sha256 == written.sha256, 'nothing changes from then on'
