# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import random

import pytest
import torch

from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.sandwich import Sandwich
from support.training import colour_pictures, small_network


@pytest.fixture
def batch():
    pictures = colour_pictures(20)
    return torch.from_numpy(pictures.images).permute(0, 3, 1, 2), torch.from_numpy(pictures.labels)


def _activated(sampled, batch, steps, largest_only=False):
    """Return which sub-networks each step ran."""
    network = small_network()
    rule = Sandwich(network, Normalisation((0.5,) * 3, (0.25,) * 3), 0.0, sampled)
    activate, runs = network.activate, []
    network.activate = lambda configuration: (
        runs[-1].append(configuration),
        activate(configuration),
    )
    generator = random.Random(0)
    for step in range(steps):
        runs.append([])
        rule.backward(*batch, step, generator, largest_only)
    return network, runs


def test_smallest_and_random_ones_take_turns(batch):
    network, runs = _activated(1, batch, 6)
    assert all(len(run) == 2 and run[0] == network.largest() for run in runs)
    assert [run[1] for run in runs[1::2]] == [network.smallest()] * 3
    assert len({run[1] for run in runs[0::2]}) == 3


def test_with_more_the_smallest_is_always_there(batch):
    network, runs = _activated(3, batch, 2)
    assert all(run[:2] == [network.largest(), network.smallest()] for run in runs)
    assert all(len(run) == 4 for run in runs)


def test_the_largest_alone(batch):
    network, runs = _activated(2, batch, 2, largest_only=True)
    assert runs == [[network.largest()]] * 2


def test_gradients_of_all_sub_networks_add_up(batch):
    alone, _ = _activated(1, batch, 1, largest_only=True)
    both, _ = _activated(1, batch, 1)
    weight = 'classifier.weight'
    assert not torch.allclose(alone.get_parameter(weight).grad, both.get_parameter(weight).grad)


def test_the_teacher_learns_nothing_from_the_student(batch):
    # What only the largest uses, its deepest block, has the same gradient with and without.
    alone, _ = _activated(1, batch, 1, largest_only=True)
    network = small_network()
    rule = Sandwich(network, Normalisation((0.5,) * 3, (0.25,) * 3), 0.0, 1)
    rule.backward(*batch, 1, random.Random(0), False)
    name = 'stages.1.1.depthwise.convolution.weight'
    torch.testing.assert_close(alone.get_parameter(name).grad, network.get_parameter(name).grad)
