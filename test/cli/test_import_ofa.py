# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os

import numpy as np
from PIL import Image
import pytest
import torch

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.cli.import_ofa import _class_names, with_labels_of
from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.cli.ofa_choices import InputError
from dynamic_dnn_ros.networks.ofa_checkpoint import PUBLISHED_LAYOUTS, published_name
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from dynamic_dnn_ros.networks.registry import network_of
from dynamic_dnn_ros.pictures.input import Resize
from dynamic_dnn_ros.training.pictures import Pictures
from support import published_checkpoint as published

SMALLEST = ([3] * 20, [3] * 20, [2] * 5)
RESOLUTION = 128
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Code:
    def __reduce__(self):
        return os.system, ('touch was_run',)


pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def images():
    """Return pictures of several sizes, whose central square the networks see."""
    generator = np.random.default_rng(0)
    sizes = ((128, 128), (160, 128), (128, 150), (128, 128), (200, 128), (128, 128))
    return [
        Image.fromarray(generator.integers(0, 256, (6, 6, 3), np.uint8)).resize(size)
        for size in sizes
    ]


@pytest.fixture(scope='module')
def batch(images):
    """Return the pictures as the networks see them."""
    squares = []
    for image in images:
        left, top = ((side - RESOLUTION) // 2 for side in image.size)
        cropped = image.crop((left, top, left + RESOLUTION, top + RESOLUTION))
        squares.append(np.asarray(cropped).transpose(2, 0, 1))
    colours = torch.from_numpy(np.stack(squares)).double() / 255
    mean, deviation = (torch.tensor(each).double().view(3, 1, 1) for each in (MEAN, DEVIATION))
    return (colours - mean) / deviation


@pytest.fixture(scope='module')
def state(batch):
    """Return a checkpoint whose statistics are somewhere near those of the pictures."""
    exact = {name: tensor.double() for name, tensor in published.random_state(1.0).items()}
    published.forward(exact, batch, *SMALLEST, calibrate=True)
    for name, tensor in exact.items():
        if name.endswith('running_var'):
            tensor.mul_(1.0 + 0.1 * torch.rand_like(tensor))
    return exact


@pytest.fixture(scope='module')
def checkpoint(state, tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint') / 'ofa_w1.0'
    torch.save({'state_dict': {name: tensor.float() for name, tensor in state.items()}}, path)
    return path


def write_pictures(folder, images, classes):
    for index, (image, name) in enumerate(zip(images, classes)):
        path = folder / str(name) / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return folder


def run(*arguments):
    return main(['import-ofa', *map(str, arguments), '--quiet'])


def logits(bundle, identifier, inputs):
    """Return what a sub-network of a bundle computes."""
    weights = bundle.weights()
    network = network_of(bundle.manifest)
    network.load_state(weights.network)
    entry = bundle.manifest.sub_network(identifier)
    network.activate(network.configuration(entry.configuration))
    network.load_batch_norm_statistics(weights.batch_norm_statistics[identifier])
    with torch.no_grad():
        return network.eval()(inputs.float()).double()


def test_a_bundle_without_recalibration_computes_what_the_checkpoint_does(
    checkpoint, state, batch, tmp_path, capsys
):
    assert run(checkpoint, '--output', tmp_path / 'ofa', '--uncalibrated') == 0
    bundle = read_bundle(tmp_path / 'ofa')
    manifest = bundle.manifest
    network = OfaMobileNetV3.from_layout(PUBLISHED_LAYOUTS[0])
    assert manifest.name == 'ofa'
    assert manifest.super_network.layout == network.layout_mapping()
    assert [entry.configuration for entry in manifest.sub_networks] == [
        configuration.to_mapping() for configuration in network.landmarks()
    ]
    assert manifest.preprocessing.resize is Resize.CENTER_CROP
    assert (manifest.preprocessing.mean, manifest.preprocessing.standard_deviation) == (
        MEAN,
        DEVIATION,
    )
    assert manifest.labels[:2] == ('class_0', 'class_1')
    assert len(manifest.labels) == 1000
    # What nobody measured is not promised.
    assert [entry.accuracy for entry in manifest.sub_networks] == [0.0, 0.0]
    assert 'not measured' in manifest.accuracy_data
    expected = published.forward(state, batch, *SMALLEST)
    assert expected.std(0).mean() > 0.05
    torch.testing.assert_close(logits(bundle, 's0', batch), expected, rtol=0.0, atol=1e-4)
    output = capsys.readouterr().out
    assert f'layout {PUBLISHED_LAYOUTS[0]}, {len(state)} tensors fit' in output
    assert 's1: accuracy' in output
    card = (tmp_path / 'ofa' / 'MODEL_CARD.md').read_text()
    assert 'fit no sub-network' in card
    assert 'import-ofa ofa_w1.0 --output ofa --layout ofa_mbv3_d234_e346_k357_w1.0 --unc' in card
    assert str(tmp_path) not in card


def test_a_bundle_is_recalibrated_and_measured(checkpoint, state, images, batch, tmp_path, capsys):
    own = {name: tensor.clone() for name, tensor in state.items()}
    published.forward(own, batch, *SMALLEST, calibrate=True)
    chosen = published.forward(own, batch, *SMALLEST).argmax(1).tolist()
    # Half of the pictures are labelled with what the network says, the others are not.
    labels = [each if index % 2 else (each + 1) % 1000 for index, each in enumerate(chosen)]
    data = write_pictures(tmp_path / 'data', images, 'ababab')
    test = write_pictures(tmp_path / 'test', images, labels)
    listed = tmp_path / 'list.json'
    names = ('ks', 'e', 'd', 'r')
    listed.write_text(json.dumps([dict(zip(names, (*SMALLEST, [RESOLUTION])))]))
    arguments = ('--sub-networks', listed, '--data', data, '--test-data', test)
    assert run(checkpoint, '--output', tmp_path / 'ofa', *arguments) == 0
    assert '6 pictures are few' in capsys.readouterr().err
    bundle = read_bundle(tmp_path / 'ofa')
    (entry,) = bundle.manifest.sub_networks
    assert entry.accuracy == 0.5
    assert bundle.manifest.accuracy_data == 'measured on 6 pictures of test, recalibrated'
    statistics = bundle.weights().batch_norm_statistics['s0']
    assert len(statistics) == 2 * (1 + 2 + 10 * 3 + 1)
    for name, found in statistics.items():
        expected = own[published_name(name, 4)][: len(found)].numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4, err_msg=name)


def test_published_levels_keep_their_accuracy_and_the_folders_give_the_classes(
    checkpoint, images, tmp_path
):
    names = ('kernel_size', 'expand_ratio', 'depth', 'resolution')
    level = dict(zip(names, (*SMALLEST, RESOLUTION)))
    notes = {'level': 0, 'gpu_latency_s': 0.04}
    content = {
        'super_network': PUBLISHED_LAYOUTS[0],
        'levels': [
            {'set': 'nets_6', 'imagenet_top1': 0.742, **notes, **level},
            {'set': 'nets_7', 'imagenet_top1': 0.731, **notes, **level},
        ],
    }
    listed = tmp_path / 'levels.json'
    listed.write_text(json.dumps(content))
    data = write_pictures(tmp_path / 'data', images[:2], 'ab')
    classes = tmp_path / 'classes.txt'
    classes.write_text('\n'.join(f'name {index}' for index in range(1000)) + '\n')
    arguments = ('--sub-networks', listed, '--set', 'nets_7', '--data', data)
    output = tmp_path / 'ofa'
    assert run(checkpoint, '--output', output, *arguments, '--classes', classes) == 0
    manifest = read_bundle(output).manifest
    assert [entry.accuracy for entry in manifest.sub_networks] == [0.731]
    assert manifest.accuracy_data == 'published figures (levels.json, nets_7), not measured here'
    assert manifest.labels[999] == 'name 999'


@pytest.mark.parametrize(
    ('folders', 'classes', 'labels'),
    [
        (('cat', 'dog'), ('dog', 'cow', 'cat'), [2, 0, 2]),
        (('10', '2'), tuple(f'class_{index}' for index in range(11)), [10, 2, 10]),
        (('n01440764', 'n01443537'), ('tench', 'goldfish'), [0, 1, 0]),
    ],
)
def test_labels_of_pictures_become_those_of_the_network(folders, classes, labels, tmp_path):
    pictures = Pictures(np.zeros((3, 8, 8, 3), np.uint8), np.array([0, 1, 0]), folders)
    relabelled = with_labels_of(pictures, classes, tmp_path)
    assert relabelled.labels.tolist() == labels
    assert relabelled.classes == classes
    with pytest.raises(InputError, match='is none of the 1 classes'):
        with_labels_of(pictures, ('horse',), tmp_path)


def _checkpoint(tmp_path, width=1.0):
    path = tmp_path / 'weights.pth'
    torch.save(published.constant_state(width), path)
    return path


def _with_code(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'state_dict': {'weight': Code()}}, path)
    return path


def _truncated(tmp_path):
    path = _checkpoint(tmp_path)
    path.write_bytes(path.read_bytes()[:10_000])
    return path


def _no_checkpoint(tmp_path):
    path = tmp_path / 'weights.pth'
    path.write_text('404: Not Found')
    return path


@pytest.mark.parametrize(
    ('make', 'problem', 'remedy'),
    [
        (_with_code, 'would run code (posix.system)', 'Do not use this file'),
        (_truncated, 'is truncated or damaged', 'get it again'),
        (_no_checkpoint, 'no PyTorch checkpoint', 'get it again'),
        (
            lambda folder: _checkpoint(folder, 1.2),
            f'does not hold a network of layout {PUBLISHED_LAYOUTS[0]}',
            f'fit layout {PUBLISHED_LAYOUTS[1]}',
        ),
        (lambda folder: folder / 'weights.pth', 'cannot be opened', 'Name a file of weights'),
    ],
)
def test_a_bad_checkpoint_is_one_line_and_leaves_the_old_bundle(
    make, problem, remedy, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = make(tmp_path)
    old = tmp_path / 'ofa' / 'manifest.json'
    old.parent.mkdir()
    old.write_text('old')
    arguments = ('--output', old.parent, '--layout', PUBLISHED_LAYOUTS[0], '--uncalibrated')
    assert run(path, *arguments) == 1
    error = capsys.readouterr().err
    assert str(path) in error and problem in error and remedy in error
    assert error.count('\n') == 1
    assert old.read_text() == 'old'
    assert list(old.parent.iterdir()) == [old]
    assert not (tmp_path / 'was_run').exists()


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ((), 'Give --data with about 2,000 of the training pictures'),
        (('--uncalibrated', '--data', 'data'), 'exclude each other'),
        (('--uncalibrated', '--set', 'nets_6'), 'give that with --sub-networks'),
        (('--data', 'data'), 'give --test-data'),
        (('--uncalibrated', '--output', 'OFA 1.0'), "Give another one than 'OFA 1.0'"),
        (('--uncalibrated', '--classes', 'names.txt'), 'has 2 names, the network 1000 classes'),
        (('--uncalibrated', '--test-data', 'empty'), 'holds no pictures'),
        (('--uncalibrated', '--test-data', 'data'), "'ape' is none of the 1000 classes"),
        (('--uncalibrated', '--test-data', 'broken'), '1.png: it is no picture'),
        (('--uncalibrated', '--sub-networks', 'none.json'), 'none.json: cannot be read'),
        (('--uncalibrated', '--classes', 'weights.pth'), 'give a text file, UTF-8'),
        (('--uncalibrated', '--sub-networks', 'names.txt'), 'is not JSON'),
    ],
)
def test_arguments_that_cannot_end_well_are_refused(
    arguments, said, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / 'data', [Image.new('RGB', (8, 8))] * 2, ('ape', 'bee'))
    write_pictures(tmp_path / 'broken', [Image.new('RGB', (8, 8))] * 2, ('ape', 'bee'))
    (tmp_path / 'broken' / 'bee' / '1.png').write_bytes(b'broken')
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'names.txt').write_text('ape\nbee\n')
    assert run(_checkpoint(tmp_path), '--output', 'ofa', *arguments) == 1
    error = capsys.readouterr().err
    assert said in error
    assert 'Traceback' not in error
    assert not (tmp_path / 'ofa').exists()


def test_names_of_classes_may_repeat_and_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / 'names.txt'
    path.write_text('\ufeffcrane\nmaillot\ncrane\n', encoding='utf-8')
    assert _class_names(path, (), 3) == ('crane', 'maillot', 'crane')
    pictures = Pictures(np.zeros((2, 8, 8, 3), np.uint8), np.array([1, 0]), ('crane', 'crane (2)'))
    found = with_labels_of(pictures, ('crane', 'maillot', 'crane'), tmp_path)
    assert found.labels.tolist() == [2, 0]
