# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sub-networks whose stages are parts of one network, with every engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dynamic_dnn_ros.bundles.graphs import Graph, parse_graph, stage_numbers
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.bundles.writer import placed_bundle
from dynamic_dnn_ros.engines.checks import check_engine
from dynamic_dnn_ros.engines.contract import EngineError, Outputs
from dynamic_dnn_ros.engines.contract import Stage as RunningStage
from dynamic_dnn_ros.engines.registry import ENGINE_NAMES
from support.engines import created, with_graphs
from support.staged_network import FAMILY, STAGES, StagedMobile, make_staged_bundle, register


@pytest.fixture(scope='module', autouse=True)
def family() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        yield


@pytest.fixture(scope='module')
def staged(family: None, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return with_graphs(make_staged_bundle(tmp_path_factory.mktemp('stages') / 'staged'))


@pytest.fixture(params=ENGINE_NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def picture(sub_network: SubNetwork, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*sub_network.size, 3), np.uint8)


def modules(bundle: Bundle, entry: SubNetwork) -> tuple[nn.Module, ...]:
    from dynamic_dnn_ros.networks.onnx_export import activated

    ((_, network, configuration),) = activated(bundle, [entry])
    return network.extract_stages(configuration)


@torch.inference_mode()
def reference(bundle: Bundle, entry: SubNetwork, pixels: np.ndarray) -> list[np.ndarray]:
    """Return the answer after each stage, by PyTorch's own modules."""
    way = bundle.manifest.preprocessing
    planes = (pixels / 255 - np.array(way.mean)) / np.array(way.standard_deviation)
    batch = torch.from_numpy(planes.transpose(2, 0, 1)[None].astype(np.float32))
    first, last = modules(bundle, entry)
    early, *features = first(batch)
    return [early.numpy(), last(*features)[0].numpy()]


def test_an_engine_keeps_the_contract(staged: Bundle, name: str) -> None:
    def answers(entry: SubNetwork, pixels: np.ndarray) -> Outputs:
        return {'logits': reference(staged, entry, pixels)[-1]}

    check_engine(created(name, staged), staged.manifest.sub_networks, answers)


def test_each_stage_answers(staged: Bundle, name: str) -> None:
    engine = created(name, staged)
    for entry in staged.manifest.sub_networks:
        prepared = engine.prepare(entry, 'cpu')
        assert prepared.stages == (RunningStage('early', True), RunningStage('late', True))
        execution = prepared.begin(picture(entry))
        for expected in reference(staged, entry, picture(entry)):
            outputs = execution.advance()
            assert outputs is not None and list(outputs) == ['logits']
            np.testing.assert_allclose(outputs['logits'], expected, rtol=1e-3, atol=1e-4)
        assert execution.done
        assert prepared.memory > 0


def test_a_bundle_has_a_graph_for_each_stage_and_weights_once(staged: Bundle) -> None:
    onnx = pytest.importorskip('onnx')
    entry = staged.manifest.sub_network('s1')
    assert stage_numbers(entry) == (0, 1)
    names = {'s0.0.graph', 's0.1.graph', 's1.0.graph', 's1.1.graph'}
    assert names <= staged.manifest.files.keys() and 's1.graph' not in staged.manifest.files
    kept = 0
    for number in (0, 1):
        content = staged.other_files[f's1.{number}.graph']
        graph = graph_of(content)
        assert (graph.sub_network, graph.stage) == ('s1', number)
        model = onnx.load_from_string(graph.skeleton)
        kept += sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    assert kept < 0.1 * 4 * entry.parameters


def graph_of(content: bytes) -> Graph:
    import json

    key = json.loads(content.partition(b'\n')[0])['key']
    return parse_graph(content, 'here', key)


def test_a_stage_whose_output_does_not_fit_the_next(staged: Bundle, name: str) -> None:
    entry = staged.manifest.sub_network('s1')
    if name == 'torch':
        broken = replace(entry, stages=(*STAGES[:1], Stage('more', '', 0.5, 0.5, 0), STAGES[1]))
        with pytest.raises(EngineError, match=f"3 stages, and family '{FAMILY}' has 2"):
            created(name, staged).prepare(broken, 'cpu')
        return
    # The first stage of the smaller one hands on fewer rows.
    graph = graph_of(staged.other_files['s0.0.graph'])
    own = graph_of(staged.other_files['s1.0.graph'])
    skeleton = resized(graph.skeleton, 24, 32)
    swapped = replace(own, references=graph.references, skeleton=skeleton)
    files = {**staged.other_files, 's1.0.graph': swapped.content()}
    engine = created(name, replace(staged, other_files=files))
    said = r"stage 'early' of sub-network 's1' hands on next_0 .*stage 'late' takes carried_0 "
    with pytest.raises(EngineError, match=said):
        engine.prepare(entry, 'cpu')


def resized(skeleton: bytes, *sides: int) -> bytes:
    """Return a graph that crops its picture to the size it had."""
    onnx = pytest.importorskip('onnx')
    model = onnx.load_from_string(skeleton)
    small, large = sides
    for side in model.graph.input[0].type.tensor_type.shape.dim:
        if side.dim_value == small:
            side.dim_value = large
    numbers = onnx.numpy_helper.from_array
    model.graph.initializer.extend(
        numbers(np.array(values), label)
        for label, values in (('from', [0, 0]), ('to', [small, small]), ('axes', [1, 2]))
    )
    for node in model.graph.node:
        node.input[:] = ['cropped' if each == 'picture' else each for each in node.input]
    inputs = ['picture', 'from', 'to', 'axes']
    model.graph.node.insert(0, onnx.helper.make_node('Slice', inputs, ['cropped']))
    return bytes(model.SerializeToString())


def test_stages_that_the_family_has_not(staged: Bundle, tmp_path: Path) -> None:
    class Undivided(StagedMobile):
        def extract_stages(self, *_: object, **__: object) -> tuple[nn.Module, ...]:
            return ()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('support.staged_network.StagedMobile', Undivided)
        with pytest.raises(EngineError, match='2 stages, and family .* has none of its config'):
            created('torch', staged).prepare(staged.manifest.sub_network('s0'), 'cpu')
        pytest.importorskip('onnx')
        from dynamic_dnn_ros.networks.graph_export import export_graphs
        from dynamic_dnn_ros.networks.onnx_export import ExportError

        with pytest.raises(ExportError, match="'s0' has 2 stages, and family .* has none"):
            list(export_graphs(staged))


def test_a_stage_that_hands_on_nothing(staged: Bundle) -> None:
    class Ending(StagedMobile):
        def extract_stages(self, *arguments: object, **options: object) -> tuple[nn.Module, ...]:
            first, last = super().extract_stages(*arguments, **options)  # type: ignore[arg-type]
            return Alone(first), last

    class Alone(nn.Module):
        def __init__(self, first: nn.Module) -> None:
            super().__init__()
            self.first = first

        def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor]:
            return (self.first(batch)[0],)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('support.staged_network.StagedMobile', Ending)
        with pytest.raises(EngineError, match="'early' .* gives 1 tensors, an answer among them"):
            created('torch', staged).prepare(staged.manifest.sub_network('s0'), 'cpu')
        pytest.importorskip('onnx')
        from dynamic_dnn_ros.networks.graph_export import export_graphs
        from dynamic_dnn_ros.networks.onnx_export import ExportError

        with pytest.raises(ExportError, match="'early' .* so it hands on 0"):
            list(export_graphs(staged))


def test_graphs_are_made_where_a_bundle_has_none(staged: Bundle) -> None:
    pytest.importorskip('onnxruntime')
    engine = created('onnxruntime', replace(staged, other_files={}))
    # The process that exports does not know the family of this test.
    with pytest.raises(EngineError, match=f"'s0' has no graph .*no s0.0.graph.*{FAMILY}"):
        engine.prepare(staged.manifest.sub_network('s0'), 'cpu')


def test_placed_without_being_written(staged: Bundle) -> None:
    placed = placed_bundle(Path('/nowhere'), staged.manifest, staged.source_content)
    entry = placed.manifest.sub_network('s0')
    outputs = created('torch', placed).prepare(entry, 'cpu').run(picture(entry))
    expected = reference(staged, entry, picture(entry))[-1]
    np.testing.assert_allclose(outputs['logits'], expected, rtol=1e-3, atol=1e-4)
