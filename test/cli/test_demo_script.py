# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The targets of the demo fit the bundle that is served."""

from __future__ import annotations

import math

import pytest

from dynamic_dnn_ros.cli.demo.script import Candidate, Goal, goals_of_others, write_script
from dynamic_dnn_ros.management.targets import Objective

BUNDLES = [
    [Candidate(f's{index}', 0.6 + 0.03 * index, 0.008 * 1.4**index) for index in range(8)],
    [Candidate('small', 0.70, 0.0004), Candidate('large', 0.75, 0.9)],
    [Candidate('only', 0.9, 0.02)],
]


@pytest.mark.parametrize('candidates', BUNDLES)
def test_possible_and_impossible_targets_are_so(candidates: list[Candidate]) -> None:
    script = write_script(candidates, 30.0)
    assert sum(phase.seconds for phase in script) == pytest.approx(30.0)
    for phase in script:
        goal = phase.goal
        meeting = [
            candidate
            for candidate in candidates
            if (not goal.latency or candidate.latency <= goal.latency)
            and candidate.accuracy >= goal.accuracy
        ]
        assert bool(meeting) == phase.possible
    assert {phase.possible for phase in script} == {True, False}
    assert script[-1].goal.clear


def test_targets_need_different_sub_networks() -> None:
    candidates = BUNDLES[0]
    goals = {phase.name: phase.goal for phase in write_script(candidates, 30.0)}

    def best(goal: Goal) -> Candidate:
        meeting = [
            candidate
            for candidate in candidates
            if candidate.latency <= goal.latency and candidate.accuracy >= goal.accuracy
        ]
        if goal.objective is Objective.MAXIMUM_ACCURACY:
            return max(meeting, key=lambda candidate: candidate.accuracy)
        return min(meeting, key=lambda candidate: candidate.latency)

    chosen = {name: best(goals[name]).sub_network for name in ('relaxed', 'tight', 'frugal')}
    assert chosen['relaxed'] == 's7'
    assert chosen['frugal'] == 's0'
    assert chosen['tight'] not in ('s0', 's7')
    assert best(goals['accurate']).sub_network not in ('s0', 's7')


def test_without_latencies_there_is_no_script() -> None:
    with pytest.raises(ValueError, match='no operating points with a latency. Give its bundle'):
        write_script([Candidate('s0', 0.9, math.nan)], 30.0)


def test_goal_in_words() -> None:
    goal = Goal(latency=0.025, accuracy=0.915)
    assert goal.text == 'p95 ≤ 25 ms, accuracy ≥ 91.5%, least energy'
    assert Goal(clear=True).text == 'no target'


def test_cameras_that_take_turns_are_given_the_time_of_each() -> None:
    candidates = [Candidate('s0', 0.8, 0.01), Candidate('s1', 0.9, 0.03)]
    alone, four = (write_script(candidates, 30.0, cameras) for cameras in (1, 4))
    for one, other in zip(alone, four):
        factor = 4 if one.possible else 1
        assert other.goal.latency == pytest.approx(factor * one.goal.latency, rel=0.15)
    others = goals_of_others(four, 4)
    assert len(others) == 3 and goals_of_others(alone, 1) == []
    assert all(goal.latency and not goal.clear for goal in others)
