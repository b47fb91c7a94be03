# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import pickle
import random

import numpy as np
import pytest
import torch

from dynamic_dnn_ros.networks.ofa_checkpoint import (
    PUBLISHED_LAYOUTS,
    OfaCheckpointError,
    configuration_mapping,
    fit,
    network_from_checkpoint,
    published_shapes,
    read_state_dict,
)
from dynamic_dnn_ros.networks.ofa_layouts import LAYOUTS
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from support import once_for_all
from support import published_checkpoint as published

WIDTHS = dict(zip(PUBLISHED_LAYOUTS, (1.0, 1.2)))


class Code:
    def __reduce__(self):
        return os.system, ('touch was_run',)


pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.mark.parametrize('layout', PUBLISHED_LAYOUTS)
def test_names_and_shapes_are_the_published_ones(layout):
    expected = published.published_shapes(WIDTHS[layout])
    assert published_shapes(LAYOUTS[layout]) == expected
    # 20 blocks of 17 tensors, 4 more in each of the 12 with squeeze and excitation.
    assert len(expected) == 5 + 10 + 20 * 17 + 12 * 4 + 5 + 1 + 2


@pytest.mark.parametrize('layout', PUBLISHED_LAYOUTS)
@torch.no_grad()
def test_an_imported_network_computes_what_the_published_one_does(layout):
    state = published.random_state(WIDTHS[layout])
    generator = random.Random(3)
    sampled = OfaMobileNetV3.from_layout(layout).sample(generator).to_mapping()
    lists = [sampled[name] for name in ('kernel_size', 'expand_ratio', 'depth')]
    images = torch.randn(4, 3, 1, 1) + torch.randn(4, 3, 160, 160)
    published.forward(state, images, *lists, calibrate=True)
    for name, tensor in state.items():
        if name.endswith(('running_mean', 'running_var')):
            tensor.mul_(1.0 + 0.05 * torch.rand_like(tensor))
    exact = {name: tensor.double() for name, tensor in state.items()}
    expected = published.forward(exact, images.double(), *lists).float()
    assert expected.std(0).mean() > 0.1

    name, network = network_from_checkpoint(state, 'here')
    assert name == layout
    configuration = network.configuration({**sampled, 'resolution': 160})
    network.activate(configuration)
    torch.testing.assert_close(network(images), expected, rtol=0.0, atol=1e-4)
    extracted = network.extract(configuration)(images)
    torch.testing.assert_close(extracted, expected, rtol=0.0, atol=1e-4)


@pytest.mark.skipif(
    once_for_all.missing_code() is not None, reason=str(once_for_all.missing_code())
)
@pytest.mark.parametrize('layout', PUBLISHED_LAYOUTS)
def test_an_imported_network_computes_what_the_authors_code_does(layout):
    network = OfaMobileNetV3.from_layout(layout)
    theirs = once_for_all.authors_network(WIDTHS[layout], seed=1)
    for seed, configuration in enumerate(once_for_all.configurations(network, 2)):
        compared = once_for_all.compare(theirs, layout, configuration, seed)
        assert compared.difference <= 1e-4
        assert compared.spread > 0.1


@pytest.mark.parametrize('old_format', [False, True])
@pytest.mark.parametrize(
    'spell',
    [
        lambda name: name,
        lambda name: f'module.{name}',
        lambda name: f'module.module.{name}',
        lambda name: f'_orig_mod.module._orig_mod.{name}',
        lambda name: (
            name.replace('.conv.', '.mobile_inverted_conv.', 1)
            if name.startswith('blocks')
            else name
        ),
        lambda name: name.replace('.bn.bn.', '.bn.').replace('.conv.conv.', '.conv.'),
        lambda name: name.replace('classifier.linear.', 'classifier.linear.linear.'),
    ],
    ids=[
        'current',
        'distributed',
        'twice distributed',
        'compiled',
        'older blocks',
        'static',
        'older classifier',
    ],
)
def test_every_spelling_and_format_of_a_checkpoint_is_read(spell, old_format, tmp_path):
    state = {spell(name): tensor for name, tensor in published.constant_state(1.0).items()}
    state[spell('first_conv.bn.num_batches_tracked')] = torch.tensor(7)
    path = tmp_path / 'checkpoint'
    content = {'state_dict': state, 'epoch': 3} if old_format else state
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    found = fit(read_state_dict(path), LAYOUTS[PUBLISHED_LAYOUTS[0]])
    assert found.misfits == 0
    assert str(found) == ''


def test_what_is_missing_left_over_or_of_another_shape_is_named():
    state = published.constant_state(1.2)
    del state['blocks.3.conv.depth_conv.conv.5to3_matrix']
    state['blocks.3.conv.depth_conv.conv.9to7_matrix'] = torch.ones(49, 49)
    state['classifier.linear.bias'] = torch.ones(10)
    with pytest.raises(OfaCheckpointError) as caught:
        network_from_checkpoint(state, 'weights.pth')
    text = str(caught.value)
    assert text.startswith(
        f'weights.pth: does not hold a network of layout {PUBLISHED_LAYOUTS[1]}'
    )
    assert '1 missing: blocks.3.conv.depth_conv.conv.5to3_matrix' in text
    assert '1 left over: blocks.3.conv.depth_conv.conv.9to7_matrix' in text
    assert '1 of another shape: classifier.linear.bias is 10 instead of 1000' in text
    assert all(layout in text for layout in PUBLISHED_LAYOUTS)


def test_for_a_checkpoint_of_another_layout_the_fitting_one_is_said():
    with pytest.raises(OfaCheckpointError) as caught:
        network_from_checkpoint(published.constant_state(1.0), 'here', PUBLISHED_LAYOUTS[1])
    assert 'first_conv.conv.weight is 16x3x3x3 instead of 24x3x3x3' in str(caught.value)
    assert f'fit layout {PUBLISHED_LAYOUTS[0]}' in caught.value.remedy


@pytest.mark.parametrize(
    'tensor', [torch.full((16,), float('nan')), torch.ones(16, dtype=torch.int64)]
)
def test_values_that_are_no_finite_numbers_are_refused(tensor):
    state = published.constant_state(1.0)
    state['first_conv.bn.running_var'] = tensor
    with pytest.raises(OfaCheckpointError, match=r'first_conv\.bn\.running_var holds values'):
        network_from_checkpoint(state, 'here')


def _save(path, content):
    torch.save(content, path)


def _save_old_format(path, content):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def _pickle(protocol):
    def write(path, content):
        path.write_bytes(pickle.dumps(content, protocol))

    return write


@pytest.mark.parametrize(
    'write',
    [_save, _save_old_format, *(_pickle(protocol) for protocol in range(6))],
    ids=['new', 'old', *(f'pickle {protocol}' for protocol in range(6))],
)
def test_a_pickle_that_would_run_code_is_refused_and_not_run(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'checkpoint'
    write(path, {'state_dict': {'weight': Code()}})
    with pytest.raises(OfaCheckpointError) as caught:
        read_state_dict(path)
    assert str(path) in str(caught.value)
    assert 'would run code (posix.system)' in str(caught.value)
    assert not (tmp_path / 'was_run').exists()


@pytest.mark.parametrize('save', [_save, _save_old_format])
@pytest.mark.parametrize('part', [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(save, part, tmp_path):
    path = tmp_path / 'checkpoint'
    save(path, {'state_dict': {'weight': torch.randn(1000)}})
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(OfaCheckpointError, match='truncated or damaged') as caught:
        read_state_dict(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize('content', [b'<!DOCTYPE html>', b'404: Not Found', bytes(500)])
def test_a_file_that_is_no_checkpoint_is_refused(content, tmp_path):
    path = tmp_path / 'checkpoint'
    path.write_bytes(content)
    with pytest.raises(OfaCheckpointError, match='no PyTorch checkpoint'):
        read_state_dict(path)


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('bare', [True, False])
@pytest.mark.parametrize('numpy', [b'numpy._core', b'numpy.core'])
def test_numbers_beside_the_tensors_are_read_and_left_out(tmp_path, zipped, bare, numpy):
    weights = {'module._orig_mod.weight': torch.ones(2)}
    numbers = {'best_acc': np.float64(0.5), 'epoch': np.int64(3), 'name': 'mine', 'lr': 0.1}
    content = {**weights, **numbers} if bare else {'state_dict': weights, **numbers}
    path = tmp_path / 'checkpoint'
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    if not zipped:
        # Numpy 1 and 2 name the same function differently.
        path.write_bytes(path.read_bytes().replace(b'numpy._core', numpy))
    said = []
    assert list(read_state_dict(path, said.append)) == ['weight']
    assert any('_orig_mod., module.' in text for text in said)
    assert any('best_acc, epoch, name, lr' in text for text in said) == bare


def test_a_tensor_twice_with_and_without_a_prefix_is_refused(tmp_path):
    path = tmp_path / 'checkpoint'
    torch.save({'module.weight': torch.ones(2), 'weight': torch.ones(2)}, path)
    with pytest.raises(OfaCheckpointError, match='holds weight twice'):
        read_state_dict(path)


@pytest.mark.parametrize(
    ('content', 'named'),
    [
        ([torch.ones(2)], 'type list'),
        ({}, 'type dict'),
        ({'state_dict': {'weight': 3}}, 'only weight'),
        ({'epoch': 3, 'best_accuracy': 0.5}, 'only epoch, best_accuracy'),
    ],
)
def test_a_checkpoint_without_named_tensors_is_refused(content, named, tmp_path):
    path = tmp_path / 'checkpoint'
    torch.save(content, path)
    with pytest.raises(OfaCheckpointError, match='named tensors are needed') as caught:
        read_state_dict(path)
    assert named in str(caught.value)


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    for path in (tmp_path / 'nonesuch', tmp_path):
        with pytest.raises(OfaCheckpointError, match='cannot be opened') as caught:
            read_state_dict(path)
        assert str(path) in str(caught.value)


def test_the_authors_names_of_fields_become_ours():
    lists = {'ks': [3] * 20, 'e': [6] * 20, 'd': [2] * 5}
    for resolution in (176, [176]):
        mapping = configuration_mapping({**lists, 'r': resolution})
        network = OfaMobileNetV3.from_layout(PUBLISHED_LAYOUTS[1])
        configuration = network.configuration(mapping)
        assert configuration.kernel_size == (3,) * 20
        assert configuration.expand_ratio == (6,) * 20
        assert configuration.depth == (2,) * 5
        assert configuration.resolution == 176
        assert configuration_mapping(configuration.to_mapping()) == configuration.to_mapping()
