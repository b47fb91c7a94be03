# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import pytest

from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.joint.settings import JointSettings
from dynamic_dnn_ros.search.settings import SearchSettings


def test_what_is_left_out_has_its_default():
    assert JointSettings.from_mapping(None) == JointSettings()
    settings = JointSettings.from_mapping({'latency': 0.05, 'at_most_below': [0.01]})
    assert settings.inner.latency == 0.05
    assert settings.at_most_below == (0.01,)
    assert math.isinf(JointSettings().inner.latency)


@pytest.mark.parametrize(
    ('mapping', 'named'),
    [
        ({'populaton': 3}, 'populaton'),
        ({'population': 2.5}, 'population'),
        ({'population': 3}, 'at least 4'),
        ({'survivors': 0}, 'survivors'),
        ({'latency': -1}, 'latency'),
        ({'rate': float('inf')}, 'rate'),
        ({'at_most_below': []}, 'at_most_below'),
        ({'at_most_below': [1.5]}, '1.5'),
        ({'at_most_below': 'few'}, 'few'),
        ({'works': 'guessed'}, 'guessed'),
        ({'sub_networks': True}, 'sub_networks'),
        ([], 'mapping'),
    ],
)
def test_what_is_wrong_is_named(mapping, named):
    with pytest.raises(SearchError, match=named):
        JointSettings.from_mapping(mapping)


def test_an_ordinary_search_passes_over_what_a_joint_one_is_told():
    assert SearchSettings.from_mapping({'joint': {'population': 8}}) == SearchSettings()
