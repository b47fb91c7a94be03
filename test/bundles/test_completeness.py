# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.completeness import is_older_than_weights, missing_from
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size

SHA256 = 'a' * 64
MANIFEST = Manifest(
    name='tiny',
    source=SuperNetwork('some', {}, 'weights'),
    labels=('cat', 'dog'),
    preprocessing=Preprocessing(Resize.STRETCH, (0.5,) * 3, (0.2,) * 3),
    sub_networks=tuple(SubNetwork(name, {}, Size(32, 32), 0.5, 1, 1, 1) for name in ('s0', 's1')),
    profiles=(),
    files={'weights': SHA256},
)
LATENCY = np.array([0.01, 0.02, 0.03, 0.04])
COMPLETE = OperatingPoints(
    platform='board',
    kind=ProfileKind.MEASURED,
    extrapolated=False,
    domains=('cpu',),
    processors=('cpu',),
    sub_networks=('s0', 's1'),
    sub_network=np.array([0, 0, 1, 1]),
    processor=np.zeros(4, np.int64),
    frequencies=np.array([[1e9], [2e9], [1e9], [2e9]]),
    latency_mean=LATENCY,
    latency_p50=LATENCY,
    latency_p95=LATENCY,
    latency_p99=LATENCY,
    power=np.full(4, np.nan),
    idle_power=np.full(4, np.nan),
    energy=np.full(4, np.nan),
)


def test_a_complete_profile_lacks_nothing() -> None:
    assert missing_from(COMPLETE, MANIFEST) == []
    assert missing_from(replace(COMPLETE, power=LATENCY, weights_sha256=SHA256), MANIFEST) == []


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'sub_networks': ('s0', 's0')}, 'has no point for s1'),
        ({'sub_networks': ('s0', 's0')}, 'names one of its sub_networks twice'),
        ({'frequencies': np.array([[1e9], [2e9], [1e9], [1e9]])}, 's1 twice at one setting'),
        (
            {'frequencies': np.array([[1e9], [2e9], [1e9], [1e9]])},
            "s1 on 'cpu' at 1 of 2 settings",
        ),
        ({'sub_network': np.array([0, 0, 0, 1])}, "s1 on 'cpu' at 1 of 2 settings"),
        ({'energy': np.array([1.0, np.nan, 1.0, 1.0])}, 'has no energy for 1 of 4 points'),
        ({'latency_p95': LATENCY * 0.5}, '4 points whose latency p50, p95 and p99'),
        ({'weights_sha256': 'b' * 64}, 'made with other weights'),
    ],
)
def test_says_what_is_missing(changes: dict[str, Any], said: str) -> None:
    problems = missing_from(replace(COMPLETE, **changes), MANIFEST)
    assert any(said in problem for problem in problems), problems


def test_age_is_unknown_where_the_weights_were_not_taken_down() -> None:
    assert is_older_than_weights(COMPLETE, MANIFEST) is None
    assert is_older_than_weights(replace(COMPLETE, weights_sha256=SHA256), MANIFEST) is False
