# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SuperNetwork
from dynamic_dnn_ros.bundles.reader import Weights, read_bundle
from dynamic_dnn_ros.bundles.writer import weights_content, write_bundle
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.pictures.input import Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.search.accuracy import Pool
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.recipe import search_bundle
from dynamic_dnn_ros.search.settings import SearchSettings
from dynamic_dnn_ros.training.checkpoint import write_state
from dynamic_dnn_ros.training.pictures import read_pictures
from dynamic_dnn_ros.training.tasks import classification
from support.bundles import make_bundle
from support.engines import logits
from support.search import SETTINGS, make_search
from support.training import colour_pictures, write_folder

SMALL = SearchSettings.from_mapping(SETTINGS)


@pytest.fixture(scope='module')
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp('searched')
    configuration = make_search(folder)
    return search_bundle(configuration, SMALL, jobs=1, quiet=True)


def rows_of(folder):
    lines = (folder / 'work' / 'search' / 'journal.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines[1:]]


def configurations(rows, kind):
    return [json.dumps(row['configuration'], sort_keys=True) for row in rows if kind in row]


def test_the_sub_networks_rise_in_cost_and_accuracy(searched):
    kept = searched.results.kept
    assert 1 <= len(kept) <= SMALL.sub_networks
    assert [each.entry.id for each in kept] == [f's{index}' for index in range(len(kept))]
    assert (np.diff([each.evaluation.cost for each in kept]) > 0.0).all()
    assert (np.diff([each.evaluation.accuracy for each in kept]) > 0.0).all()


def test_the_engine_serves_them_with_the_accuracy_in_the_manifest(searched):
    bundle = read_bundle(searched.bundle.folder)
    test = colour_pictures(40, seed=1)
    engine = create_engine('torch', bundle, threads=1)
    for entry in bundle.manifest.sub_networks:
        prepared = engine.prepare(entry, 'cpu')
        if entry.size != Size(32, 32):
            continue
        answers = [int(np.argmax(logits(prepared, image))) for image in test.images]
        # A picture may lie on the border between two classes.
        assert np.mean(answers == test.labels) == pytest.approx(entry.accuracy, abs=0.05)


def test_report_and_picture_are_written(searched):
    report = json.loads((searched.folder / 'report.json').read_text())
    assert len(report['candidates']) == len(searched.results.evaluations)
    assert report['block_sums']['count'] == len(report['candidates'])
    assert (searched.folder / 'front.png').is_file()


def test_a_search_that_was_killed_goes_on_and_measures_nothing_twice(tmp_path):
    make_search(tmp_path)
    before = read_bundle(tmp_path / 'bundle').sha256
    command = [sys.executable, '-m', 'dynamic_dnn_ros.cli.main', 'search']
    command += [str(tmp_path / 'search.yaml'), '--jobs', '1', '--quiet']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    journal = tmp_path / 'work' / 'search' / 'journal.jsonl'
    process = subprocess.Popen(command, cwd='/', env=environment, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60.0
        while not journal.is_file() or journal.read_bytes().count(b'\n') < 12:
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    kept = rows_of(tmp_path)
    assert kept
    assert read_bundle(tmp_path / 'bundle').sha256 == before
    subprocess.run(command, cwd='/', env=environment, check=True, stdout=subprocess.PIPE)
    rows = rows_of(tmp_path)
    assert rows[: len(kept)] == kept
    for kind in ('accuracy', 'cost'):
        measured = configurations(rows, kind)
        assert len(measured) == len(set(measured)) > 6
    assert (tmp_path / 'bundle' / 'front.png').is_file()


def test_a_finished_search_may_be_called_again_with_more_generations(tmp_path):
    configuration = make_search(tmp_path)
    first = search_bundle(configuration, SMALL, jobs=1, quiet=True)
    before = rows_of(tmp_path)
    more = SearchSettings.from_mapping({**SETTINGS, 'generations': 4})
    second = search_bundle(configuration, more, jobs=1, quiet=True)
    rows = rows_of(tmp_path)
    assert rows[: len(before)] == before
    assert len(rows) > len(before)
    assert len(second.results.evaluations) > len(first.results.evaluations)
    assert [each.configuration for each in second.results.evaluations][
        : len(first.results.evaluations)
    ] == [each.configuration for each in first.results.evaluations]


def test_without_a_bundle_it_says_to_train_first(tmp_path):
    configuration = make_search(tmp_path, output=str(tmp_path / 'nonesuch'))
    with pytest.raises(SearchError, match=r"nonesuch does not exist: run 'dynamic-dnn train'"):
        search_bundle(configuration, SMALL, jobs=1, quiet=True)
    assert not Path(configuration.output).exists()


def test_a_bundle_that_another_command_writes_is_left_to_it(tmp_path):
    configuration = make_search(tmp_path)
    with (tmp_path / '.bundle.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BundleError, match='bundle'):
            search_bundle(configuration, SMALL, jobs=1, quiet=True)
    assert not (tmp_path / 'work').exists()


def test_data_of_other_classes_are_refused(tmp_path):
    configuration = make_search(tmp_path)
    pictures = colour_pictures(60)
    write_folder(tmp_path / 'nine', pictures.take(np.flatnonzero(pictures.labels != 4)))
    configuration = make_search(tmp_path, test_data=str(tmp_path / 'nine'))
    with pytest.raises(DataError, match='nine has the classes .* give the data'):
        search_bundle(configuration, SMALL, jobs=1, quiet=True)


def test_pictures_become_square_as_the_bundle_says(tmp_path, monkeypatch):
    configuration = make_search(tmp_path, resize='center_crop')
    read = []

    def reads(path, quiet, resize, workers, split):
        read.append(resize)
        return read_pictures(path, quiet, resize, workers, split)

    monkeypatch.setattr(classification, 'read_pictures', reads)
    # The next check ends it.
    configuration.work.mkdir()
    write_state(configuration.work / 'checkpoint.pt', {'seed': 1})
    with pytest.raises(SearchError, match='seed'):
        search_bundle(configuration, SMALL, jobs=1, quiet=True)
    assert read == [Resize.STRETCH] * 2


@pytest.mark.parametrize(('name', 'value'), [('seed', 1), ('pictures', 59)])
def test_pictures_that_were_trained_on_are_not_searched_by(tmp_path, name, value):
    configuration = make_search(tmp_path)
    configuration.work.mkdir()
    write_state(configuration.work / 'checkpoint.pt', {'seed': 0, 'pictures': 60, name: value})
    with pytest.raises(SearchError, match=f'was trained with {name} {value}.*restore seed'):
        search_bundle(configuration, SMALL, jobs=1, quiet=True)


def test_what_is_tested_is_what_is_stored(tmp_path, monkeypatch):
    configuration = make_search(tmp_path)
    bundle = read_bundle(configuration.output)
    half = weights_content(bundle.weights(), np.float16)
    write_bundle(bundle.folder, bundle.manifest, half)
    tested = []
    accuracies = Pool.accuracies

    def measure(pool, entries, pictures):
        tested.extend(statistics for _, statistics in entries)
        return accuracies(pool, entries, pictures)

    monkeypatch.setattr(Pool, 'accuracies', measure)
    few = SearchSettings.from_mapping({**SETTINGS, 'population': 4, 'generations': 1})
    found = search_bundle(configuration, few, jobs=1, quiet=True)
    stored = found.bundle.weights().batch_norm_statistics
    assert len(stored) == len(tested)
    for statistics, expected in zip(tested, stored.values()):
        for name, array in expected.items():
            np.testing.assert_array_equal(statistics[name], array)


def test_pictures_of_several_sizes_are_read_when_used(tmp_path):
    configuration = make_search(tmp_path)
    for folder in ('train', 'test'):
        picture = min((tmp_path / folder).rglob('*.png'))
        with Image.open(picture) as image:
            image.resize((48, 40)).save(picture)
    few = SearchSettings.from_mapping({**SETTINGS, 'population': 4, 'generations': 1})
    found = search_bundle(configuration, few, jobs=1, quiet=True)
    assert found.results.kept
    measured = rows_of(tmp_path)
    search_bundle(dataclasses.replace(configuration, workers=1), few, jobs=1, quiet=True)
    assert rows_of(tmp_path) == measured


def test_a_family_with_few_sub_networks_is_searched_too(tmp_path):
    configuration = make_search(tmp_path)
    layout = {
        'groups': 3,
        'connections': 'earlier',
        'layers': [{'width': 4, 'stride': 2}, {'width': 8, 'stride': 2}],
        'resolution': 32,
        'classes': 10,
    }
    network = create('incremental_group', layout)
    bundle = read_bundle(configuration.output)
    entry = dataclasses.replace(
        bundle.manifest.sub_networks[0],
        configuration=network.largest().to_mapping(),
        size=Size(32, 32),
    )
    manifest = dataclasses.replace(
        bundle.manifest,
        source=SuperNetwork('incremental_group', layout),
        sub_networks=(entry,),
    )
    write_bundle(bundle.folder, manifest, weights_content(Weights(network.state(), {})))
    found = search_bundle(configuration, SMALL, jobs=1, quiet=True)
    groups = [each.configuration.groups for each in found.results.evaluations]
    assert sorted(groups) == [1, 2, 3]
    state = found.bundle.weights().network
    for name, values in network.state().items():
        np.testing.assert_array_equal(values, state[name])


def test_a_journal_of_another_bundle_is_refused(tmp_path):
    configuration = make_search(tmp_path)
    few = SearchSettings.from_mapping({**SETTINGS, 'population': 4, 'generations': 1})
    search_bundle(configuration, few, jobs=1, quiet=True)
    make_bundle(tmp_path / 'bundle', seed=1)
    before = read_bundle(tmp_path / 'bundle').sha256
    with pytest.raises(SearchError, match=r'of another search, its weights differ'):
        search_bundle(configuration, few, jobs=1, quiet=True)
    assert read_bundle(tmp_path / 'bundle').sha256 == before
