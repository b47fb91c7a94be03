# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A network that decides by the picture: what is not run is not missed, and nothing is masked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dynamic_dnn_ros.networks.adaptive_gathering import run_channels, run_patches
from dynamic_dnn_ros.networks.adaptive_layers import ResidualBlock
from dynamic_dnn_ros.networks.adaptive_layouts import AdaptiveStageLayout
from dynamic_dnn_ros.networks.adaptive_resnet import AdaptiveResNet
from dynamic_dnn_ros.networks.checks import ConfigurationError
from dynamic_dnn_ros.networks.onnx_export import runner_of, traced_model
from support.adaptive_bundle import LAYOUT, adaptive_network

_STAGES: list[dict[str, Any]] = LAYOUT['stages']


@torch.no_grad()
def test_stages_answer_as_the_masked_network_does_and_take_different_paths() -> None:
    network = adaptive_network(0)
    configuration = network.largest()
    masked = network.extract(configuration)
    parts = network.extract_stages(configuration)
    routes = network.stage_routes(configuration)
    paths = set()
    shades = 4 * torch.randn(12, 1, 3, 1, 1)
    for picture in torch.randn(12, 1, 3, 32, 32) + shades:
        number, values = 0, picture
        path = [0]
        while routes[number]:
            scores, values = parts[number](values)
            number = routes[number][int(scores[0].argmax())]
            path.append(number)
        paths.add(tuple(path))
        assert torch.allclose(parts[number](values)[0], masked(picture), atol=1e-4)
    assert len(paths) > 1
    assert all(len(path) == 1 + len(_STAGES) for path in paths), 'a stage a group, and one before'


@torch.no_grad()
def test_a_gate_that_gives_no_number_gives_none_at_all() -> None:
    network = adaptive_network(0)
    begin = network.extract_stages(network.largest())[0]
    picture = torch.full((1, 3, 32, 32), float('nan'))
    assert not begin(picture)[0].isfinite().any()


@pytest.mark.parametrize('share', [0.0, 0.3, 1.0])
@torch.no_grad()
def test_patches_and_channels_that_run_are_those_of_the_masked_block(share: float) -> None:
    torch.manual_seed(1)
    features = torch.randn(3, 8, 12, 12).relu()
    patches = ResidualBlock(AdaptiveStageLayout(8, 4, 1, 'patches', 4), masked=True).eval()
    runs = torch.rand(3, 3, 3) < share
    expected = patches.masked(features, runs.float())
    assert torch.allclose(run_patches(patches, features, runs), expected, atol=1e-5)
    channels = ResidualBlock(AdaptiveStageLayout(8, 8, 1, 'channels', 2), masked=True).eval()
    groups = torch.rand(3, 4) < share
    expected = channels.masked(features, groups.float()[:, :, None])
    assert torch.allclose(run_channels(channels, features, groups), expected, atol=1e-5)


class _Patches(nn.Module):
    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, features: torch.Tensor, runs: torch.Tensor) -> torch.Tensor:
        return run_patches(self.block, features, runs > 0)


@torch.no_grad()
def test_a_graph_gathers_however_many_patches_run() -> None:
    torch.manual_seed(2)
    block = ResidualBlock(AdaptiveStageLayout(8, 4, 1, 'patches', 4), masked=True).eval()
    features = torch.randn(1, 8, 12, 12).relu()
    runs = (torch.rand(1, 3, 3) < 0.5).float()
    model = traced_model(_Patches(block), (features, runs), ['features', 'runs'], fold=False)
    run, _ = runner_of(model)
    for count in (0, 2, 9):
        runs = (torch.arange(9) < count).float().reshape(1, 3, 3)
        (found,) = run({'features': features.numpy(), 'runs': runs.numpy()})
        assert np.allclose(found, block.masked(features, runs).numpy(), atol=1e-5)


def test_thrift_runs_less_and_the_undivided_network_decides_nothing() -> None:
    network = adaptive_network(0)
    pictures = torch.randn(8, 3, 32, 32)
    works = []
    for threshold in network.choices()['threshold']:
        network.activate(network.largest({'threshold': (threshold,)}))
        network(pictures)
        decisions = network.decisions()
        assert decisions is not None
        works.append(float(decisions.work()))
    assert works == sorted(works) and works[0] < works[-1] < 1
    network.activate(network.smallest())
    assert network.decisions() is None


@pytest.mark.parametrize(
    ('change', 'field'),
    [
        ({'granularity': 3}, 'stages[0].granularity'),
        ({'granularity': 8}, 'stages[0].granularity'),
        ({'mode': 'rows'}, 'stages[0].mode'),
        ({'blocks': 5}, 'stages[0].blocks'),
        ({'mode': 'layers'}, 'stages[0].granularity'),
    ],
)
def test_illegal_layouts_are_refused_by_field(change: dict[str, Any], field: str) -> None:
    stages = [{**_STAGES[0], **change}, *_STAGES[1:]]
    with pytest.raises(ConfigurationError) as caught:
        AdaptiveResNet.from_layout({**LAYOUT, 'stages': stages})
    assert caught.value.field == field
