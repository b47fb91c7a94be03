# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The stages that a manifest says of a network that decides by the picture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dynamic_dnn_ros.bundles.stages import problems_of
from dynamic_dnn_ros.networks.adaptive_resnet import AdaptiveResNet
from dynamic_dnn_ros.training.paths import stages_of

_STAGE = {'width': 8, 'middle': 8, 'blocks': 1, 'mode': 'layers', 'granularity': 0}
_LAYOUT: dict[str, Any] = {'resolution': 16, 'stem': 8, 'classes': 3, 'stages': [_STAGE, _STAGE]}


def test_stages_have_the_costs_and_the_shares_of_the_paths_that_pictures_took() -> None:
    torch.manual_seed(0)
    network = AdaptiveResNet.from_layout(_LAYOUT).eval()
    with torch.no_grad():
        stages: Any = network.stages
        first, second = (group.blocks[0].masker.decide for group in stages)
        first.weight.normal_(0, 3)
        first.bias.zero_()
        second.bias.copy_(torch.tensor([9.0, -9.0]))
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
