# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.management.baselines.q_learning import (
    BATCH,
    EXPLORED,
    LEAST_EXPLORED,
    QLearner,
)


def play(learner: QLearner, steps: int) -> None:
    """Reward the action that is told by the state; what comes next is drawn."""
    random = np.random.default_rng(1)
    state = random.integers(0, 2, 1).astype(np.float64)
    for _ in range(steps):
        action = learner.explore(state)
        after = random.integers(0, 2, 1).astype(np.float64)
        learner.take(state, action, float(action == 2 * state[0]), after)
        state = after


def test_it_learns_which_action_a_state_asks_for() -> None:
    learner = QLearner(1, 3, seed=3)
    play(learner, 1500)
    states = np.array([[0.0], [1.0]])
    assert [learner.best(state) for state in states] == [0, 2]
    # Nothing that is done changes what comes: one point now, and 0.9 of one for ever after.
    assert learner.worth(states).max(axis=1) == pytest.approx(np.full(2, 10.0), rel=0.15)


def test_random_actions_become_rare() -> None:
    learner = QLearner(1, 2)
    state = np.zeros(1)

    def strays() -> int:
        return sum(learner.explore(state) != learner.best(state) for _ in range(400))

    assert 150 < strays() < 250
    learner.steps = 10 * EXPLORED
    assert strays() < 2 * LEAST_EXPLORED * 400


def test_the_same_seed_learns_the_same() -> None:
    one, two, other = QLearner(1, 3, 1), QLearner(1, 3, 1), QLearner(1, 3, 2)
    for learner in (one, two, other):
        play(learner, 2 * BATCH)
    np.testing.assert_array_equal(one.arrays()['weight0'], two.arrays()['weight0'])
    assert not np.array_equal(one.arrays()['weight0'], other.arrays()['weight0'])


def test_it_goes_on_from_what_was_kept() -> None:
    whole, first = QLearner(1, 3, 1), QLearner(1, 3, 1)
    for learner in (whole, first):
        play(learner, 100)
    second = QLearner(1, 3, 5)
    second.restore({name: array.copy() for name, array in first.arrays().items()})
    for learner in (whole, second):
        learner.reseed(7, 1)
        play(learner, 100)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(array, second.arrays()[name], name)
    with pytest.raises(ValueError, match='is no count'):
        second.restore({**whole.arrays(), 'steps': np.array([-1.0])})
