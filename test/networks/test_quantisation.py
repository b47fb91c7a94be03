# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
import logging
from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.graphs import Graph, graph_key, graph_name, parse_graph
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import EngineError, Precision
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.classification import Classification
from support.engines import logits

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from dynamic_dnn_ros.networks.quantisation import quantised_graphs  # noqa: E402


def pictures(size: Size, count: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, *size, 3), np.uint8))


def quantised(bundle: Bundle) -> list[Graph]:
    sizes = {entry.size for entry in bundle.manifest.sub_networks}
    calibration = {size: pictures(size, 8) for size in sizes}
    return list(quantised_graphs(bundle, calibration, '8 pictures of noise'))


@pytest.fixture(scope='module')
def graphs(family_bundle: Bundle) -> list[Graph]:
    return quantised(family_bundle)


@pytest.fixture(scope='module')
def bundle(family_bundle: Bundle, graphs: list[Graph]) -> Bundle:
    """Return a bundle with graphs in int8, and no others."""
    files = {
        graph_name(
            family_bundle.manifest.sub_network(graph.sub_network), quantised=True
        ): graph.content()
        for graph in graphs
    }
    return replace(family_bundle, other_files={**family_bundle.other_files, **files})


def test_weights_of_most_convolutions_are_in_eight_bits(graphs: list[Graph]) -> None:
    for graph in graphs:
        model = onnx.load_from_string(graph.skeleton).graph
        tensors = {tensor.name: tensor for tensor in model.initializer}
        producers = {name: node for node in model.node for name in node.output}
        kinds: dict[str, list[int]] = {'int8': [], 'float32': []}
        for node in model.node:
            if node.op_type != 'Conv':
                continue
            source = producers.get(node.input[1])
            if source is None:
                kinds['float32'].append(tensors[node.input[1]].dims[1])
                continue
            assert source.op_type == 'DequantizeLinear'
            weight, scale = tensors[source.input[0]], tensors[source.input[1]]
            assert weight.data_type == onnx.TensorProto.INT8
            assert list(scale.dims) == [weight.dims[0]], 'a scale for each filter'
            kinds['int8'].append(weight.dims[1])
        # The first one takes three colours, a depthwise one takes one plane.
        assert max(kinds['float32']) == 3 and min(kinds['int8']) > 3
        assert len(kinds['int8']) > 5


def test_a_graph_says_what_it_is(family_bundle: Bundle, graphs: list[Graph]) -> None:
    manifest = family_bundle.manifest
    weights = manifest.weights_sha256
    for graph, entry in zip(graphs, manifest.sub_networks):
        key = graph_key(manifest, weights, entry, quantised=True)
        assert key != graph_key(manifest, weights, entry)
        assert parse_graph(graph.content(), '', key, quantised=True) == graph
        assert graph.calibration == '8 pictures of noise'


def test_leaves_logging_as_it_was(family_bundle: Bundle) -> None:
    before = logging.getLogger().level
    quantised(family_bundle)
    assert logging.getLogger().level == before


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_engines_run_it_near_float32(bundle: Bundle, name: str) -> None:
    pytest.importorskip(name)
    expected = create_engine('torch', bundle, 1)
    engine = create_engine(name, bundle, 1, Precision.INT8)
    assert engine.precision is Precision.INT8 and engine.processors[-1] == 'cpu'
    for entry in bundle.manifest.sub_networks:
        probes = pictures(entry.size, 4, seed=1)
        found, wanted = [
            {'logits': np.stack([logits(prepared, each) for each in probes])}
            for prepared in (engine.prepare(entry, 'cpu'), expected.prepare(entry, 'cpu'))
        ]
        assert 0 < Classification().departure(found, wanted) < 0.08, entry.id


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_what_is_not_there_is_refused_with_the_command(
    family_bundle: Bundle, bundle: Bundle, name: str
) -> None:
    pytest.importorskip(name)
    remedy = 'bundle export BUNDLE --precision int8 --data PICTURES'
    with pytest.raises(EngineError, match=f"has no graphs in int8.*{remedy}.*'float32'"):
        create_engine(name, family_bundle, 1, Precision.INT8)
    s0, s1, s2 = family_bundle.manifest.sub_networks[:3]
    files = dict(bundle.other_files)
    del files['s0.int8.graph']
    files['s1.int8.graph'] = files['s2.int8.graph']
    engine = create_engine(name, replace(bundle, other_files=files), 1, Precision.INT8, [].append)
    with pytest.raises(EngineError, match=f'the bundle has no s0.int8.graph.*{remedy}'):
        engine.prepare(s0, 'cpu')
    with pytest.raises(EngineError, match=f"'s1' has no graph.*made for.*'s2'.*{remedy}"):
        engine.prepare(s1, 'cpu')
    assert engine.prepare(s2, 'cpu').sub_network == s2


def test_graphs_in_float32_are_not_taken_from_it(bundle: Bundle, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(tmp_path))
        engine = create_engine('onnxruntime', bundle, 1, Precision.FLOAT32, said.append)
        entry = bundle.manifest.sub_networks[0]
        found = logits(engine.prepare(entry, 'cpu'), pictures(entry.size, 1)[0])
    reference = create_engine('torch', bundle, 1).prepare(entry, 'cpu')
    expected = logits(reference, pictures(entry.size, 1)[0])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert 'exporting' in said[0]
