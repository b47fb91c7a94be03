# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every family must keep; a new family is one more row of CASES."""

from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
from safetensors.numpy import load, save
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dynamic_dnn_ros.networks.contract import (
    ConfigurationError,
    StateError,
    statistics_of,
)
from dynamic_dnn_ros.networks.incremental_group import LAYOUTS as GROUP_LAYOUTS
from dynamic_dnn_ros.networks.registry import create, family_names
from support.networks import train_on_noise

_INDEPENDENT = dataclasses.replace(
    GROUP_LAYOUTS['incremental_group_32x32'], connections='independent'
)

CASES = {
    'ofa_mbv3_32x32': ('ofa_mobilenet_v3', 'ofa_mbv3_32x32'),
    'ofa_mbv3_w1.0': ('ofa_mobilenet_v3', 'ofa_mbv3_d234_e346_k357_w1.0'),
    'ofa_mbv3_w1.2': ('ofa_mobilenet_v3', 'ofa_mbv3_d234_e346_k357_w1.2'),
    'ofa_detector_96': ('ofa_detector', 'ofa_detector_96'),
    'ofa_detector_352': ('ofa_detector', 'ofa_detector_352'),
    'incremental_group': ('incremental_group', 'incremental_group_32x32'),
    'independent_groups': ('incremental_group', _INDEPENDENT.to_mapping()),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys(), scope='module')
def network(request):
    """Return a network whose every tensor differs from its start."""
    torch.manual_seed(1)
    created = create(*request.param).eval()
    with torch.no_grad():
        for parameter in created.parameters():
            parameter.add_(0.1 * parameter.std().nan_to_num(1.0) * torch.randn(parameter.shape))
        for name, buffer in created.named_buffers():
            if name.endswith('running_mean'):
                buffer.copy_(0.1 * torch.randn(buffer.shape))
            elif name.endswith('running_var'):
                buffer.copy_(0.5 + torch.rand(buffer.shape))
    return created


def _configurations(network, count, seed=0):
    generator = random.Random(seed)
    sampled = [network.sample(generator) for _ in range(count)]
    return [network.smallest(), network.largest(), *sampled]


def _images(configuration, count=2):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, 3, *configuration.size, generator=generator)


def test_every_registered_family_has_a_case():
    assert {family for family, _ in CASES.values()} == set(family_names())


def test_unknown_family_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r'family.*nonesuch.*incremental_group, ofa'):
        create('nonesuch', {})


def test_unknown_layout_is_refused(network):
    with pytest.raises(ConfigurationError, match=r'layout.*nonesuch'):
        create(network.family, 'nonesuch')


@pytest.mark.parametrize('share_weights', [False, True])
@torch.no_grad()
def test_extracted_module_computes_what_the_active_network_computes(network, share_weights):
    for configuration in _configurations(network, 4):
        network.activate(configuration)
        images = _images(configuration)
        expected = network(images)
        static = network.extract(configuration, share_weights)
        scale = float(expected.abs().max())
        assert float((static(images) - expected).abs().max()) <= 1e-5 * max(scale, 1.0)


def test_extracted_module_is_static_and_in_eval_mode(network):
    static = network.extract(network.largest())
    assert not any(module.training for module in static.modules())
    assert not any(parameter.requires_grad for parameter in static.parameters())
    assert not any('Elastic' in type(module).__name__ for module in static.modules())


def test_extracted_copy_is_independent_and_shared_one_is_not(network):
    configuration = network.largest()
    own = {p.data_ptr() for p in network.parameters()}
    copied = network.extract(configuration)
    shared = network.extract(configuration, share_weights=True)
    assert not own & {p.data_ptr() for p in copied.parameters()}
    assert all(p.data_ptr() in own for p in shared.parameters())


def test_statistics_of_extracted_modules_are_their_own(network):
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    static = network.extract(network.smallest(), share_weights=True)
    for name, buffer in static.named_buffers():
        if name.endswith(('running_mean', 'running_var')):
            buffer.add_(1.0)
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


def test_configurations_survive_as_mappings(network):
    for configuration in _configurations(network, 5):
        assert network.configuration(configuration.to_mapping()) == configuration


def test_layout_survives_as_mapping(network):
    again = create(network.family, network.layout_mapping())
    assert again.layout_mapping() == network.layout_mapping()
    assert {n: p.shape for n, p in again.named_parameters()} == {
        n: p.shape for n, p in network.named_parameters()
    }


def test_layout_with_an_unknown_field_is_refused(network):
    with pytest.raises(ConfigurationError, match='layout'):
        create(network.family, {**network.layout_mapping(), 'nonesuch': 1})


def test_configuration_with_missing_or_unknown_fields_is_refused(network):
    mapping = network.largest().to_mapping()
    missing = dict(list(mapping.items())[1:])
    for illegal in (missing, {**mapping, 'nonesuch': 1}):
        with pytest.raises(ConfigurationError, match='configuration'):
            network.configuration(illegal)


def test_each_illegal_entry_is_refused_by_name(network):
    mapping = network.largest().to_mapping()
    for field, value in mapping.items():
        for wrong in (0, -1, 10_007, 'x', 2.5, None, True):
            illegal = wrong if isinstance(value, int) else [wrong, *value[1:]]
            with pytest.raises(ConfigurationError) as caught:
                network.configuration({**mapping, field: illegal})
            assert caught.value.field.startswith(field)
            assert repr(wrong) in str(caught.value)
            assert caught.value.allowed in str(caught.value)
        if isinstance(value, list):
            for illegal in (value[1:], [*value, value[-1]], 3):
                with pytest.raises(ConfigurationError) as caught:
                    network.configuration({**mapping, field: illegal})
                assert caught.value.field == field


def test_multiply_adds_equal_those_that_torch_counts(network):
    # torch's counter is slow; every family has a layout of small pictures.
    count = 20 if max(network.largest().size) < 100 else 3
    for configuration in _configurations(network, count):
        static = network.extract(configuration, share_weights=True)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            static(_images(configuration, count=1))
        # torch counts a multiplication and an addition as two.
        assert network.multiply_adds(configuration) == counter.get_total_flops() // 2


def test_counts_equal_those_of_the_extracted_module(network):
    for configuration in _configurations(network, 20):
        static = network.extract(configuration, share_weights=True)
        assert network.parameter_count(configuration) == sum(
            parameter.numel() for parameter in static.parameters()
        )
        assert network.layer_count(configuration) == sum(
            isinstance(module, (nn.Conv2d, nn.Linear)) for module in static.modules()
        )


def test_smallest_and_largest_bound_the_multiply_adds(network):
    counts = [network.multiply_adds(c) for c in _configurations(network, 20)]
    assert counts[0] == min(counts)
    assert counts[1] == max(counts)


def test_uniform_configurations_have_the_values_given(network):
    values = {name: choices[-1] for name, choices in network.choices().items()}
    assert network.uniform(values) == network.largest()
    for field, illegal in ((name, {**values, name: 10_007}) for name in values):
        with pytest.raises(ConfigurationError) as caught:
            network.uniform(illegal)
        assert caught.value.field.startswith(field)
    with pytest.raises(ConfigurationError, match='nonesuch'):
        network.uniform({**values, 'nonesuch': 1})


def _values(configuration, field):
    value = configuration.to_mapping()[field]
    return set(value) if isinstance(value, list) else {value}


def test_choices_are_those_that_configurations_have(network):
    generator = random.Random(4)
    drawn = [network.sample(generator) for _ in range(200)]
    choices = network.choices()
    assert choices.keys() == network.largest().to_mapping().keys()
    for field, allowed in choices.items():
        assert set().union(*(_values(each, field) for each in drawn)) == set(allowed)


def test_restricted_fields_keep_to_their_part_and_others_stay_free(network):
    for field, allowed in network.choices().items():
        for part in ([allowed[0]], [allowed[-1]], allowed[-2:]):
            within = {field: part}
            generator = random.Random(5)
            drawn = [network.sample(generator, within=within) for _ in range(50)]
            assert set().union(*(_values(each, field) for each in drawn)) == set(part)
            assert len(set(drawn)) > 1 or len(part) == 1
            ends = network.smallest(within=within), network.largest(within=within)
            counts = [network.multiply_adds(each) for each in drawn]
            assert network.multiply_adds(ends[0]) <= min(counts)
            assert max(counts) <= network.multiply_adds(ends[1])
            assert all(_values(each, field) <= set(part) for each in ends)


def test_a_part_is_a_set_whatever_its_order(network):
    within = {name: tuple(reversed(allowed)) for name, allowed in network.choices().items()}
    assert network.smallest(within) == network.smallest()
    assert network.largest(within) == network.largest()
    assert network.sample(random.Random(6), within) == network.sample(random.Random(6))


def test_what_is_no_part_of_the_choices_is_refused_by_name(network):
    for field, allowed in network.choices().items():
        for illegal in ([10_007], [*allowed, 0], [True], ['x'], [], allowed[0], None):
            for call in (
                network.smallest,
                network.largest,
                lambda within: network.sample(random.Random(7), within),
            ):
                with pytest.raises(ConfigurationError, match=field) as caught:
                    call({field: illegal})
                if isinstance(illegal, list):
                    assert all(str(value) in caught.value.allowed for value in allowed)
    with pytest.raises(ConfigurationError, match=r"'nonesuch'.*allowed is one of"):
        network.smallest({'nonesuch': [1]})


def test_landmarks_are_legal_and_rise_to_the_largest(network):
    landmarks = network.landmarks()
    counts = [network.multiply_adds(each) for each in landmarks]
    assert counts == sorted(set(counts))
    assert landmarks[-1] == network.largest()
    for configuration in landmarks:
        assert network.configuration(configuration.to_mapping()) == configuration


def test_sampling_repeats_with_its_seed_and_varies(network):
    assert _configurations(network, 10, seed=3) == _configurations(network, 10, seed=3)
    every = math.prod(len(allowed) for allowed in network.choices().values())
    assert len(set(_configurations(network, 20, seed=3))) >= min(every, 18)


@torch.no_grad()
def test_state_and_statistics_rebuild_every_sub_network(network):
    rebuilt = create(network.family, network.layout_mapping()).eval()
    rebuilt.load_state(load(save(network.state())))
    for configuration in _configurations(network, 3):
        network.activate(configuration)
        statistics = load(save(network.batch_norm_statistics()))
        rebuilt.activate(configuration)
        rebuilt.load_batch_norm_statistics(statistics)
        static = rebuilt.extract(configuration)
        images = _images(configuration)
        assert torch.equal(static(images), network.extract(configuration)(images))


def test_shared_state_and_shared_weights_are_the_memory_of_the_arrays(network):
    state = network.state()
    rebuilt = create(network.family, network.layout_mapping())
    rebuilt.load_state(state, share_memory=True)
    static = rebuilt.extract(network.largest(), share_weights=True)
    addresses = {array.ctypes.data for array in state.values()}
    assert all(parameter.data_ptr() in addresses for parameter in static.parameters())


def test_statistics_bear_the_names_of_the_extracted_module(network):
    state = network.state()
    for configuration in _configurations(network, 2):
        network.activate(configuration)
        own = network.batch_norm_statistics()
        found = statistics_of(network.extract(configuration))
        assert found
        if network.statistics_per_sub_network:
            expected = own
        else:
            expected = {name: array for name, array in state.items() if name in found}
            assert own == {}
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_state_that_does_not_fit_is_refused_by_name(network):
    state = network.state()
    name = sorted(state)[0]
    for arrays, message in (
        ({k: v for k, v in state.items() if k != name}, f'missing {name}'),
        ({**state, 'nonesuch': state[name]}, 'left over nonesuch'),
        ({**state, name: np.zeros((1, 2, 3), np.float32)}, rf'{name} has shape \(1, 2, 3\)'),
    ):
        with pytest.raises(StateError, match=message):
            network.load_state(arrays)


def test_statistics_that_do_not_fit_are_refused_by_name(network):
    network.activate(network.largest())
    statistics = network.batch_norm_statistics()
    with pytest.raises(StateError, match='left over nonesuch'):
        network.load_batch_norm_statistics({**statistics, 'nonesuch': np.zeros(1, np.float32)})
    for name, array in list(statistics.items())[:3]:
        with pytest.raises(StateError, match=name):
            network.load_batch_norm_statistics({**statistics, name: array[:1]})
        with pytest.raises(StateError, match=f'missing {name}'):
            network.load_batch_norm_statistics(
                {key: value for key, value in statistics.items() if key != name}
            )


@torch.no_grad()
def test_channel_sorting_leaves_the_largest_unchanged(network):
    largest = network.largest()
    images = _images(largest)
    network.activate(largest)
    before = network(images)
    network.sort_channels()
    scale = max(float(before.abs().max()), 1.0)
    assert float((network(images) - before).abs().max()) <= 1e-4 * scale


@pytest.mark.parametrize('case', ['incremental_group', 'independent_groups'])
def test_a_frozen_sub_network_stays_the_same_bits(case):
    torch.manual_seed(3)
    network = create(*CASES[case])
    smallest, largest = network.smallest(), network.largest()
    images = _images(smallest)
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


def test_nothing_frozen_is_always_possible(network):
    network.freeze(None)
    assert all(parameter.requires_grad for parameter in network.parameters())
