# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

"""The whole way, from a folder of pictures to a bundle that the engine serves."""

from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.training.pictures import PictureError
from dynamic_dnn_ros.training.recipe import train_bundle
from support.training import colour_pictures, training_configuration, write_folder


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('recipe')
    write_folder(folder / 'train', colour_pictures(240))
    write_folder(folder / 'test', colour_pictures(60, seed=1))
    return folder


@pytest.fixture(scope='module')
def bundle(folder):
    train_bundle(training_configuration(folder, epochs=4), quiet=True)
    return read_bundle(folder / 'bundle')


def test_the_bundle_says_what_it_is(bundle):
    manifest = bundle.manifest
    assert manifest.name == 'colours'
    assert manifest.classes == tuple(f'class_{index}' for index in range(10))
    assert manifest.accuracy_data == 'noisy colours, 60 test pictures'
    identifiers = [entry.id for entry in manifest.sub_networks]
    assert identifiers == [f's{index}' for index in range(len(identifiers))]
    assert 1 <= len(identifiers) <= 3


def test_the_model_card_has_every_sub_network(bundle):
    card = (bundle.folder / 'MODEL_CARD.md').read_text()
    for entry in bundle.manifest.sub_networks:
        assert f'| {entry.id} | {entry.accuracy * 100:.2f} % |' in card
    for part in ('4 epochs', 'noisy colours', 'dynamic-dnn train', '## Limits'):
        assert part in card


def test_the_served_accuracy_is_the_one_in_the_manifest(bundle):
    test = colour_pictures(60, seed=1)
    engine = create_engine('torch', bundle, threads=1)
    for entry in bundle.manifest.sub_networks:
        prepared = engine.prepare(entry, 'cpu')
        if entry.resolution != 32:
            continue
        answers = [int(np.argmax(prepared.run(image))) for image in test.images]
        # One picture of 60 may lie on the border between two classes.
        assert np.mean(answers == test.labels) == pytest.approx(entry.accuracy, abs=0.02)


def test_data_with_other_classes_are_refused(folder, tmp_path):
    pictures = colour_pictures(60)
    nine = pictures.take(np.flatnonzero(pictures.labels != 4))
    write_folder(tmp_path / 'test', nine)
    configuration = training_configuration(folder, test_data=tmp_path / 'test')
    with pytest.raises(PictureError, match='matching data'):
        train_bundle(configuration, quiet=True)


def test_a_layout_for_other_classes_is_refused(folder):
    configuration = training_configuration(folder, layout='ofa_mbv3_d234_e346_k357_w1.0')
    with pytest.raises(ConfigurationError, match='classes is 1000'):
        train_bundle(configuration, quiet=True)
