# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest

from dynamic_dnn_ros.exits.mixtures import Answers, Judge
from dynamic_dnn_ros.exits.selection import calibrated, fastest, leaving, spent_in_turn
from dynamic_dnn_ros.tasks.classification import Classification
from support.mixtures import LABELS, ByScorer, answers

LATENCIES = {'s': 1.0, 'm': 2.0, 'l': 10.0}
SHARES = {'s': 0.75, 'm': 0.9, 'l': 0.95}


def graded(count: int = 4000) -> Answers:
    """Return answers of networks that are right on pictures up to a difficulty, and know it."""
    generator = np.random.default_rng(0)
    difficulty = generator.uniform(size=count)
    return answers(
        {name: (difficulty < share).tolist() for name, share in SHARES.items()},
        {name: 1.0 - 0.5 * difficulty / share for name, share in SHARES.items()},
    )


@pytest.fixture(scope='module')
def judge() -> Judge:
    return Judge(Classification(), LABELS, graded())


def test_a_cascade_of_networks_that_know_what_they_know(judge):
    cascade = calibrated(judge, spent_in_turn(LATENCIES, ['s', 'l']), ['s', 'l'], 0.01)
    assert cascade is not None
    # Three quarters may leave at once, and a hundredth of the pictures by mistake.
    assert 0.75 <= cascade.taken[0] <= 0.77
    assert cascade.work == pytest.approx((1 / 11, 1.0))
    assert sum(cascade.taken) == pytest.approx(1.0)
    assert cascade.time == pytest.approx(0.1 * cascade.taken[0] + 1.1 * cascade.taken[1])
    assert cascade.loss.keeps(0.01)
    taken = leaving(judge.answers, cascade.stages, cascade.thresholds)
    assert judge.loss(cascade.stages, taken) == cascade.loss
    assert np.bincount(taken, minlength=2) / 4000 == pytest.approx(cascade.taken)


def test_three_stages_are_faster_where_the_middle_one_pays(judge):
    two = fastest(judge, LATENCIES, 'l', 0.01, longest=2)
    three = fastest(judge, LATENCIES, 'l', 0.01, longest=3)
    assert two is not None and three is not None
    assert len(two.stages) == 2
    assert three.stages == ('s', 'm', 'l')
    assert three.time < two.time
    assert len(three.thresholds) == 2
    assert all(a <= b for a, b in zip(three.work, three.work[1:]))


def test_a_looser_promise_is_never_slower(judge):
    times = []
    for promise in (0.001, 0.005, 0.02, 0.1, 0.5):
        found = fastest(judge, LATENCIES, 'l', promise, longest=2)
        times.append(math.inf if found is None else found.time)
    assert times == sorted(times, reverse=True)
    assert times[0] < 1.0


def test_what_is_not_faster_is_no_stage(judge):
    assert fastest(judge, {'s': 20.0, 'm': 20.0, 'l': 10.0}, 'l', 0.1, longest=3) is None
    assert fastest(judge, {'s': 9.9, 'l': 10.0}, 'l', 0.001, longest=2) is None


def test_networks_that_are_sure_and_wrong_make_no_cascade():
    count = 400
    judge = Judge(
        Classification(),
        LABELS,
        answers(
            {'s': [False] * count, 'l': [True] * count},
            {'s': np.full(count, 0.99), 'l': np.full(count, 0.5)},
        ),
    )
    assert calibrated(judge, spent_in_turn(LATENCIES, ['s', 'l']), ['s', 'l'], 0.01) is None


def test_a_score_of_all_pictures_gives_nearly_the_same(judge):
    slow = Judge(ByScorer(), LABELS, graded(600))
    cascade = calibrated(slow, spent_in_turn(LATENCIES, ['s', 'l']), ['s', 'l'], 0.02)
    assert cascade is not None
    assert cascade.loss.keeps(0.02)
    assert cascade.taken[0] == pytest.approx(0.76, abs=0.04)


def test_confidences_that_are_no_numbers_run_to_the_end():
    found = graded(400)
    confidences = {**found.confidences, 's': np.full(400, np.nan)}
    judge = Judge(Classification(), LABELS, Answers(confidences, found.results, found.truths))
    assert calibrated(judge, spent_in_turn(LATENCIES, ['s', 'l']), ['s', 'l'], 0.5) is None
