# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Operating points computed with a board model."""

from itertools import pairwise

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.profiling.simulated import network_cost, simulated_profile

PLATFORM = 'xavier_nx_simulated'
BOARD = load_board(PLATFORM)
SUB_NETWORKS = [
    SubNetwork('s0', {}, Size(24, 24), 0.8, 2_000_000, 200_000, 24),
    SubNetwork('s1', {}, Size(32, 32), 0.9, 20_000_000, 800_000, 60),
]
PUBLISHED = SubNetwork('large', {}, Size(192, 192), 0.76, 288_758_912, 6_339_656, 69)


@pytest.fixture(scope='module')
def profile() -> OperatingPoints:
    return simulated_profile(BOARD, PLATFORM, SUB_NETWORKS)


def test_every_setting_of_the_power_mode_appears_once(profile: OperatingPoints) -> None:
    tables = [row.available for row in BOARD.limits()]
    settings = np.prod([len(table) for table in tables])
    assert len(profile) == len(SUB_NETWORKS) * len(BOARD.processors) * settings
    rows = np.column_stack((profile.sub_network, profile.processor, profile.frequencies))
    assert len(np.unique(rows, axis=0)) == len(profile)
    for column, table in enumerate(tables):
        assert set(profile.frequencies[:, column]) == set(table)


def test_says_what_it_is(profile: OperatingPoints) -> None:
    assert profile.kind is ProfileKind.SIMULATED
    assert profile.extrapolated
    assert profile.platform == PLATFORM
    assert '20W_6CORE' in profile.description
    assert 'simulated' in profile.description


def test_points_are_those_of_the_board_model(profile: OperatingPoints) -> None:
    for index in (0, 17, len(profile) - 1):
        setting = dict(zip(profile.domains, profile.frequencies[index]))
        cost = network_cost(SUB_NETWORKS[profile.sub_network[index]])
        processor = profile.processors[profile.processor[index]]
        assert profile.latency_mean[index] == BOARD.latency(cost, processor, setting)
        assert profile.idle_power[index] == BOARD.power(setting, {})['VDD_IN']


def test_figures_agree_with_each_other(profile: OperatingPoints) -> None:
    columns = (profile.latency_p50, profile.latency_p95, profile.latency_p99)
    assert all(np.all(low < high) for low, high in pairwise(columns))
    assert np.all(np.abs(profile.latency_mean / profile.latency_p50 - 1) < 0.01)
    assert np.all(profile.power > profile.idle_power)
    np.testing.assert_allclose(profile.energy, profile.power * profile.latency_mean)


def test_smaller_sub_network_is_faster_and_cheaper(profile: OperatingPoints) -> None:
    small, large = (profile.sub_network == index for index in (0, 1))
    assert np.all(profile.latency_mean[small] < profile.latency_mean[large])
    assert np.all(profile.energy[small] < profile.energy[large])


def test_network_like_the_measured_ones_is_not_extrapolated_on_the_gpu() -> None:
    assert not BOARD.extrapolated(network_cost(PUBLISHED), 'gpu')


def test_profile_survives_its_file(profile: OperatingPoints) -> None:
    again = OperatingPoints.from_mapping(profile.to_mapping(), 'test')
    np.testing.assert_allclose(again.latency_mean, profile.latency_mean, rtol=1e-5)
    np.testing.assert_array_equal(again.frequencies, profile.frequencies)
    assert again.sub_networks == profile.sub_networks
