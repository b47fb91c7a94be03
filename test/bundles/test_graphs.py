# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
import json

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.graphs import (
    FORMAT_VERSION,
    NETWORK,
    STATISTICS,
    Graph,
    TensorReference,
    graph_key,
    onnx_model,
    parse_graph,
)
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size

LAYOUT = {'classes': 2}
ENTRY = SubNetwork('s0', {'depth': [1]}, Size(32, 32), 0.5, 10, 10, 2)
MANIFEST = Manifest(
    'one',
    SuperNetwork('family', LAYOUT),
    ('a', 'b'),
    Preprocessing(Resize.STRETCH, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
    (ENTRY,),
)
REFERENCES = [
    TensorReference('w', NETWORK, 'layer.weight', (2, 3)),
    TensorReference('m', STATISTICS, 'layer.mean', (300,)),
]
GRAPH = Graph('s0', 'key', REFERENCES, b'\x08\x08\n skeleton with a\n new line')


def test_reads_back_what_was_written() -> None:
    assert parse_graph(GRAPH.content(), 'file', 'key') == GRAPH


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'no json\nabc',
        b'{}\nabc',
        b'[1]\nabc',
        b'[' * 200_000 + b'\nabc',
        GRAPH.content().replace(b'300', b'1e999', 1),
        GRAPH.content().partition(b'\n')[0],
    ],
)
def test_refuses_what_is_no_graph(content: bytes) -> None:
    with pytest.raises(BundleError, match='s0.graph: is no graph.*bundle export'):
        parse_graph(content, 's0.graph', 'key')


def test_refuses_another_version_and_another_origin() -> None:
    line, _, rest = GRAPH.content().partition(b'\n')
    newer = json.dumps({**json.loads(line), 'format_version': FORMAT_VERSION + 1}).encode()
    with pytest.raises(BundleError, match=f'version {FORMAT_VERSION + 1}.*bundle export'):
        parse_graph(newer + b'\n' + rest, 's0.graph', 'key')
    with pytest.raises(BundleError, match="made for sub-network 's0' from other weights"):
        parse_graph(GRAPH.content(), 's1.graph', 'another key')


def test_key_tells_apart_all_that_a_graph_is_made_from() -> None:
    others = [
        graph_key(MANIFEST, 'other weights', ENTRY),
        graph_key(MANIFEST, 'weights', replace(ENTRY, configuration={'depth': [2]})),
        graph_key(MANIFEST, 'weights', replace(ENTRY, id='s1')),
        graph_key(
            replace(MANIFEST, source=SuperNetwork('family', {'classes': 3})), 'weights', ENTRY
        ),
        graph_key(replace(MANIFEST, source=SuperNetwork('other', LAYOUT)), 'weights', ENTRY),
        graph_key(
            replace(MANIFEST, preprocessing=replace(MANIFEST.preprocessing, mean=(0.4, 0.5, 0.5))),
            'weights',
            ENTRY,
        ),
    ]
    key = graph_key(MANIFEST, 'weights', ENTRY)
    assert len({key, *others}) == 7
    # What says nothing of the outputs does not matter.
    assert graph_key(replace(MANIFEST, name='two'), 'weights', replace(ENTRY, accuracy=0.1)) == key


def test_appends_the_leading_parts_of_tensors() -> None:
    onnx = pytest.importorskip('onnx')
    helper = onnx.helper
    skeleton = helper.make_model(
        helper.make_graph(
            [helper.make_node('Identity', ['w'], ['o'])],
            'g',
            [],
            [helper.make_tensor_value_info('o', onnx.TensorProto.FLOAT, [2, 3])],
            [onnx.numpy_helper.from_array(np.ones(1, np.float32), 'kept')],
        )
    )
    weight = np.arange(20, dtype=np.float32).reshape(4, 5)
    mean = np.linspace(0, 1, 400, dtype=np.float32)
    graph = replace(GRAPH, skeleton=skeleton.SerializeToString())
    content = onnx_model(graph, {'layer.weight': weight}, {'layer.mean': mean}, 'file')
    model = onnx.load_from_string(content)
    found = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    assert set(found) == {'kept', 'w', 'm'}
    assert np.array_equal(found['w'], weight[:2, :3])
    assert np.array_equal(found['m'], mean[:300])
    assert len(model.graph.node) == 1


@pytest.mark.parametrize('shape', [(1, 3), (4,)])
def test_names_a_tensor_that_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(BundleError, match="s0.graph: needs the tensor 'layer.weight'"):
        onnx_model(GRAPH, {'layer.weight': np.zeros(shape, np.float32)}, {}, 's0.graph')
    with pytest.raises(BundleError, match="needs the tensor 'layer.weight'"):
        onnx_model(GRAPH, {}, {}, 's0.graph')
