# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.search.joint.exit_answers import ExitAnswers
from support.joint import exit_answers

ANSWERS = exit_answers([0.7, 0.8, 0.9])
OTHERS = exit_answers([0.7, 0.8, 0.9], seed=1)


@pytest.mark.parametrize('exits', [(0,), (1,), (0, 1)])
@pytest.mark.parametrize('promise', [0.0, 0.005, 0.02])
def test_a_promise_is_kept_on_other_pictures_too(exits, promise):
    found = ANSWERS.mixture(exits, promise)
    assert found.loss.keeps(promise)
    others = OTHERS.with_thresholds(exits, found.thresholds)
    assert others.loss.mean <= promise + 0.003
    assert sum(found.taken) == pytest.approx(1.0)


def test_a_looser_promise_lets_more_pictures_leave_early():
    left = [1.0 - ANSWERS.mixture((0, 1), promise).taken[-1] for promise in (0.001, 0.01, 0.04)]
    assert left[0] < left[1] < left[2]


def test_what_the_promise_allows_is_spent_at_the_first_exit():
    same = ANSWERS.mixture((0, 1), 0.01)
    assert same.thresholds[0] < same.thresholds[1] or same.taken[0] > 0.5
    assert same.thresholds[0] <= ANSWERS.mixture((0,), 0.01).thresholds[0] + 0.05


def test_without_exits_all_pictures_take_the_whole_network():
    found = ANSWERS.mixture((), 0.01)
    assert found.taken == (1.0,)
    assert found.accuracy == ANSWERS.accuracy
    assert found.loss.mean == 0.0


def test_an_exit_that_is_never_right_is_never_used():
    confidences = np.random.default_rng(0).random((1, 500))
    right = np.array([np.zeros(500, bool), np.ones(500, bool)])
    found = ExitAnswers(confidences, right).mixture((0,), 0.0)
    assert found.taken[0] == pytest.approx(0.0, abs=0.01)


def test_the_oracle_is_a_bound_of_every_threshold():
    bound = ANSWERS.oracle((0, 1))
    found = ANSWERS.mixture((0, 1), 0.01)
    # A picture that some exit gets right leaves there, so none is lost.
    assert bound.accuracy >= ANSWERS.accuracy > found.accuracy
    assert bound.taken[0] == pytest.approx(0.7, abs=0.02)
    assert bound.taken[2] < found.taken[2]


def test_a_confidence_that_is_no_number_leaves_nowhere():
    confidences = ANSWERS.confidences.copy()
    confidences[:, ::2] = np.nan
    found = ExitAnswers(confidences, ANSWERS.right).mixture((0, 1), 0.01)
    assert found.loss.keeps(0.01)
    assert found.taken[2] >= 0.5
