# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
import torch

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.networks.contract import statistics_of
from dynamic_dnn_ros.pictures.input import Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.training import export
from dynamic_dnn_ros.training.batches import Normalisation, plain_batches
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.export import write_trained_bundle
from support.training import colour_pictures, small_network, training_configuration

NORMALISATION = Normalisation((0.5,) * 3, (0.25,) * 3)


@pytest.fixture
def network():
    """Return a network that has learned a little."""
    network = small_network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    for images, labels in plain_batches(colour_pictures(60), Size(32, 32), NORMALISATION, 20):
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return network.eval()


def test_each_sub_network_is_recalibrated_and_measured(network, tmp_path):
    calibration, test = colour_pictures(40), colour_pictures(50, seed=1)
    configuration = training_configuration(tmp_path, resize='center_crop', limits='None at all.')
    write_trained_bundle(
        network,
        network.landmarks(),
        configuration,
        calibration,
        test,
        'One epoch',
        'my/colours.yaml',
        quiet=True,
    )
    bundle = read_bundle(tmp_path / 'bundle')
    assert bundle.manifest.preprocessing.resize is Resize.CENTER_CROP
    weights = bundle.weights()
    for entry, each in zip(bundle.manifest.sub_networks, network.landmarks()):
        module = network.extract(each)
        recalibrate(module, calibration, each.size, NORMALISATION)
        assert entry.accuracy == pytest.approx(
            accuracy(module, test, each.size, NORMALISATION), abs=0.021
        )
        for name, expected in statistics_of(module).items():
            found = weights.batch_norm_statistics[entry.id][name]
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    for name, array in network.state().items():
        assert np.array_equal(weights.network[name], array)
    card = (bundle.folder / 'MODEL_CARD.md').read_text()
    for part in ('One epoch.', 'a layout of its own', 'None at all.', 'train my/colours.yaml'):
        assert part in card


def test_what_is_measured_is_what_is_stored(network, tmp_path, monkeypatch):
    measured = []

    def measure(module, *_):
        measured.append(statistics_of(module))
        return 0.5

    monkeypatch.setattr(export, 'accuracy', measure)
    pictures = colour_pictures(40)
    bundle = write_trained_bundle(
        network,
        network.landmarks(),
        training_configuration(tmp_path, stored_precision='float16'),
        pictures,
        pictures,
        'One epoch',
        quiet=True,
    )
    stored = bundle.weights()
    for statistics, expected in zip(measured, stored.batch_norm_statistics.values()):
        for name, array in expected.items():
            np.testing.assert_array_equal(statistics[name], array)
    for name, array in network.state().items():
        np.testing.assert_array_equal(stored.network[name], array)
