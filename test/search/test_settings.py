# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.settings import CostMeasure, SearchSettings


def test_what_is_left_out_has_its_default():
    assert SearchSettings.from_mapping(None) == SearchSettings()
    assert SearchSettings.from_mapping({}) == SearchSettings()
    settings = SearchSettings.from_mapping({'generations': 3, 'objective': 'energy'})
    assert settings.generations == 3
    assert settings.objective is CostMeasure.ENERGY
    assert settings.population == SearchSettings().population


@pytest.mark.parametrize(
    ('mapping', 'said'),
    [
        ({'generation': 3}, 'unknown field search.generation; known are population'),
        ({'generations': 0}, 'search.generations is 0: at least 1'),
        ({'population': 3}, 'search.population is 3: at least 4'),
        ({'population': '8'}, "search.population is '8': a value of type int"),
        ({'population': 8.5}, 'search.population is 8.5'),
        ({'population': float('inf')}, 'search.population is inf: a value of type int'),
        ({'threads': True}, 'search.threads is True'),
        ({'tolerance': 1.0}, 'search.tolerance is 1.0: 0..1'),
        ({'minimum_accuracy': 82.0}, 'search.minimum_accuracy is 82.0: 0..1'),
        ({'objective': 'speed'}, "search.objective is 'speed': one of latency, energy"),
        ({'engine': 3}, 'search.engine is 3: a value of type str'),
        ([3], 'a mapping of fields is needed'),
    ],
)
def test_bad_settings_name_field_and_remedy(mapping, said):
    with pytest.raises(SearchError, match=said.replace('.', r'\.')):
        SearchSettings.from_mapping(mapping)
