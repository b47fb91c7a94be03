# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.graphs import INPUT_NAME, graph_key, onnx_model, parse_graph
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.engines.registry import create_engine
from support.cascades import cascade, with_cascades
from support.engines import logits

onnx = pytest.importorskip('onnx')

from dynamic_dnn_ros.networks import graph_export, onnx_export  # noqa: E402
from dynamic_dnn_ros.networks.graph_export import export_graphs, export_into  # noqa: E402
from dynamic_dnn_ros.networks.onnx_export import (  # noqa: E402
    ExportError,
    evaluator_of,
    reference_evaluator,
)


def test_a_graph_computes_what_the_engine_does(family_bundle: Bundle) -> None:
    engine = create_engine('torch', family_bundle, 1)
    weights = family_bundle.weights()
    for graph in export_graphs(family_bundle):
        entry = family_bundle.manifest.sub_network(graph.sub_network)
        content = onnx_model(
            graph, weights.network, weights.batch_norm_statistics[entry.id], 'graph'
        )
        onnx.checker.check_model(content, full_check=True)
        picture = np.random.default_rng(3).integers(0, 256, (*entry.size, 3), np.uint8)
        expected = logits(engine.prepare(entry, 'cpu'), picture)
        for evaluate, name in (
            evaluator_of(content, INPUT_NAME),
            reference_evaluator(content, INPUT_NAME),
        ):
            found = evaluate(picture[None])[0]
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg=name)


def test_has_no_second_copy_of_the_weights(family_bundle: Bundle) -> None:
    weights = sum(4 * entry.parameters for entry in family_bundle.manifest.sub_networks)
    kept = 0
    for graph in export_graphs(family_bundle):
        model = onnx.load_from_string(graph.skeleton)
        kept += sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    # Kernels that a learnt transform makes are in no weights file.
    assert kept < 0.1 * weights


def test_puts_them_into_the_bundle(family_bundle: Bundle) -> None:
    read = read_bundle(export_into(family_bundle).folder)
    identifiers = [entry.id for entry in read.manifest.sub_networks]
    assert {f'{name}.graph' for name in identifiers} <= read.manifest.files.keys()
    assert read.manifest.sub_networks == family_bundle.manifest.sub_networks
    for entry in read.manifest.sub_networks:
        key = graph_key(read.manifest, read.manifest.weights_sha256, entry)
        assert parse_graph(read.other_files[f'{entry.id}.graph'], '', key).references


def test_refuses_what_computes_something_else(
    family_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        onnx_export, 'evaluator_of', lambda content, name: (lambda x: np.zeros((1, 10)), 'zero')
    )
    with pytest.raises(ExportError, match="'s1': the outputs of its graph differ.*zero"):
        list(export_graphs(family_bundle, ['s1']))
    with pytest.raises(BundleError, match="no sub-network 's9'"):
        list(export_graphs(family_bundle, ['s9']))


def test_as_a_program(
    family_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert graph_export.main([str(family_bundle.folder), str(tmp_path), 's1']) == 0
    assert [path.name for path in tmp_path.iterdir()] == ['s1']
    assert graph_export.main([str(family_bundle.folder), str(tmp_path), 's9']) == 1
    assert "no sub-network 's9'" in capsys.readouterr().err


def test_a_cascade_has_no_graph_of_its_own(family_bundle: Bundle) -> None:
    first, *_, last = family_bundle.manifest.sub_networks
    both = cascade(family_bundle, first=first.id, last=last.id)
    cascading = with_cascades(family_bundle, both)
    with pytest.raises(BundleError, match=f"'c0'.* Export .* its stages: {first.id}, {last.id}"):
        list(export_graphs(cascading, ['c0']))
    exported = onnx_export.exported(cascading.manifest, [])
    assert exported == family_bundle.manifest.sub_networks
