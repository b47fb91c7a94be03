# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
import json
import math
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind, parse_profile

INTERPOLATED = {
    'hardware': 'board (4 cores)',
    'interpolated': [False, True],
    'interpolation_error': 0.02,
    'interpolation_error_maximum': 0.05,
}
LATENCY = np.array([0.01, 0.02])
POINTS = OperatingPoints(
    platform='board',
    kind=ProfileKind.SIMULATED,
    extrapolated=True,
    domains=('cpu', 'gpu'),
    processors=('gpu',),
    sub_networks=('s0', 's1'),
    sub_network=np.array([0, 1]),
    processor=np.array([0, 0]),
    frequencies=np.array([[1.19e9, 114750000.0], [1.19e9, 1109250000.0]]),
    latency_mean=LATENCY,
    latency_p50=LATENCY,
    latency_p95=LATENCY * 1.2,
    latency_p99=LATENCY * 1.3,
    power=np.array([5.0, 9.0]),
    idle_power=np.array([3.0, np.nan]),
    energy=np.array([0.05, 0.18]),
)


def written(**changes: Any) -> bytes:
    return json.dumps({**POINTS.to_mapping(), **changes}).encode()


def test_reads_back_what_it_writes() -> None:
    read = parse_profile(written(), 'here')
    for name, value in vars(POINTS).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(getattr(read, name), value, rtol=1e-5)
        elif value != value:
            assert np.isnan(getattr(read, name))
        else:
            assert getattr(read, name) == value
    # A clock has to hit the platform's table exactly.
    assert np.array_equal(read.frequencies, POINTS.frequencies)


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'format_version': 9}, 'format_version'),
        ({'power': [1.0]}, 'power'),
        ({'sub_network': [0, 2]}, 'sub_network'),
        ({'latency_mean': [0.01, -1.0]}, 'latency_mean'),
        ({'latency_p99': [0.01, None]}, 'latency_p99'),
        ({'frequencies': [[1.0, 0.0], [1.0, 1.0]]}, 'frequency'),
        ({'frequencies': [[1.0], [1.0]]}, 'cannot be read'),
        ({'kind': 'guessed'}, 'cannot be read'),
        ({'sub_network': [0, 10**400]}, 'cannot be read'),
        ({'power': [10**400, 1.0]}, 'cannot be read'),
        ({'sub_network': [[0, 0], [1, 1]]}, "column 'sub_network' has shape"),
        ({'energy': [0.05, -0.18]}, "column 'energy'.*negative"),
        ({'idle_power': [3.0, math.inf]}, "column 'idle_power'.*infinite"),
        ({'batch_latency': [[1.0, 1.5]]}, r'batch_latency has shape \(1, 2\)'),
        ({'batch_latency': [[1.0] * 65] * 2}, 'up to 64'),
        ({'batch_latency': [1.0, 1.5]}, r'batch_latency has shape \(2,\)'),
        ({'batch_latency': [[1.0, 1.5], [1.0, 0.0]]}, 'not positive'),
        ({'batch_latency': [[1.0, 1.5], [1.0, math.inf]]}, 'not positive'),
        ({'batch_latency': [[1.0, 1.5], [1.1, 1.5]]}, 'first one that is not 1'),
        ({'batch_latency': [[1.0], [1.0, 1.5]]}, 'cannot be read'),
        ({'works': {'s1': [0.5, 1.0]}}, "paths of 's1'"),
        ({'works': {'s1': [0.5, 2.0]}, 'taken': {'s1': [0.5, 0.5]}}, 'in 0..1'),
        ({'works': {'s1': [0.5, 1.0]}, 'taken': {'s1': [0.5, 0.4]}}, 'sum to 1'),
        ({'works': {'s7': [0.5, 1.0]}, 'taken': {'s7': [0.5, 0.5]}}, "'s7'"),
        ({'works': {'s1': 'half'}}, 'cannot be read'),
    ],
)
def test_refuses_a_broken_column_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(BundleError, match=named):
        parse_profile(written(**changes), 'here')


def test_paths_are_read_back_and_go_with_their_sub_network() -> None:
    paths = {'works': {'s1': [0.25, 1.0]}, 'taken': {'s1': [0.75, 0.25]}}
    read = parse_profile(written(**paths), 'here')
    assert (read.works, read.taken) == ({'s1': (0.25, 1.0)}, {'s1': (0.75, 0.25)})
    assert read.to_mapping()['works'] == paths['works']
    assert read.only(['s1']).taken == read.taken
    assert read.only(['s0']).works == read.only(['s0']).taken == {}


def test_refuses_a_missing_column_and_what_is_no_json() -> None:
    mapping = POINTS.to_mapping()
    del mapping['energy']
    with pytest.raises(BundleError, match='missing energy'):
        parse_profile(json.dumps(mapping).encode(), 'here')
    for content in (b'{"truncated', b'[1, 2]', b'\xff', b'[' * 200_000):
        with pytest.raises(BundleError, match='here'):
            parse_profile(content, 'here')


def test_columns_have_one_length() -> None:
    with pytest.raises(BundleError, match='power'):
        replace(POINTS, power=np.array([1.0, 2.0, 3.0]))
    assert len(POINTS) == 2


def test_says_what_was_interpolated_and_on_which_hardware() -> None:
    read = parse_profile(written(**INTERPOLATED), 'here')
    assert read.to_mapping() == {**POINTS.to_mapping(), **INTERPOLATED}
    with pytest.raises(BundleError, match='interpolated'):
        parse_profile(written(interpolated=[True]), 'here')


def test_reads_a_profile_from_before_interpolation() -> None:
    mapping = POINTS.to_mapping()
    for name in INTERPOLATED:
        del mapping[name]
    read = parse_profile(json.dumps(mapping).encode(), 'here')
    assert read.hardware == ''
    assert not read.interpolated.any()
    assert np.isnan(read.interpolation_error)


def test_points_of_some_sub_networks_only() -> None:
    kept = POINTS.only(['s1'])
    assert kept.sub_networks == ('s1',) and kept.sub_network.tolist() == [0]
    assert kept.latency_mean.tolist() == [0.02]
    assert kept.frequencies.tolist() == [[1.19e9, 1109250000.0]]
    assert len(POINTS.only(['s0', 's1'])) == 2
    assert len(POINTS.only([])) == 0


def test_keeps_what_frames_take_together() -> None:
    table = np.array([[1.0, 1.8, 2.7], [1.0, 1.9, 2.95]])
    points = replace(POINTS, batch_latency=table)
    read = parse_profile(json.dumps(points.to_mapping()).encode(), 'here')
    assert read.largest_batch == 3
    np.testing.assert_allclose(read.batch_latency, table)
    assert np.array_equal(read.only(['s1']).batch_latency, table[1:])


def test_a_file_from_before_batches_has_none() -> None:
    mapping = POINTS.to_mapping()
    del mapping['batch_latency']
    read = parse_profile(json.dumps(mapping).encode(), 'here')
    assert read.largest_batch == 0 and not read.batch_latency.size
    assert read.only(['s1']).largest_batch == 0
