# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.incremental_group import (
    LAYOUTS,
    IncrementalGroup,
    IncrementalGroupLayout,
)
from support.networks import train_on_noise

SHIPPED = LAYOUTS['incremental_group_32x32']


@pytest.fixture(params=['independent', 'earlier'])
def network(request):
    torch.manual_seed(0)
    return IncrementalGroup(dataclasses.replace(SHIPPED, connections=request.param))


def _images(count):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def _outputs(network, configuration, count):
    network.activate(configuration)
    return network(_images(count)), network.extract(configuration)(_images(count))


@pytest.mark.parametrize('count', [1, 5])
def test_each_configuration_is_the_same_bits_before_and_after_later_groups_train(network, count):
    train_on_noise(network, network.largest())
    kept = []
    for configuration in network.landmarks():
        if kept:
            network.freeze(kept[-1][0])
        states = network.state()
        train_on_noise(network, configuration)
        changed = {
            name
            for name, array in network.state().items()
            if not np.array_equal(array, states[name])
        }
        # All of the new group has trained, statistics too, and nothing else.
        new = f'groups.{configuration.groups - 1}.'
        assert changed == {name for name in states if name.startswith(new)}
        kept.append((configuration, *_outputs(network, configuration, count)))
    for configuration, active, extracted in kept:
        for before, after in zip((active, extracted), _outputs(network, configuration, count)):
            assert torch.equal(before, after)
        assert torch.equal(active, extracted)


def test_a_group_reads_no_later_one(network):
    network.eval()
    for configuration in network.landmarks():
        before = _outputs(network, configuration, 2)
        with torch.no_grad():
            for group in network.groups[configuration.groups :]:
                for tensor in group.state_dict().values():
                    tensor.fill_(torch.nan if tensor.is_floating_point() else 0)
        after = _outputs(network, configuration, 2)
        assert all(torch.equal(*pair) for pair in zip(before, after))
        torch.manual_seed(0)
        network = IncrementalGroup(network.layout).eval()


def test_only_connected_groups_read_earlier_ones(network):
    """Without what the first group says itself, does the second still depend on it?"""
    network.eval()
    two = network.landmarks()[1]

    def second_group() -> torch.Tensor:
        network.activate(network.landmarks()[0])
        first = network(_images(2))
        network.activate(two)
        return network(_images(2)) - first

    with torch.no_grad():
        before = second_group()
        network.groups[0].layers[2].convolution.weight.mul_(-1.0)
        after = second_group()
    # Exact but for the subtraction's rounding.
    unchanged = torch.allclose(before, after, atol=1e-5)
    assert unchanged == (network.layout.connections == 'independent')


def test_frozen_groups_have_no_gradient_and_others_have(network):
    network.freeze(network.landmarks()[1])
    train_on_noise(network, network.largest(), steps=1)
    for index, group in enumerate(network.groups):
        assert all((p.grad is None) == (index < 2) for p in group.parameters())


def test_frozen_groups_stay_in_eval_mode_until_they_are_free_again(network):
    network.train()
    network.freeze(network.landmarks()[2])
    for _ in range(2):
        modes = [{module.training for module in group.modules()} for group in network.groups]
        assert modes == [{False}] * 3 + [{True}]
        network.train()
    network.freeze(network.landmarks()[0])
    assert [group.training for group in network.groups] == [False, True, True, True]
    network.freeze(None)
    assert all(module.training for module in network.modules())
    network.freeze(network.largest())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_an_illegal_configuration_cannot_be_frozen(network):
    with pytest.raises(ConfigurationError, match='groups'):
        network.freeze(dataclasses.replace(network.largest(), groups=5))
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_shipped_layout_spans_its_costs():
    network = IncrementalGroup(SHIPPED)
    costs = [network.multiply_adds(each) for each in network.landmarks()]
    assert len(costs) == 4
    assert 25e6 < costs[-1] < 40e6
    assert costs[0] < costs[-1] / 4


def test_independent_groups_cost_the_same_each():
    network = IncrementalGroup(dataclasses.replace(SHIPPED, connections='independent'))
    costs = [network.multiply_adds(each) for each in network.landmarks()]
    assert costs == [costs[0] * groups for groups in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ('field', 'value', 'named'),
    [
        ('groups', 0, 'groups'),
        ('groups', 2.0, 'groups'),
        ('connections', 'later', 'connections'),
        ('resolution', '32', 'resolution'),
        ('classes', True, 'classes'),
        ('layers', [], 'layers'),
        ('layers', 3, 'layers'),
        ('layers', [3], 'layers[0]'),
        ('layers', [{'width': 8}], 'layers[0]'),
        ('layers', [{'width': 8, 'stride': 1}, {'width': 0, 'stride': 1}], 'layers[1].width'),
        ('layers', [{'width': 8, 'stride': 3}], 'layers[0].stride'),
    ],
)
def test_illegal_layouts_are_refused_by_field(field, value, named):
    with pytest.raises(ConfigurationError) as caught:
        IncrementalGroupLayout.from_mapping({**SHIPPED.to_mapping(), field: value})
    assert caught.value.field == named
