# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sub-networks behind a gate, with every engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.writer import weights_content, write_bundle
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.engines.contract import Stage as RunningStage
from dynamic_dnn_ros.engines.registry import ENGINE_NAMES
from dynamic_dnn_ros.networks.gates import GateNetwork
from dynamic_dnn_ros.networks.onnx_export import activated
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.networks.slimmable.capture import capture
from dynamic_dnn_ros.serving.path import follow
from support.bundles import PREPROCESSING, make_bundle
from support.engines import created, with_graphs
from support.gated_bundle import SEEDS, STAGES, make_gated_bundle, picture
from support.small_networks import Transformer


@pytest.fixture(scope='module')
def gated(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return with_graphs(make_gated_bundle(tmp_path_factory.mktemp('gates') / 'gated'))


@torch.inference_mode()
def reference(bundle: Bundle, pixels: np.ndarray) -> tuple[int, list[np.ndarray]]:
    """Return which choice the gate makes, and what each answers, by PyTorch's own modules."""
    way = bundle.manifest.preprocessing
    planes = (pixels / 255 - np.array(way.mean)) / np.array(way.standard_deviation)
    batch = torch.from_numpy(planes.transpose(2, 0, 1)[None].astype(np.float32))
    ((_, network, configuration),) = activated(bundle, [bundle.manifest.sub_network('s1')])
    first, *rest = network.extract_stages(configuration)
    scores, *features = first(batch)
    return int(scores.argmax()), [part(*features)[0].numpy() for part in rest]


@pytest.mark.parametrize('name', ENGINE_NAMES)
def test_a_picture_takes_the_branch_that_its_gate_picks(gated: Bundle, name: str) -> None:
    entry = gated.manifest.sub_network('s1')
    engine = created(name, gated)
    engine.largest_batch = 4
    prepared = engine.prepare(entry, 'cpu')
    assert prepared.stages == (
        RunningStage('early', exit=False, gate=True),
        RunningStage('narrow', exit=True),
        RunningStage('wide', exit=True),
    )
    task = gated.manifest.make_task()
    pictures = [picture(seed) for seed in SEEDS]
    choices = []
    for pixels in pictures:
        choice, answers = reference(gated, pixels)
        choices.append(choice)
        path = follow(prepared, pixels, task)
        assert path.stage == ('narrow', 'wide')[choice] and path.work == (0.5, 1.0)[choice]
        np.testing.assert_allclose(path.outputs['logits'], answers[choice], rtol=1e-3, atol=1e-3)
        largest = prepared.run(pixels)['logits']
        np.testing.assert_allclose(largest, answers[1], rtol=1e-3, atol=1e-3)
    assert set(choices) == {0, 1}, 'the pictures of this test take both'
    one, other = choices.index(0), choices.index(1)
    ways = [prepared.begin(pictures[index]) for index in (one, other)]
    assert prepared.advance_together(ways) == [None, None]
    assert [way.stage for way in ways] == [1, 2], 'a batch splits at a gate'


def test_scores_that_are_no_number_take_the_largest_path_and_are_counted(
    gated: Bundle, tmp_path: Path
) -> None:
    """With PyTorch: graphs with such weights are refused when they are made."""
    weights = gated.weights()
    weights.network['gates.0.score.bias'][0] = np.nan
    broken = write_bundle(tmp_path / 'broken', gated.manifest, weights_content(weights))
    prepared = created('torch', broken).prepare(broken.manifest.sub_network('s1'), 'cpu')
    task = gated.manifest.make_task()
    for pixels in map(picture, SEEDS):
        _, answers = reference(gated, pixels)
        path = follow(prepared, pixels, task)
        assert (path.stage, path.work, path.undecided) == ('wide', 1.0, 1)
        np.testing.assert_allclose(path.outputs['logits'], answers[1], rtol=1e-3, atol=1e-3)


def test_a_branch_that_takes_something_else(gated: Bundle) -> None:
    entry = gated.manifest.sub_network('s1')
    early, narrow, wide = entry.stages
    three = replace(
        entry, stages=(early, narrow, replace(wide, last=True), replace(wide, name='x'))
    )
    with pytest.raises(EngineError, match='has 4 stages, and family .* has 3'):
        created('torch', gated).prepare(three, 'cpu')


@pytest.fixture(scope='module')
def fewer(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Write a bundle of a transformer whose gate picks how many patches go on."""
    torch.manual_seed(0)
    captured = capture(Transformer(classes=10), 'transformer', (32,), patches=(25, 100))
    plain = captured.network
    place = list(plain.places(plain.largest())).index('blocks.0')
    choices = [plain.largest({'patches': (share,)}).to_mapping() for share in (25, 100)]
    gate = {'after': place, 'squeeze': 4, 'choices': choices}
    network = create('slimmable', {**plain.layout_mapping(), 'gates': [gate]})
    assert isinstance(network, GateNetwork)
    with torch.no_grad():
        for name in ('head.weight', 'gates.0.score.weight'):
            network.get_parameter(name).mul_(20.0)
        network.get_parameter('gates.0.reduce.bias').fill_(2.0)
        pictures = torch.from_numpy(np.stack([picture(seed) for seed in SEEDS])).float()
        mean, deviation = (
            torch.tensor(each) for each in (PREPROCESSING.mean, PREPROCESSING.standard_deviation)
        )
        shown = ((pictures / 255 - mean) / deviation).permute(0, 3, 1, 2)
        scores = network.eval().extract_stages(network.gated(0))[0](shown)[0]
        # So that half of the pictures take each branch.
        middle = (scores[:, 0] - scores[:, 1]).median() + 0.3
        network.get_parameter('gates.0.score.bias')[0] -= middle
    folder = tmp_path_factory.mktemp('patches') / 'fewer'
    configurations = [network.smallest(), network.gated(0)]
    made = make_bundle(folder, network=network, configurations=configurations)
    first, second = made.manifest.sub_networks
    manifest = replace(made.manifest, sub_networks=(first, replace(second, stages=STAGES)))
    return with_graphs(write_bundle(folder, manifest, made.source_content))


@pytest.mark.parametrize('name', ENGINE_NAMES)
def test_a_gate_picks_how_many_patches_go_on(fewer: Bundle, name: str) -> None:
    prepared = created(name, fewer).prepare(fewer.manifest.sub_network('s1'), 'cpu')
    task = fewer.manifest.make_task()
    choices = set()
    for pixels in map(picture, SEEDS[:6]):
        choice, answers = reference(fewer, pixels)
        choices.add(choice)
        path = follow(prepared, pixels, task)
        assert path.stage == ('narrow', 'wide')[choice]
        np.testing.assert_allclose(path.outputs['logits'], answers[choice], rtol=1e-3, atol=1e-3)
    assert choices == {0, 1}, 'the pictures of this test take both'
