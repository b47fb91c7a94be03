# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.search.pareto import front_length, near_front, pareto_front, spread


def test_front_leaves_out_what_is_dominated():
    accuracies = np.array([0.5, 0.7, 0.6, 0.9, 0.8, 0.4])
    costs = np.array([1.0, 2.0, 3.0, 5.0, 4.0, 0.5])
    assert list(pareto_front(accuracies, costs)) == [5, 0, 1, 4, 3]


def test_front_agrees_with_the_definition_on_random_candidates():
    generator = np.random.default_rng(0)
    for _ in range(20):
        # Few distinct values, so that ties occur.
        accuracies = generator.integers(0, 8, 40) / 8.0
        costs = generator.integers(1, 9, 40).astype(float)
        front = pareto_front(accuracies, costs)
        assert (np.diff(costs[front]) > 0).all()
        assert (np.diff(accuracies[front]) > 0).all()
        for index in range(40):
            no_worse = (accuracies >= accuracies[index]) & (costs <= costs[index])
            better = (accuracies > accuracies[index]) | (costs < costs[index])
            dominated = bool((no_worse & better).any())
            pair = (accuracies[index], costs[index])
            kept = pair in {(accuracies[i], costs[i]) for i in front}
            assert kept != dominated


@pytest.mark.parametrize(
    ('accuracies', 'costs'),
    [([], []), ([0.5], [1.0, 2.0]), ([np.nan], [1.0]), ([0.5], [np.inf])],
)
def test_front_refuses_what_it_cannot_compare(accuracies, costs):
    with pytest.raises(ValueError, match=r'needed|finite'):
        pareto_front(np.array(accuracies), np.array(costs))


def test_a_tolerance_drops_what_is_hardly_cheaper():
    accuracies = np.array([0.70, 0.73, 0.73, 0.80])
    costs = np.array([1.00, 1.03, 1.02, 2.00])
    assert list(pareto_front(accuracies, costs)) == [0, 2, 3]
    assert list(pareto_front(accuracies, costs, tolerance=0.05)) == [2, 3]


def test_a_tolerance_always_leaves_the_most_accurate():
    costs = 1.01 ** np.arange(100.0)
    front = pareto_front(np.linspace(0.5, 0.9, 100), costs, tolerance=0.05)
    assert front[-1] == 99
    assert (costs[front][1:] / costs[front][:-1] > 1.05).all()


def test_near_the_front_is_what_a_little_less_cost_would_put_on_it():
    accuracies = np.array([0.5, 0.6, 0.7, 0.7, 0.65, 0.55])
    costs = np.array([1.0, 2.0, 4.0, 4.3, 4.1, 3.0])
    assert list(near_front(accuracies, costs, 0.0)) == [0, 1, 2]
    assert list(near_front(accuracies, costs, 0.05)) == [0, 1, 2, 4]
    assert list(near_front(accuracies, costs, 0.1)) == [0, 1, 2, 3, 4]
    assert list(near_front(accuracies, costs, 1.0)) == [0, 1, 2, 3, 4, 5]


def test_length_counts_both_accuracy_and_cost():
    accuracies = np.array([0.5, 0.5 + 1e-9, 0.9, 0.9 + 1e-9])
    costs = np.array([1.0, 10.0, 10.0 + 1e-9, 100.0])
    np.testing.assert_allclose(front_length(accuracies, costs), [0.0, 0.5, 1.5, 2.0], atol=1e-6)


def test_length_of_a_single_candidate_is_nothing():
    assert list(front_length(np.array([0.5]), np.array([2.0]))) == [0.0]


def test_spread_takes_both_ends_and_even_distances():
    places = np.arange(0.0, 6.25, 0.25)
    assert list(places[spread(places, 7)]) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_spread_is_distinct_where_places_crowd():
    chosen = spread(np.array([1.0, 1.01, 1.02, 1.03, 1.04, 100.0]), 4)
    assert len(set(chosen)) == 4
    assert chosen[0] == 0
    assert chosen[-1] == 5


def test_spread_keeps_all_of_a_short_front():
    assert list(spread(np.array([1.0, 3.0]), 8)) == [0, 1]


@pytest.mark.parametrize(('places', 'count'), [([1.0, 2.0], 1), ([2.0, 1.0], 2), ([], 2)])
def test_spread_refuses_what_has_no_order(places, count):
    with pytest.raises(ValueError, match=r'ends|rise'):
        spread(np.array(places), count)
