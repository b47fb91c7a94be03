# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from dynamic_dnn_ros.management.registry import decider_names

Import = Callable[[str], ModuleType]


@pytest.fixture
def suite(benchmark: Import) -> ModuleType:
    return benchmark('suites.no_profile')


def outcome(suite: ModuleType, fixed: float, *powers: float, meets: bool = True) -> Any:
    """Return what came of a scenario in which the profiled manager takes 4 W."""
    learnt = {
        name: suite.Learnt(power, 5.0, 0.1 * place, 0.02 * place, 0.0, 0.0)
        for place, (name, power) in enumerate(zip((suite.OURS, *suite.RIVALS), powers))
    }
    return suite.Outcome('one model', 'xavier_nx_simulated', fixed, meets, 4.0, learnt)


def test_the_saving_of_each_is_a_share_of_that_with_a_profile(suite: ModuleType) -> None:
    found = [outcome(suite, 5.0, 4.0, 4.2, 4.5), outcome(suite, 7.0, 4.3, 4.0, 7.0)]
    ours = {row.name: row.value for row in suite._figures('', [found])}
    assert ours['saving after ten minutes over that with a profile'] == pytest.approx(3.7 / 4)
    rows = {r.name: r.value for name in suite.RIVALS for r in suite._rival_figures(name, [found])}
    saving = 'saving after ten minutes over that of the profiled manager'
    assert rows[f'coral: {saving}'] == pytest.approx(3.8 / 4)
    assert rows[f'random_search: {saving}'] == pytest.approx(0.5 / 4)
    assert rows['random_search: the same, scenario with the least'] == pytest.approx(0.0)
    late = 'late frames above the quantile while searching, most'
    assert rows[f'random_search: {late}'] == pytest.approx(0.04)
    late = 'late frames above the quantile in the first minute, most'
    assert rows[f'random_search: {late}'] == pytest.approx(0.2)
    assert ours[late] == 0.0
    assert rows['coral: scenarios late by more than 1 point in the first minute'] == 2.0


def test_where_nothing_can_be_saved_no_share_is_taken(suite: ModuleType) -> None:
    found = [outcome(suite, 5.0, 4.0, 4.0, 4.0), outcome(suite, 3.0, 4.0, 9.0, 9.0)]
    found.append(outcome(suite, 5.0, 4.0, 9.0, 9.0, meets=False))
    rows = {row.name: row.value for row in suite._figures('', [found])}
    assert rows['scenarios that count'] == 1.0
    assert suite._rival_figures('coral', [found])[0].value == pytest.approx(1.0)


def test_rivals_are_deciders(suite: ModuleType) -> None:
    assert set(suite.RIVALS) <= set(decider_names())
