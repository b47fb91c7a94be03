# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from dynamic_dnn_ros.management.registry import DECIDERS
from dynamic_dnn_ros.simulation.scenario import Scenario
from support.scenarios import mapping

Import = Callable[[str], ModuleType]

NOT_PUBLISHED = {
    'dynamic_dnn',
    'largest',
    'smallest',
    'dvfs_only',
    'network_only',
    'path_blind',
    'memory_blind',
    'open_loop',
}
"""Ours, ours with something left out, and what never changes."""


@pytest.fixture
def suite(benchmark: Import) -> ModuleType:
    pytest.importorskip('dynamic_dnn_ros.msg')  # of suite `scene`
    return benchmark('suites.deciders')


def outcome(suite: ModuleType, ours: float = 100.0, **energies: float) -> Any:
    """Return what came of a scenario; a negative energy stands for targets that are missed."""
    came = {suite.OURS: suite.Came(ours, 0.9, -0.02, True)}
    for name in suite.RIVALS:
        joules = energies.get(name, 110.0)
        came[name] = suite.Came(abs(joules), 0.9, 0.1 if joules < 0 else -0.05, joules > 0)
    return suite.Outcome('one', came)


def named(suite: ModuleType, *outcomes: Any) -> dict[str, Any]:
    return {row.name: row for row in suite.rows([outcomes])}


BETTER = 'another decider needs less energy than ours and meets the targets, most'


def test_all_deciders_after_published_work_take_part(suite: ModuleType) -> None:
    assert set(suite.RIVALS) == set(DECIDERS) - NOT_PUBLISHED


def test_a_rival_that_meets_the_targets_for_less_misses_the_bar(suite: ModuleType) -> None:
    rows = named(suite, outcome(suite, e4=98.0), outcome(suite, e4=103.0, alert=99.7))
    assert rows[BETTER].value == pytest.approx(0.02) and rows[BETTER].met is False
    assert rows['e4: energy over ours where both meet the targets, median'].value == (
        pytest.approx(1.005)
    )
    assert rows['e4: energy over ours where both meet the targets, least'].value == 0.98
    assert named(suite, outcome(suite, alert=99.7))[BETTER].met


def test_a_rival_that_misses_targets_is_no_better(suite: ModuleType) -> None:
    rows = named(suite, outcome(suite, e4=-50.0))
    assert rows[BETTER].value == 0.0 and rows[BETTER].met
    assert rows['e4: scenarios whose targets are missed'].value == 1.0
    assert rows['e4: late frames beyond what is allowed, most'].value == pytest.approx(0.1)
    assert 'e4: energy over ours where both meet the targets, median' not in rows


@pytest.mark.parametrize(('accuracy', 'met'), [(0.9, False), (0.8995, False), (0.89, True)])
def test_where_accuracy_is_asked_for_less_of_it_is_no_better(
    suite: ModuleType, accuracy: float, met: bool
) -> None:
    came = dict(outcome(suite).came)
    came['e4'] = suite.Came(90.0, accuracy, -0.05, True)
    assert named(suite, suite.Outcome(suite.ACCURATE, came))[BETTER].met is met
    assert not named(suite, suite.Outcome('another', came))[BETTER].met


def test_scenarios_are_of_both_boards_and_turn_hard(suite: ModuleType) -> None:
    found, _ = suite.scenarios()
    assert {each.board for each in found.values()} == {'xavier_nx_simulated', 'orin_nx_simulated'}
    assert sum('turns hard' in name for name in found) == 3


def test_runs_a_scenario_under_all(suite: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, 'EPISODES', 2)
    scenario = Scenario.from_mapping(mapping(duration=10.0))
    found = suite.outcome('small', scenario, 1)
    assert found.came.keys() == {suite.OURS, *suite.RIVALS}
    assert all(10.0 < came.energy < 200.0 for came in found.came.values())
    assert found.came[suite.OURS].meets
