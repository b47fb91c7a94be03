# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.writer import weights_content, write_bundle
from dynamic_dnn_ros.search.evaluation import Evaluation
from dynamic_dnn_ros.search.results import Kept, Results
from dynamic_dnn_ros.search.settings import SearchSettings
from dynamic_dnn_ros.tasks.contract import Metric
from support.bundles import make_bundle
from support.search import MultiplyAdds, make_search
from support.training import small_network


def results_of(configuration, bundle, network):
    statistics = bundle.weights().batch_norm_statistics
    entries = (bundle.manifest.sub_networks[0], bundle.manifest.sub_networks[2])
    kept = [
        Kept(
            SubNetwork(**{**vars(entry), 'id': f's{index}', 'accuracy': 0.25}),
            Evaluation(
                network.configuration(entry.configuration), 0.3 + index, 0.001 * (1 + index)
            ),
            statistics[entry.id],
        )
        for index, entry in enumerate(entries)
    ]
    evaluations = [each.evaluation for each in kept]
    return Results(
        configuration,
        SearchSettings(),
        MultiplyAdds(network),
        evaluations,
        evaluations,
        kept,
        None,
        Metric.TOP1,
    )


@pytest.fixture
def found(tmp_path):
    configuration = make_search(tmp_path)
    bundle = read_bundle(configuration.output)
    return bundle, results_of(configuration, bundle, small_network())


def test_the_bundle_holds_what_was_kept(found):
    bundle, results = found
    before = bundle.weights()
    written = results.write(bundle, 40, 'config.yaml')
    assert [entry.id for entry in written.manifest.sub_networks] == ['s0', 's1']
    assert [entry.accuracy for entry in written.manifest.sub_networks] == [0.25, 0.25]
    assert written.manifest.accuracy_data == 'noisy colours, 40 test pictures'
    after = written.weights()
    for name, values in before.network.items():
        np.testing.assert_array_equal(values, after.network[name])
    for name, values in before.batch_norm_statistics['s2'].items():
        np.testing.assert_array_equal(values, after.batch_norm_statistics['s1'][name])


def test_card_and_picture_go_with_it_graphs_go_and_other_files_stay(found):
    bundle, results = found
    old = b'# synthetic\n\n## Recipe\n\nby hand\n'
    bundle = write_bundle(
        bundle.folder,
        bundle.manifest,
        bundle.weights_content,
        other_files={
            'MODEL_CARD.md': old,
            'NOTES.txt': b'mine',
            's0.graph': b'of another sub-network',
            's2.int8.graph': b'of one that is gone',
        },
    )
    written = results.write(bundle, 40, 'config.yaml')
    assert not any(name.endswith('.graph') for name in written.manifest.files)
    assert (written.folder / 'NOTES.txt').read_bytes() == b'mine'
    assert (written.folder / 'front.png').read_bytes()[:4] == b'\x89PNG'
    card = (written.folder / 'MODEL_CARD.md').read_text()
    for part in ('by hand', 'dynamic-dnn search config.yaml', '(front.png)', '30.00 %'):
        assert part in card


def test_weights_keep_the_type_in_which_they_were_stored(tmp_path):
    configuration = make_search(tmp_path)
    bundle = make_bundle(configuration.output)
    half = weights_content(bundle.weights(), np.float16)
    bundle = write_bundle(bundle.folder, bundle.manifest, half)
    written = results_of(configuration, bundle, small_network()).write(bundle, 40, '')
    assert len(written.weights_content) < 0.6 * len(weights_content(bundle.weights()))


def test_the_report_is_json(found):
    _, results = found
    report = json.loads(json.dumps(results.report()))
    assert report['kind'] == 'measured'
    assert report['cost_ratio'] == pytest.approx(2.0)
    assert [row['id'] for row in report['kept']] == ['s0', 's1']
    assert report['block_sums'] is None
