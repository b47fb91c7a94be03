# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every family must keep; a new family is one more row of CASES."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.family_checks import check_family
from dynamic_dnn_ros.networks.incremental_group import LAYOUTS as GROUP_LAYOUTS
from dynamic_dnn_ros.networks.registry import create, family_class, family_names
from support.networks import train_on_noise
from support.slimmable import convolutions, layout_of, transformer, with_patches

_INDEPENDENT = dataclasses.replace(
    GROUP_LAYOUTS['incremental_group_32x32'], connections='independent'
)

_PATCHES = {'width': 8, 'middle': 8, 'blocks': 1, 'mode': 'patches', 'granularity': 4}
_ADAPTIVE = {'resolution': 32, 'stem': 8, 'classes': 3, 'stages': [_PATCHES]}

CASES = {
    'adaptive_resnet': ('adaptive_resnet', _ADAPTIVE),
    'ofa_mbv3_32x32': ('ofa_mobilenet_v3', 'ofa_mbv3_32x32'),
    'ofa_mbv3_w1.0': ('ofa_mobilenet_v3', 'ofa_mbv3_d234_e346_k357_w1.0'),
    'ofa_mbv3_w1.2': ('ofa_mobilenet_v3', 'ofa_mbv3_d234_e346_k357_w1.2'),
    'ofa_detector_96': ('ofa_detector', 'ofa_detector_96'),
    'ofa_detector_352': ('ofa_detector', 'ofa_detector_352'),
    'incremental_group': ('incremental_group', 'incremental_group_32x32'),
    'independent_groups': ('incremental_group', _INDEPENDENT.to_mapping()),
    'slimmable_convolutions': ('slimmable', layout_of(convolutions())),
    'slimmable_transformer': ('slimmable', layout_of(transformer())),
    'slimmable_patches': ('slimmable', layout_of(with_patches())),
}


@pytest.mark.usefixtures('one_thread')
@pytest.mark.parametrize('case', CASES)
def test_every_family_keeps_the_contract(case):
    family, layout = CASES[case]
    check_family(family_class(family), layout)


def test_every_registered_family_has_a_case():
    assert {family for family, _ in CASES.values()} == set(family_names())


def test_unknown_family_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r'family.*nonesuch.*incremental_group, ofa'):
        create('nonesuch', {})


@pytest.mark.parametrize('case', CASES)
def test_extracted_modules_are_plain(case):
    network = create(*CASES[case])
    static = network.extract(network.largest())
    assert not any('Elastic' in type(module).__name__ for module in static.modules())


@pytest.mark.parametrize('case', ['incremental_group', 'independent_groups'])
def test_a_frozen_sub_network_stays_the_same_bits(case):
    torch.manual_seed(3)
    network = create(*CASES[case])
    smallest, largest = network.smallest(), network.largest()
    images = torch.randn(2, 3, *smallest.size)
    before = network.extract(smallest)(images)
    network.freeze(smallest)
    train_on_noise(network, largest)
    assert torch.equal(network.extract(smallest)(images), before)
    network.freeze(None)
    train_on_noise(network, largest)
    assert not torch.allclose(network.extract(smallest)(images), before)


@pytest.mark.parametrize('case', ['ofa_mbv3_32x32'])
def test_a_family_that_can_keep_no_sub_network_refuses_by_name(case):
    network = create(*CASES[case])
    with pytest.raises(ConfigurationError, match=network.family) as caught:
        network.freeze(network.smallest())
    assert caught.value.field == 'freeze'
    assert all(parameter.requires_grad for parameter in network.parameters())
