# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import random

import pytest
import torch

from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.training.configuration import Phase, Rule
from dynamic_dnn_ros.training.space import AloneSpace, SuperNetworkSpace
from support.training import small_network


def _phase(**changes):
    return Phase('phase', Rule.LARGEST, epochs=1, learning_rate=0.1, **changes)


def test_channels_are_sorted_once_where_a_phase_begins():
    network = small_network()
    space = SuperNetworkSpace(network)
    importance = network.get_parameter('stages.1.0.project.convolution.weight')
    before = importance.clone()
    space.enter(_phase(sort_channels=True), (), anew=False)
    assert torch.equal(importance, before)
    space.enter(_phase(sort_channels=True), (), anew=True)
    assert importance.detach().abs().sum((0, 2, 3)).diff().max() <= 1e-6


@pytest.mark.parametrize(('rule', 'stays'), [(Rule.LARGEST, False), (Rule.SAMPLED, True)])
def test_widths_that_were_trained_stay_as_they_are(rule, stays):
    network = small_network().eval()
    earlier = Phase('earlier', rule, epochs=1, learning_rate=0.1)
    smallest = network.smallest()
    images = torch.randn(2, 3, smallest.resolution, smallest.resolution)
    before = network.extract(smallest)(images)
    SuperNetworkSpace(network).enter(_phase(sort_channels=True), (earlier,), anew=True)
    after = network.extract(smallest)(images)
    assert torch.allclose(after, before, atol=1e-5) is stays


def test_a_phase_freezes_and_the_next_one_frees():
    network = create('incremental_group', 'incremental_group_32x32')
    space = SuperNetworkSpace(network)
    parameters = sum(1 for _ in network.parameters())
    space.enter(_phase(freeze={'groups': 2}), (), anew=True)
    trained = sum(parameter.requires_grad for parameter in network.parameters())
    assert 0 < trained < parameters
    space.enter(_phase(), (), anew=True)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_phase_trains_the_last_layers_only_and_the_next_one_all():
    network = create('incremental_group', 'incremental_group_32x32')
    space = SuperNetworkSpace(network)
    space.enter(_phase(only=network.last_layers), (), anew=True)
    trained = {name for name, each in network.named_parameters() if each.requires_grad}
    assert trained == {
        f'groups.{group}.classifier.{tensor}'
        for group in range(4)
        for tensor in ('weight', 'bias')
    }
    space.enter(_phase(), (), anew=True)
    assert all(parameter.requires_grad for parameter in network.parameters())
    with pytest.raises(ConfigurationError, match="only is 'head': allowed is parts of the net"):
        space.enter(_phase(only=('head',)), (), anew=True)


def test_a_family_that_shares_weights_freezes_nothing():
    space = SuperNetworkSpace(small_network())
    with pytest.raises(ConfigurationError, match='freeze'):
        space.enter(_phase(freeze={'depth': 1}), (), anew=True)


def test_a_sub_network_alone_is_the_plain_network_of_its_architecture():
    network = small_network()
    configuration = network.sample(random.Random(1))
    space = AloneSpace(network, configuration)
    assert {space.largest({}), space.smallest({}), space.sample(random.Random(0), {})} == {
        configuration
    }
    expected = network.extract(configuration)
    images = torch.randn(4, 3, configuration.resolution, configuration.resolution)
    torch.testing.assert_close(space.extract(configuration)(images), expected(images))
    assert space.module.state_dict().keys() == expected.state_dict().keys()
    trained = sum(parameter.numel() for parameter in space.module.parameters())
    assert trained == network.parameter_count(configuration)


def test_a_sub_network_alone_takes_gradients_of_plain_layers():
    network = small_network()
    configuration = network.largest()
    space = AloneSpace(network, configuration)
    plain = network.extract(configuration).requires_grad_(True).train()
    images = torch.randn(4, 3, configuration.resolution, configuration.resolution)
    for module in (space.module.train(), plain):
        module(images).square().sum().backward()
    for (name, found), expected in zip(space.module.named_parameters(), plain.parameters()):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-3, atol=1e-3, msg=name)


def test_spaces_tell_their_checkpoints_apart():
    network = small_network()
    identities = [
        SuperNetworkSpace(network).identity(),
        AloneSpace(network, network.smallest()).identity(),
        AloneSpace(network, network.largest()).identity(),
    ]
    assert len({tuple(identity.items()) for identity in identities}) == 3
