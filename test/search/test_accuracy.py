# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import importlib.util
import random

from joblib import register_parallel_backend
from joblib._parallel_backends import ThreadingBackend
import numpy as np
import pytest

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.search.accuracy import Pool, Subject
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from support.bundles import PREPROCESSING, make_bundle
from support.training import colour_pictures, small_network

CALIBRATION, PICTURES = colour_pictures(40), colour_pictures(60, seed=1)


@pytest.fixture(scope='module')
def subject(tmp_path_factory):
    return Subject.of(make_bundle(tmp_path_factory.mktemp('accuracy') / 'bundle'), 'sha256')


@pytest.fixture(scope='module')
def mappings():
    network, generator = small_network(), random.Random(0)
    return [network.sample(generator).to_mapping() for _ in range(5)]


@pytest.fixture(scope='module')
def alone(subject, mappings):
    pool = Pool(subject, 1, 'loky')
    return {index: rest for index, *rest in pool.recalibrated(mappings, CALIBRATION, PICTURES)}


def test_accuracies_are_those_of_the_recalibrated_sub_networks(tmp_path, mappings, alone):
    bundle = make_bundle(tmp_path / 'bundle')
    network = small_network()
    network.load_state(bundle.weights().network)
    normalisation = Normalisation(PREPROCESSING.mean, PREPROCESSING.standard_deviation)
    for index, mapping in enumerate(mappings):
        module = network.extract(network.configuration(mapping))
        recalibrate(module, CALIBRATION, Size(*(mapping['resolution'],) * 2), normalisation)
        expected = accuracy(module, PICTURES, Size(*(mapping['resolution'],) * 2), normalisation)
        # Another layout of the filters rounds otherwise: a picture on the border may change.
        assert alone[index][0] == pytest.approx(expected, abs=0.02)


def test_two_jobs_find_what_one_finds(subject, mappings, alone):
    pool = Pool(subject, 2, 'loky')
    found = {index: rest for index, *rest in pool.recalibrated(mappings, CALIBRATION, PICTURES)}
    assert found.keys() == alone.keys()
    for index, (share, statistics) in found.items():
        assert share == alone[index][0]
        for name, values in statistics.items():
            np.testing.assert_array_equal(values, alone[index][1][name])


class ListsOnly(ThreadingBackend):
    """A backend that cannot give results one by one, as Ray's."""

    supports_return_generator = False


def test_a_backend_that_returns_lists_finds_the_same(subject, mappings, alone):
    register_parallel_backend('lists_only', ListsOnly)
    pool = Pool(subject, 2, 'lists_only')
    found = {
        index: share for index, share, _ in pool.recalibrated(mappings, CALIBRATION, PICTURES)
    }
    assert found == {index: share for index, (share, _) in alone.items()}


def test_given_statistics_give_the_same_accuracy_again(subject, mappings, alone):
    entries = [(mapping, alone[index][1]) for index, mapping in enumerate(mappings)]
    found = dict(Pool(subject, 1, 'loky').accuracies(entries, PICTURES))
    assert found == {index: share for index, (share, _) in alone.items()}


def test_a_backend_that_is_not_here_is_named(subject):
    with pytest.raises(SearchError, match="backend 'nonesuch' cannot be used"):
        Pool(subject, 2, 'nonesuch')


@pytest.mark.skipif(importlib.util.find_spec('ray') is not None, reason='ray is installed')
def test_a_cluster_without_its_package_says_what_to_install(subject):
    with pytest.raises(SearchError, match="install 'ray'"):
        Pool(subject, 2, 'ray')
