# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.networks.registry import network_of
from dynamic_dnn_ros.search.space import SearchSpace
from support.bundles import make_bundle
from support.training import CLASSES, colour_pictures, write_folder

Import = Callable[[str], ModuleType]


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp('bundle') / 'synthetic')


@pytest.fixture
def suite(benchmark: Import, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    suite = benchmark('suites.super_network')
    monkeypatch.setattr(suite, 'TURNS', 2)
    return suite


def test_every_class_has_its_share_of_a_part(suite: ModuleType, tmp_path: Path) -> None:
    pictures = open_dataset(write_folder(tmp_path, colour_pictures(60)), 'classification')
    part = suite.some_of(pictures, 20)
    counts = np.bincount([part.truth_of(index) for index in range(len(part))]).tolist()
    assert counts == [2] * len(CLASSES)
    assert set(suite.some_of(pictures, 10_000).names) == set(pictures.names)


def test_every_sub_network_is_measured_and_held_against_its_bar(
    suite: ModuleType, benchmark: Import, bundle: Bundle, tmp_path: Path
) -> None:
    pictures = open_dataset(write_folder(tmp_path / 'test', colour_pictures(40)), 'classification')
    shipped = suite.Shipped('synthetic', 'none', 3, {0: '>= 0', -1: '> 1'}, latency_ratio='>= 1')
    figures = suite.measure(shipped, bundle, pictures, runs=2)
    rows = {row.name: row for row in figures}
    assert rows['synthetic: sub-networks'].met is True
    assert rows[suite.accuracy_name('synthetic', 's0')].met is True
    assert rows[suite.accuracy_name('synthetic', 's1')].met is None
    assert rows[suite.accuracy_name('synthetic', 's2')].met is False
    assert rows['synthetic: latency of the slowest against the fastest'].met is True
    latencies = [rows[suite.latency_name('synthetic', each)] for each in ('s0', 's1', 's2')]
    assert all(0 < row.low <= row.value <= row.high for row in latencies)
    report = benchmark('report').Report(
        'super_network',
        'measured',
        {'sub_networks': {'synthetic': ['s0', 's1', 's2']}, 'pictures': 40},
        figures,
    )
    suite.draw(report, tmp_path / 'super_network.png')
    with Image.open(tmp_path / 'super_network.png') as picture:
        assert picture.format == 'PNG'


def test_the_slope_is_that_of_the_best_pair_within_two_points(suite: ModuleType) -> None:
    latencies, accuracies = [1.0, 2.0, 3.0, 7.0], [0.50, 0.60, 0.615, 0.619]
    assert suite._slope(latencies, accuracies) == 3.5
    assert suite._slope(latencies, [0.5, 0.6, 0.7, 0.8]) == 1
    # One that is slower and less accurate than another is no one's choice.
    assert suite._slope([1.0, 4.0], [0.6, 0.59]) == 1


def _write_result(work: Path, name: str, **values: Any) -> None:
    path = work / f'alone_{name}' / 'result.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(values))


def test_architectures_trained_alone_stand_beside_those_of_the_super_network(
    suite: ModuleType, bundle: Bundle, tmp_path: Path
) -> None:
    manifest = bundle.manifest
    first, _, last = manifest.sub_networks
    same_data = {'accuracy_data': manifest.accuracy_data}
    # 'smallest' is how it was called; the bundle calls that one s0.
    _write_result(
        tmp_path,
        'smallest',
        configuration=first.configuration,
        accuracy=first.accuracy + 0.02,
        **same_data,
    )
    _write_result(
        tmp_path, 's2', configuration=last.configuration, accuracy=0.5, accuracy_data='other'
    )
    shipped = suite.Shipped('synthetic', 'none', 3, {}, alone=(0, 1, -1))
    rows, missing = suite.alone(shipped, manifest, tmp_path)
    assert [(row.value, row.met) for row in rows] == [(first.accuracy + 0.02, None), (-2, False)]
    assert [text.partition(' ')[0] for text in missing] == ['`alone_s2/result.json`', 's1', 's2']
    assert 'dynamic-dnn train config/training/synthetic.yaml --alone s1' in missing[1]


def test_entries_without_effect_do_not_make_another_architecture(
    suite: ModuleType, bundle: Bundle, tmp_path: Path
) -> None:
    manifest = bundle.manifest
    network = network_of(manifest)
    space = SearchSpace(network)
    first = manifest.sub_networks[0]
    genes = space.encode(network.configuration(first.configuration))
    idle = next(
        other
        for other in (
            np.where(np.arange(len(genes)) == at, space.upper, genes) for at in range(len(genes))
        )
        if (other != genes).any() and (space.canonical(other) == space.canonical(genes)).all()
    )
    _write_result(
        tmp_path,
        'smallest',
        configuration=space.decode(idle).to_mapping(),
        accuracy=first.accuracy,
        accuracy_data=manifest.accuracy_data,
    )
    shipped = suite.Shipped('synthetic', 'none', 3, {}, alone=(0,))
    rows, missing = suite.alone(shipped, manifest, tmp_path)
    assert [row.value for row in rows] == [first.accuracy, 0.0]
    assert missing == []


def test_an_architecture_of_another_layout_is_said_not_to_be_there(
    suite: ModuleType, bundle: Bundle, tmp_path: Path
) -> None:
    manifest = bundle.manifest
    first = manifest.sub_networks[0]
    _write_result(
        tmp_path,
        's0',
        configuration={**first.configuration, 'depth': [1]},
        accuracy=first.accuracy,
        accuracy_data=manifest.accuracy_data,
    )
    rows, missing = suite.alone(
        suite.Shipped('synthetic', 'none', 3, {}, alone=(0,)), manifest, tmp_path
    )
    assert rows == []
    assert [text.partition(' ')[0] for text in missing] == ['`alone_s0/result.json`', 's0']


def test_without_any_trained_alone_all_three_are_said_to_be_missing(
    suite: ModuleType, bundle: Bundle, tmp_path: Path
) -> None:
    shipped = suite.SHIPPED[0]
    rows, missing = suite.alone(shipped, bundle.manifest, tmp_path)
    assert rows == []
    assert len(missing) == 3


def test_every_bundle_that_ships_has_its_training(suite: ModuleType) -> None:
    for shipped in suite.SHIPPED:
        assert (suite.REPOSITORY / shipped.training).is_file()
