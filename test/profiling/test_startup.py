# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.profile import ProfileKind
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.profiling.startup import RUNS, measure
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
