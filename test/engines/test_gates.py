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
from dynamic_dnn_ros.networks.onnx_export import activated
from dynamic_dnn_ros.serving.path import follow
from support.engines import created, with_graphs
from support.gated_bundle import SEEDS, make_gated_bundle, picture


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
