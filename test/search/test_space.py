# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from dynamic_dnn_ros.networks.registry import create, family_names
from dynamic_dnn_ros.search.space import SearchSpace, draw_candidates, key_of
from support.slimmable import convolutions, layout_of
from support.training import small_network

LAYOUTS = {
    'adaptive_resnet': 'adaptive_96x96',
    'ofa_detector': 'ofa_detector_96',
    'ofa_mobilenet_v3': 'ofa_mbv3_32x32',
    'incremental_group': 'incremental_group_32x32',
    'slimmable': layout_of(convolutions()),
}


@pytest.mark.parametrize('family', family_names())
def test_genes_stand_for_configurations_of_every_family(family):
    network = create(family, LAYOUTS[family])
    space = SearchSpace(network)
    generator = random.Random(0)
    for _ in range(20):
        configuration = network.sample(generator)
        genes = space.encode(configuration)
        assert (genes >= 0).all()
        assert (genes <= space.upper).all()
        assert space.decode(genes) == configuration
    assert space.decode(np.zeros_like(space.upper)) == network.smallest()
    assert space.decode(space.upper) == network.largest()


def test_entries_without_effect_are_lowered_and_no_others():
    network = small_network()
    space = SearchSpace(network)
    generator = random.Random(1)
    pictures = torch.randn(2, 3, 32, 32)
    changed = 0
    for _ in range(20):
        configuration = network.sample(generator, {'resolution': (32,)})
        canonical = space.simplest(configuration)
        assert canonical.depth == configuration.depth
        with torch.no_grad():
            same = torch.equal(
                network.extract(configuration)(pictures), network.extract(canonical)(pictures)
            )
        assert same
        changed += canonical != configuration
    assert changed
    # At full depth every entry has an effect.
    assert (space.canonical(space.upper) == space.upper).all()


def test_the_start_is_canonical_distinct_and_has_both_ends():
    network = small_network()
    space = SearchSpace(network)
    start = space.start(12, seed=0)
    assert len({tuple(genes) for genes in start}) == len(start) > 6
    for genes in start:
        assert (space.canonical(genes) == genes).all()
    found = {tuple(genes) for genes in start}
    for end in (network.smallest(), network.largest()):
        assert tuple(space.canonical(space.encode(end))) in found


def test_candidates_are_distinct_repeat_and_hold_both_ends():
    network = small_network()
    drawn = draw_candidates(network, 20, seed=0)
    # Both halves hold the two ends, and may share a few more.
    assert 15 <= len(drawn) == len(set(drawn)) <= 18
    assert {network.smallest(), network.largest()} <= set(drawn)
    assert draw_candidates(network, 20, seed=0) == drawn
    assert draw_candidates(network, 20, seed=1) != drawn


def test_candidates_spread_evenly_over_their_cost():
    network = small_network()
    costs = sorted(network.multiply_adds(each) for each in draw_candidates(network, 20, seed=0))
    ratios = np.diff(np.log(costs))
    assert ratios.max() < 5.0 * ratios.mean()


def test_keys_tell_configurations_apart():
    assert key_of({'a': 1, 'b': [1, 2]}) == key_of({'b': [1, 2], 'a': 1})
    assert key_of({'a': 1}) != key_of({'a': 2})
