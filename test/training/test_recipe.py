# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

"""The whole way, from a folder of pictures to a bundle that the engine serves."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import Weights, read_bundle
from dynamic_dnn_ros.bundles.writer import weights_content, write_bundle
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.registry import create, network_of
from dynamic_dnn_ros.training.configuration import Phase, Rule
from dynamic_dnn_ros.training.recipe import train_alone, train_bundle
from support.bundles import LAYOUT
from support.engines import logits
from support.training import colour_pictures, training_configuration, write_folder


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('recipe')
    write_folder(folder / 'train', colour_pictures(100))
    write_folder(folder / 'test', colour_pictures(40, seed=1))
    return folder


@pytest.fixture(scope='module')
def bundle(folder):
    train_bundle(training_configuration(folder), 'my/colours.yaml', quiet=True)
    return read_bundle(folder / 'bundle')


def test_the_bundle_holds_the_landmarks(bundle):
    manifest = bundle.manifest
    assert manifest.name == 'colours'
    assert manifest.labels == tuple(f'class_{index}' for index in range(10))
    assert manifest.accuracy_data == 'noisy colours, 40 test pictures'
    assert 'dynamic-dnn train my/colours.yaml\n' in (bundle.folder / 'MODEL_CARD.md').read_text()
    network = network_of(manifest)
    assert [
        (entry.id, network.configuration(entry.configuration)) for entry in manifest.sub_networks
    ] == [
        ('s0', network.smallest()),
        ('s1', network.largest()),
    ]


def test_a_bundle_with_these_weights_is_left_as_it_is(folder, bundle):
    kept = dataclasses.replace(
        bundle.manifest, sub_networks=bundle.manifest.sub_networks[1:], description='searched'
    )
    weights = bundle.weights()
    del weights.batch_norm_statistics['s0']
    write_bundle(bundle.folder, kept, weights_content(weights))
    again = train_bundle(training_configuration(folder), quiet=True)
    assert again.manifest.description == 'searched'
    write_bundle(
        bundle.folder,
        bundle.manifest,
        weights_content(Weights({**weights.network, 'classifier.bias': np.zeros(10)}, {})),
    )
    anew = train_bundle(training_configuration(folder), 'my/colours.yaml', quiet=True)
    assert anew.manifest == bundle.manifest


def test_the_served_accuracy_is_the_one_in_the_manifest(bundle):
    test = colour_pictures(40, seed=1)
    engine = create_engine('torch', bundle, threads=1)
    entry = bundle.manifest.sub_networks[-1]
    prepared = engine.prepare(entry, 'cpu')
    answers = [int(np.argmax(logits(prepared, image))) for image in test.images]
    # One picture of 40 may lie on the border between two classes.
    assert np.mean(answers == test.labels) == pytest.approx(entry.accuracy, abs=0.026)


def test_a_family_with_shared_statistics_keeps_them(folder, tmp_path):
    configuration = training_configuration(
        folder,
        family='incremental_group',
        layout='incremental_group_32x32',
        phases=[{'name': 'all', 'rule': 'largest', 'epochs': 1, 'learning_rate': 0.02}],
        work=str(tmp_path / 'work'),
        output=str(tmp_path / 'bundle'),
        held_out=60,
    )
    bundle = train_bundle(configuration, quiet=True)
    assert [entry.id for entry in bundle.manifest.sub_networks] == ['s0', 's1', 's2', 's3']
    assert not any(bundle.weights().batch_norm_statistics.values())


def test_a_sub_network_is_trained_alone_for_as_long(folder, bundle):
    configuration = training_configuration(folder)
    path = train_alone(configuration, 's0', quiet=True)
    assert path == folder / 'work' / 'alone_s0' / 'result.json'
    result = json.loads(path.read_text())
    assert result['configuration'] == bundle.manifest.sub_network('s0').configuration
    assert result['training'].startswith('2 epochs')
    assert 0.0 <= result['accuracy'] <= 1.0
    assert result['accuracy_data'] == bundle.manifest.accuracy_data
    rows = (path.parent / 'training.jsonl').read_text()
    assert train_alone(configuration, 's0', quiet=True).read_text() == path.read_text()
    assert (path.parent / 'training.jsonl').read_text() == rows


def test_the_largest_is_trained_alone_without_a_bundle(folder, tmp_path):
    configuration = training_configuration(
        folder,
        work=str(tmp_path / 'work'),
        output=str(tmp_path / 'none'),
        phases=[{'name': 'all', 'rule': 'sandwich', 'epochs': 1, 'learning_rate': 0.02}],
        held_out=80,
    )
    result = json.loads(train_alone(configuration, 'largest', quiet=True).read_text())
    network = create(configuration.family, configuration.layout)
    assert network.configuration(result['configuration']) == network.largest()


def test_a_sub_network_that_the_bundle_lacks_is_named(folder, bundle):
    with pytest.raises(BundleError, match="no sub-network 's9'"):
        train_alone(training_configuration(folder), 's9', quiet=True)


@pytest.mark.parametrize(
    ('name', 'problem'), [('notes', 'is no bundle'), ('notes/a', 'is a file')]
)
def test_an_output_that_is_something_else_is_refused_before_training(
    folder, tmp_path, name, problem
):
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'notes' / 'a').write_text('keep me')
    configuration = training_configuration(
        folder, output=str(tmp_path / name), work=str(tmp_path / 'work')
    )
    with pytest.raises(BundleError, match=problem):
        train_bundle(configuration, quiet=True)
    assert not (tmp_path / 'work').exists()
    assert (tmp_path / 'notes' / 'a').read_text() == 'keep me'


def test_data_with_other_classes_are_refused(folder, tmp_path):
    pictures = colour_pictures(40)
    nine = pictures.take(np.flatnonzero(pictures.labels != 4))
    write_folder(tmp_path / 'test', nine)
    configuration = training_configuration(folder, test_data=str(tmp_path / 'test'))
    with pytest.raises(
        DataError, match=r'train has the classes class_4; only .*test has the classes \(none\)'
    ):
        train_bundle(configuration, quiet=True)


def test_a_layout_for_other_classes_is_refused(folder):
    layout = {**LAYOUT.to_mapping(), 'classes': 1000}
    configuration = training_configuration(folder, layout=layout)
    with pytest.raises(ConfigurationError, match='classes is 1000'):
        train_bundle(configuration, quiet=True)


def test_a_layout_that_is_named_gets_the_classes_of_the_data(tmp_path):
    pictures = colour_pictures(120)
    three = pictures.take(np.flatnonzero(pictures.labels < 3))
    for name in ('train', 'test'):
        write_folder(tmp_path / name, three)
    phase = Phase('group 1', Rule.LARGEST, 1, 0.02, within={'groups': (1,)})
    bundle = train_bundle(
        training_configuration(
            tmp_path,
            family='incremental_group',
            layout='incremental_group_32x32',
            phases=[phase.to_mapping()],
            stored_precision='float16',
        ),
        quiet=True,
    )
    assert bundle is not None
    assert bundle.manifest.super_network.layout['classes'] == len(bundle.manifest.labels) == 3
    weights = bundle.weights().network
    assert all(np.array_equal(each, each.astype(np.float16)) for each in weights.values())
