# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.search.block_sums import BlockTable, Comparison
from support.training import small_network


def test_equal_blocks_are_measured_once():
    module = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)]).eval()
    table = BlockTable()
    assert table.sum(module, Size(16, 16)) > 0.0
    assert len(table) == 1
    table.sum(module, Size(8, 8))
    assert len(table) == 2


def test_the_sum_adds_the_blocks_of_a_sub_network():
    network = small_network()
    table = BlockTable()
    smallest, largest = network.smallest(), network.largest()
    small = table.sum(network.extract(smallest), smallest.size)
    large = table.sum(network.extract(largest), largest.size)
    assert small > 0.0
    # Stem, first block, final layers, and a block each at least.
    assert len(table) >= 8
    assert large > 0.0
    # A second time nothing is measured, so the same comes out.
    assert table.sum(network.extract(smallest), smallest.size) == small


def test_groups_that_take_more_than_a_picture_count_by_their_layers():
    network = create('incremental_group', 'incremental_group_32x32')
    table = BlockTable()
    assert table.sum(network.extract(network.smallest()), Size(32, 32)) > 0.0
    assert len(table) >= len(network.layout.layers)


def test_no_hook_stays_behind():
    module = small_network().extract(small_network().smallest())
    BlockTable().sum(module, Size(24, 24))
    assert not any(each._forward_pre_hooks or each._forward_hooks for each in module.modules())
    module(torch.zeros(1, 3, 24, 24))


def test_a_comparison_has_ranks_and_factors():
    comparison = Comparison.of(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 9.0]))
    assert comparison.rank_correlation == pytest.approx(1.0)
    assert comparison.factors == (2.0, 2.0, 3.0)
    assert comparison.count == 3
    turned = Comparison.of(np.array([1.0, 2.0, 3.0]), np.array([9.0, 4.0, 2.0]))
    assert turned.rank_correlation == pytest.approx(-1.0)
    # Equal values share their rank: by hand, ranks 1.5 1.5 3 against 1 2 3.
    tied = Comparison.of(np.array([1.0, 1.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    assert tied.rank_correlation == pytest.approx(np.sqrt(0.75))
