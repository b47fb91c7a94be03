# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from support.shared_data import shared_data


def test_sub_networks_published_with_dynamic_ofa_are_legal():
    path = shared_data('platforms/xavier_nx/dynamic_ofa_levels.json')
    published = json.loads(path.read_text())
    network = OfaMobileNetV3.from_layout(published['super_network'])
    counts = {}
    for level in published['levels']:
        names = ('kernel_size', 'expand_ratio', 'depth', 'resolution')
        configuration = network.configuration({name: level[name] for name in names})
        counts.setdefault(level['set'], []).append(network.multiply_adds(configuration))
    assert sum(map(len, counts.values())) == 13
    # The best of a set needs the most work, roughly what MobileNetV3 of this width needs.
    for of_set in counts.values():
        assert max(of_set) == of_set[-1]
        assert 1.5e8 < min(of_set) < max(of_set) < 8e8


def test_residuals_lie_where_neither_size_nor_width_changes():
    network = OfaMobileNetV3.from_layout('ofa_mbv3_d234_e346_k357_w1.0')
    assert network.first_block.residual
    for stage in network.stages:
        assert [block.residual for block in stage] == [False, True, True, True]


def test_entries_of_blocks_beyond_the_depth_have_no_effect():
    network = OfaMobileNetV3.from_layout('ofa_mbv3_32x32')
    small = network.smallest()
    depth = network.layout.blocks_per_stage
    wide = dataclasses.replace(
        small,
        kernel_size=tuple(5 if index % depth else 3 for index in range(network.layout.blocks)),
        expand_ratio=tuple(4 if index % depth else 2 for index in range(network.layout.blocks)),
    )
    assert network.multiply_adds(wide) == network.multiply_adds(small)
    assert network.parameter_count(wide) == network.parameter_count(small)


def test_kernel_sizes_of_fused_blocks_have_no_effect():
    network = OfaMobileNetV3.from_layout('ofa_mbv3_32x32').eval()
    largest = network.largest()
    fused = [stage.fused for stage in network.layout.stages]
    assert True in fused and False in fused
    depth = network.layout.blocks_per_stage
    other = dataclasses.replace(
        largest,
        kernel_size=tuple(
            3 if fused[index // depth] else size for index, size in enumerate(largest.kernel_size)
        ),
    )
    assert other != largest
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(network.extract(largest)(images), network.extract(other)(images))


def test_a_layout_from_before_there_were_fused_stages_reads():
    mapping = OfaMobileNetV3.from_layout('ofa_mbv3_32x32').layout_mapping()
    for stage in mapping['stages']:
        del stage['fused']
    network = OfaMobileNetV3.from_layout(mapping)
    assert not any(stage.fused for stage in network.layout.stages)


@torch.no_grad()
@pytest.mark.parametrize('layout', ['ofa_mbv3_32x32', 'ofa_mbv3_d234_e346_k357_w1.0'])
def test_channel_sorting_leaves_trained_widths_unchanged(layout):
    torch.manual_seed(0)
    network = OfaMobileNetV3.from_layout(layout).eval()
    ratios = network.choices()['expand_ratio']
    resolution = network.choices()['resolution'][:1]
    images = torch.randn(2, 3, resolution[0], resolution[0])
    unsorted, trained = (
        network.largest({'expand_ratio': (ratio,), 'resolution': resolution})
        for ratio in ratios[:2]
    )
    before = [network.extract(each)(images) for each in (unsorted, trained)]
    network.sort_channels({'expand_ratio': ratios[1:]})
    after = [network.extract(each)(images) for each in (unsorted, trained)]
    assert not torch.allclose(after[0], before[0], rtol=1e-3)
    scale = float(before[1].abs().max())
    assert float((after[1] - before[1]).abs().max()) <= 1e-4 * scale


@torch.no_grad()
def test_channel_sorting_puts_the_most_important_channels_into_the_smallest():
    torch.manual_seed(0)
    network = OfaMobileNetV3.from_layout('ofa_mbv3_32x32').eval()
    smallest = network.smallest()
    images = torch.randn(2, 3, smallest.resolution, smallest.resolution)
    before = network.extract(smallest)(images)
    network.sort_channels()
    assert not torch.allclose(network.extract(smallest)(images), before)
    for stage in network.stages:
        for block in stage:
            importance = block.project.convolution.weight.abs().sum((0, 2, 3))
            assert torch.equal(importance, importance.sort(descending=True).values)
