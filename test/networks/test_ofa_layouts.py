# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.ofa_layouts import LAYOUTS, MobileNetV3Layout


@pytest.mark.parametrize(
    ('name', 'first', 'stages', 'last'),
    [
        ('w1.0', (16, 16), (24, 40, 80, 112, 160), (960, 1280)),
        ('w1.2', (24, 24), (32, 48, 96, 136, 192), (1152, 1536)),
    ],
)
def test_published_layouts_have_the_published_widths(name, first, stages, last):
    layout = LAYOUTS[f'ofa_mbv3_d234_e346_k357_{name}']
    assert (layout.stem_width, layout.first_block_width) == first
    assert tuple(stage.width for stage in layout.stages) == stages
    assert (layout.final_expand_width, layout.feature_width) == last
    assert tuple(stage.stride for stage in layout.stages) == (2, 2, 2, 1, 2)
    assert [stage.squeeze_excitation for stage in layout.stages] == [0, 1, 0, 1, 1]
    assert layout.blocks == 20


@pytest.mark.parametrize(
    ('field', 'value', 'named'),
    [
        ('stem_width', 0, 'stem_width'),
        ('stem_stride', 3, 'stem_stride'),
        ('first_block_activation', 'swish', 'first_block_activation'),
        ('kernel_sizes', [4], 'kernel_sizes'),
        ('kernel_sizes', [5, 3], 'kernel_sizes'),
        ('kernel_sizes', 3, 'kernel_sizes'),
        ('depths', [], 'depths'),
        ('expand_ratios', [2, 2], 'expand_ratios'),
        ('resolutions', ['32'], 'resolutions'),
        ('classes', True, 'classes'),
        ('stages', [], 'stages'),
        ('stages', [3], 'stages[0]'),
        ('stages', [{'width': 8}], 'stages[0]'),
    ],
)
def test_illegal_layouts_are_refused_by_field(field, value, named):
    mapping = LAYOUTS['ofa_mbv3_32x32'].to_mapping()
    with pytest.raises(ConfigurationError) as caught:
        MobileNetV3Layout.from_mapping({**mapping, field: value})
    assert caught.value.field == named


@pytest.mark.parametrize(
    ('field', 'value'),
    [('width', -8), ('stride', 3), ('activation', 'tanh'), ('squeeze_excitation', 1)],
)
def test_illegal_stages_are_refused_by_field(field, value):
    mapping = LAYOUTS['ofa_mbv3_32x32'].to_mapping()
    mapping['stages'][1][field] = value
    with pytest.raises(ConfigurationError) as caught:
        MobileNetV3Layout.from_mapping(mapping)
    assert caught.value.field == f'stages[1].{field}'
