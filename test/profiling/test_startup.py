# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.completeness import missing_from
from dynamic_dnn_ros.bundles.profile import ProfileKind
from dynamic_dnn_ros.bundles.writer import with_profile, write_bundle
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.profiling.startup import RUNS, measure
from support.applications import operating_points
from support.bundles import make_bundle


@pytest.fixture
def prepared(tmp_path: Path) -> list[PreparedSubNetwork]:
    bundle = make_bundle(tmp_path / 'synthetic')
    engine = create_engine('torch', bundle, 1)
    return [engine.prepare(entry, 'cpu') for entry in bundle.manifest.sub_networks]


def test_a_point_for_each_sub_network_without_clocks(prepared: list[PreparedSubNetwork]) -> None:
    points = measure('workstation', prepared)
    assert points is not None
    assert points.kind is ProfileKind.MEASURED
    assert (points.platform, points.domains, points.processors) == ('workstation', (), ('cpu',))
    assert points.sub_networks == ('s0', 's1', 's2')
    assert np.all(points.latency_p50 <= points.latency_p95)
    assert np.all(points.latency_p95 <= points.latency_p99)
    assert np.all(np.isnan(points.energy))


def test_ends_early_without_a_result_when_it_is_cancelled(
    prepared: list[PreparedSubNetwork],
) -> None:
    asked = []

    def cancelled() -> bool:
        asked.append(None)
        return len(asked) > 3

    assert measure('workstation', prepared, cancelled) is None
    assert len(asked) == 4 < RUNS


def test_separate_models_are_measured_at_their_sizes(tmp_path: Path) -> None:
    pytest.importorskip('onnx', reason='the models are made with it')
    pytest.importorskip('onnxruntime')
    from support.separate_models import make_models_bundle

    bundle = make_models_bundle(tmp_path / 'models')
    engine = create_engine('onnxruntime', bundle, 1)
    points = measure(
        'workstation', (engine.prepare(entry, 'cpu') for entry in bundle.manifest.sub_networks)
    )
    assert points is not None and points.sub_networks == ('small_24', 'small_48', 'large')
    assert np.all(points.latency_mean > 0)


def test_a_profile_is_of_the_models_that_it_was_made_with(tmp_path: Path) -> None:
    pytest.importorskip('onnx', reason='the models are made with it')
    pytest.importorskip('onnxruntime')
    from support.separate_models import make_models_bundle, picture_classifier

    bundle = make_models_bundle(tmp_path / 'models')
    latencies = {entry.id: (0.01, 0.5) for entry in bundle.manifest.sub_networks}
    written = with_profile(bundle, operating_points((), latencies, 'cpu'))
    (profile,) = written.profiles
    assert written.profile(profile.platform) == profile
    content = {**bundle.source_content, 'large': picture_classifier(9, (1, 48, 64, 3), 16)}
    other = write_bundle(bundle.folder, written.manifest, content, written.profiles)
    assert len(other.profiles) == 1 and other.profile(profile.platform) is None
    assert missing_from(profile, other.manifest) == [
        'was made with other weights than the bundle has now'
    ]
