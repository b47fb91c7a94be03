# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The stages that a manifest says of a network that decides by the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dynamic_dnn_ros.bundles.manifest import Manifest, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Weights
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.bundles.stages import problems_of
from dynamic_dnn_ros.bundles.writer import weights_content
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.verification import write_recorded_bundle
from dynamic_dnn_ros.networks.adaptive_resnet import AdaptiveResNet
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.serving.path import follow
from dynamic_dnn_ros.training.export import manifest_entry
from dynamic_dnn_ros.training.paths import stages_of

_STAGE = {'width': 8, 'middle': 8, 'blocks': 1, 'mode': 'layers', 'granularity': 0}
_LAYOUT: dict[str, Any] = {'resolution': 16, 'stem': 8, 'classes': 3, 'stages': [_STAGE, _STAGE]}


def _network() -> AdaptiveResNet:
    """Return one whose first block runs for some pictures, and whose second for none."""
    torch.manual_seed(0)
    network = AdaptiveResNet.from_layout(_LAYOUT).eval()
    stages: Any = network.stages
    with torch.no_grad():
        first, second = (group.blocks[0].masker.decide for group in stages)
        first.weight.normal_(0, 3)
        first.bias.zero_()
        second.bias.copy_(torch.tensor([9.0, -9.0]))
    return network


def test_stages_have_the_costs_and_the_shares_of_the_paths_that_pictures_took() -> None:
    network = _network()
    configuration = network.largest()
    pictures = torch.randn(16, 3, 16, 16) + 3 * torch.randn(16, 3, 1, 1)
    found = stages_of(network, configuration, [pictures[:10], pictures[10:]])
    entry = SimpleNamespace(id='s1', size=configuration.size, stages=found)
    assert list(problems_of(entry, {}, has_parts=True)) == []
    by_name = {stage.name: stage for stage in found}
    assert by_name['begin'].choices == ('group_0_none', 'group_0_0')
    assert by_name['group_1_none'].taken == 1 and by_name['group_1_0'].taken == 0
    network.activate(configuration)
    network(pictures)
    decisions = network.decisions()
    assert decisions is not None
    rate = float(decisions.rates[0])
    assert 0 < rate < 1 and float(decisions.rates[1]) == 0
    expected = sum(by_name[name].cost or 0 for name in ('begin', 'group_1_none')) + (
        rate * (by_name['group_0_0'].cost or 0) + (1 - rate) * (by_name['group_0_none'].cost or 0)
    )
    assert by_name['group_1_none'].work == pytest.approx(expected)


def test_what_is_undivided_has_no_stages() -> None:
    network = AdaptiveResNet.from_layout(_LAYOUT).eval()
    assert stages_of(network, network.smallest(), []) == ()


def test_a_bundle_is_served_along_the_paths_of_its_pictures(tmp_path: Path) -> None:
    network = _network()
    configuration = network.largest()
    pictures = [probe_picture(index, configuration.size) for index in range(8)]
    preprocessing = Preprocessing(Resize.STRETCH, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    images = [
        (torch.from_numpy(each).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.25
        for each in pictures
    ]
    stages = stages_of(network, configuration, images)
    entry = replace(manifest_entry(network, configuration, 's0', 0.5), stages=stages)
    manifest = Manifest(
        name='adaptive',
        source=SuperNetwork('adaptive_resnet', network.layout_mapping()),
        labels=('a', 'b', 'c'),
        preprocessing=preprocessing,
        sub_networks=(entry,),
    )
    content = weights_content(Weights(network.state(), {'s0': {}}))
    bundle = write_recorded_bundle(tmp_path / 'adaptive', manifest, content)
    prepared = create_engine('torch', bundle, 1).prepare(bundle.manifest.sub_networks[0], 'cpu')
    masked = network.extract(configuration)
    works = []
    for picture, image in zip(pictures, images):
        path = follow(prepared, picture, manifest.make_task())
        expected = masked(image).detach().numpy()
        assert path.outputs['logits'] == pytest.approx(expected, abs=1e-4)
        works.append(path.work)
    assert sum(works) / len(works) == pytest.approx(entry.mean_work, abs=1e-5)
    assert max(works) < 1
