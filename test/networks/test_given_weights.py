# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights that a fine-tuning goes on from: what is taken, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
from safetensors.torch import save_file
import torch

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.networks.given_weights import (
    GivenWeightsError,
    class_tensors,
    take_weights,
)
from dynamic_dnn_ros.networks.ofa_layouts import LAYOUTS
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from dynamic_dnn_ros.networks.registry import create
from support.bundles import LAYOUT, make_bundle
from support.published_checkpoint import random_state

LABELS = tuple(f'class_{index}' for index in range(10))


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp('given') / 'bundle')


def network_of(classes: int = 10, **changes) -> OfaMobileNetV3:
    return OfaMobileNetV3(dataclasses.replace(LAYOUT, classes=classes, **changes))


def test_a_bundle_of_the_same_classes_is_taken_as_it_is(bundle):
    network = network_of()
    taken = take_weights(network, str(bundle.folder), LABELS)
    assert not taken.anew
    stored = bundle.weights().network
    assert all(np.array_equal(array, stored[name]) for name, array in network.state().items())


def test_rows_of_known_classes_are_taken_by_their_names_and_others_begin_anew(bundle):
    network = network_of(3)
    fresh = network.state()
    taken = take_weights(network, str(bundle.folder), ('class_7', 'door', 'class_0'))
    assert taken.known == ('class_7', 'class_0')
    assert taken.anew == ('classifier.weight', 'classifier.bias')
    assert 'known of the classes: class_7, class_0' in str(taken)
    stored, state = bundle.weights().network, network.state()
    for name in taken.anew:
        assert np.array_equal(state[name][[0, 2]], stored[name][[7, 0]])
        assert np.array_equal(state[name][1], fresh[name][1])
    assert np.array_equal(state['stem.convolution.weight'], stored['stem.convolution.weight'])


@pytest.mark.parametrize(
    ('name', 'labels'),
    [('fruit_detector', ('door', 'banana')), ('cifar10_incremental_group', ('truck', 'door'))],
)
def test_bundles_that_ship_are_taken_by_every_family(name, labels):
    shipped = read_bundle(find_bundle(name))
    source = shipped.manifest.super_network
    network = create(source.family, {**source.layout, 'classes': len(labels)})
    taken = take_weights(network, name, labels)
    assert taken.tensors == len(shipped.weights().network)
    stored, state = shipped.weights().network, network.state()
    known = next(row for row, label in enumerate(labels) if label in taken.known)
    for tensor in class_tensors(network):
        row = shipped.manifest.labels.index(labels[known])
        assert np.array_equal(state[tensor][known], stored[tensor][row].astype(np.float32))
        # Behind the classes lie the boxes of a detector.
        assert np.array_equal(state[tensor][2:], stored[tensor][len(shipped.manifest.labels) :])


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'expand_ratios': (2, 4)}, 'has another architecture: its expand_ratios is [2, 3]'),
        ({'stem_stride': 1}, 'has another architecture: its stem_stride is 2'),
        ({'resolutions': (24, 48)}, 'with resolutions of 24 to 32 pixels, the layout in the'),
    ],
)
def test_a_bundle_of_another_architecture_or_size_is_refused(bundle, changes, said):
    with pytest.raises(GivenWeightsError) as caught:
        take_weights(network_of(**changes), str(bundle.folder), LABELS)
    assert said in str(caught.value)


def test_sizes_in_between_are_taken(bundle):
    assert take_weights(network_of(resolutions=(28,)), str(bundle.folder), LABELS).tensors


def test_another_family_is_refused(bundle):
    network = create('incremental_group', 'incremental_group_32x32')
    with pytest.raises(GivenWeightsError, match='Write `family: ofa_mobilenet_v3`'):
        take_weights(network, str(bundle.folder), LABELS)


def test_what_is_not_there_is_refused():
    with pytest.raises(GivenWeightsError, match='Shipped are: cifar10_exits'):
        take_weights(network_of(), 'cifar11', LABELS)


def test_a_checkpoint_of_a_training_is_taken_but_for_the_classes(tmp_path):
    trained = network_of()
    torch.nn.init.ones_(trained.classifier.bias)
    content = {'family': trained.family, 'network': trained.state_dict()}
    for resolutions, said in (((24, 32), ''), ((24, 28), 'with resolutions of 24 to 28')):
        layout = dataclasses.replace(LAYOUT, resolutions=resolutions).to_mapping()
        torch.save({**content, 'layout': json.dumps(layout)}, tmp_path / 'checkpoint.pt')
        network = network_of()
        if said:
            with pytest.raises(GivenWeightsError, match=said):
                take_weights(network, str(tmp_path / 'checkpoint.pt'), LABELS)
            continue
        taken = take_weights(network, str(tmp_path / 'checkpoint.pt'), LABELS)
        # Nobody knows what its classes are called.
        assert taken.anew == ('classifier.weight', 'classifier.bias')
        state = network.state()
        differ = {
            name
            for name, array in trained.state().items()
            if not np.array_equal(array, state[name])
        }
        assert differ == {'classifier.weight', 'classifier.bias'}


def test_a_checkpoint_of_once_for_all_is_taken(tmp_path):
    torch.save({'state_dict': random_state(1.0)}, tmp_path / 'ofa')
    name = 'ofa_mbv3_d234_e346_k357_w1.0'
    network = OfaMobileNetV3(dataclasses.replace(LAYOUTS[name], classes=2))
    taken = take_weights(network, str(tmp_path / 'ofa'), ('box', 'door'))
    assert taken.anew == ('classifier.weight', 'classifier.bias')
    assert taken.tensors == len(network.state())


def test_efficientnet_lite0_of_timm_is_taken_as_the_trunk_of_a_detector(tmp_path):
    timm = pytest.importorskip('timm')
    published = timm.create_model('tf_efficientnet_lite0').state_dict()
    save_file(published, tmp_path / 'lite0.safetensors')
    network = create('ofa_detector', 'ofa_detector_352')
    taken = take_weights(network, str(tmp_path / 'lite0.safetensors'), LABELS)
    assert 'head.levels.0.4.weight' in taken.anew
    for own, name in (
        ('stem.convolution', 'conv_stem'),
        ('first_block.project.convolution', 'blocks.0.0.conv_pw'),
        ('stages.1.1.expand.convolution', 'blocks.2.1.conv_pw'),
        ('stages.4.0.project.convolution', 'blocks.5.0.conv_pwl'),
    ):
        assert torch.equal(network.get_parameter(f'{own}.weight'), published[f'{name}.weight'])
    del published['blocks.3.0.bn2.bias']
    save_file(published, tmp_path / 'part.safetensors')
    with pytest.raises(GivenWeightsError, match=r"'blocks\.3\.0\.bn2\.bias' is missing"):
        take_weights(network, str(tmp_path / 'part.safetensors'), LABELS)


def test_what_is_missing_left_over_or_of_another_shape_is_named(tmp_path):
    state = {name: torch.from_numpy(array) for name, array in network_of().state().items()}
    del state['stem.convolution.weight']
    state['features.0.weight'] = torch.zeros(1)
    state['classifier.weight'] = torch.zeros(10, 7)
    save_file(state, tmp_path / 'weights.safetensors')
    with pytest.raises(GivenWeightsError) as caught:
        take_weights(network_of(), str(tmp_path / 'weights.safetensors'), LABELS)
    said = str(caught.value)
    assert '1 tensors missing (stem.convolution.weight)' in said
    assert '1 left over (features.0.weight)' in said
    assert '1 of another shape (classifier.weight (10x7 instead of 10x48))' in said
    assert '`dynamic-dnn import-model` makes bundles of them' in said


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    state = {name: torch.from_numpy(array) for name, array in network_of().state().items()}
    state['stem.batch_norm.bias'][0] = float('nan')
    save_file(state, tmp_path / 'weights.safetensors')
    with pytest.raises(GivenWeightsError, match=r'stem\.batch_norm\.bias holds values'):
        take_weights(network_of(), str(tmp_path / 'weights.safetensors'), LABELS)


class Code:
    def __reduce__(self):
        return os.system, ('touch was_run',)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({'state_dict': {'weight': Code()}}, tmp_path / 'evil.pth')
    (tmp_path / 'cut.safetensors').write_bytes(b'\x10\0\0\0')
    with pytest.raises(GivenWeightsError, match=r'would run code \(posix\.system\)'):
        take_weights(network_of(), str(tmp_path / 'evil.pth'), LABELS)
    assert not (tmp_path / 'was_run').exists()
    with pytest.raises(GivenWeightsError, match='cannot be read as safetensors'):
        take_weights(network_of(), str(tmp_path / 'cut.safetensors'), LABELS)
