# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.registry import create_engine
from support.bundles import make_bundle
from support.engines import logits

onnx = pytest.importorskip('onnx')

from dynamic_dnn_ros.networks import onnx_export  # noqa: E402
from dynamic_dnn_ros.networks.onnx_export import (  # noqa: E402
    ExportError,
    evaluator_of,
    export_bundle,
    reference_evaluator,
)


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp('export') / 'synthetic')


def test_each_file_computes_what_the_engine_does(bundle: Bundle, tmp_path: Path) -> None:
    files = list(export_bundle(bundle, tmp_path / 'out'))
    assert [file.path.name for file in files] == ['s0.onnx', 's1.onnx', 's2.onnx']
    described = json.loads((tmp_path / 'out' / 'description.json').read_text())
    assert described['labels'] == list(bundle.manifest.labels)
    mean = np.array(described['preprocessing']['mean'])
    deviation = np.array(described['preprocessing']['standard_deviation'])
    engine = create_engine('torch', bundle, 1)
    for entry, row in zip(bundle.manifest.sub_networks, described['sub_networks']):
        shape = (row['height'], row['width'], 3)
        picture = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
        # As somebody reads it who has only the description.
        image = ((picture / 255 - mean) / deviation).transpose(2, 0, 1)[None].astype(np.float32)
        content = (tmp_path / 'out' / row['file']).read_bytes()
        expected = logits(engine.prepare(entry, 'cpu'), picture)
        for evaluate, name in (evaluator_of(content), reference_evaluator(content)):
            found = evaluate(image)
            assert found.shape == (1, 10), name
            np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)


def test_files_are_plain(bundle: Bundle, tmp_path: Path) -> None:
    (file,) = export_bundle(bundle, tmp_path, ['s2'])
    model = onnx.load(file.path)
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [('', 17)]
    assert [each.name for each in model.graph.input] == ['image']
    assert [each.name for each in model.graph.output] == ['logits']
    operators = {node.op_type for node in model.graph.node}
    assert 'Conv' in operators and 'BatchNormalization' not in operators
    assert file.size == file.path.stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ['description.json', 's2.onnx']


def test_refuses_what_computes_something_else(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smallest = onnx_export.onnx_content
    others = [smallest(module, entry.size) for entry, module in _modules(bundle)]
    monkeypatch.setattr(onnx_export, 'onnx_content', lambda module, size, output: others[2])
    with pytest.raises(ExportError, match="'s1': the outputs of the ONNX file differ"):
        list(export_bundle(bundle, tmp_path, ['s1']))
    assert list(tmp_path.iterdir()) == []


def _modules(bundle: Bundle):
    return onnx_export.modules(bundle, bundle.manifest.sub_networks)


def test_unknown_sub_network_and_folder_that_cannot_be(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no sub-network 's9'"):
        list(export_bundle(bundle, tmp_path, ['s9']))
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(ExportError, match='cannot be written'):
        list(export_bundle(bundle, tmp_path / 'file', ['s0']))
