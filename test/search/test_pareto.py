# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.search.pareto import pareto_front, spread


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


def test_spread_takes_both_ends_and_even_ratios():
    costs = 2.0 ** np.arange(0.0, 6.25, 0.25)
    chosen = spread(costs, 7)
    assert list(costs[chosen]) == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]


def test_spread_is_distinct_where_costs_crowd():
    costs = np.array([1.0, 1.01, 1.02, 1.03, 1.04, 100.0])
    chosen = spread(costs, 4)
    assert len(set(chosen)) == 4
    assert chosen[0] == 0
    assert chosen[-1] == 5


def test_spread_keeps_all_of_a_short_front():
    assert list(spread(np.array([1.0, 3.0]), 8)) == [0, 1]


@pytest.mark.parametrize(('costs', 'count'), [([1.0, 2.0], 1), ([2.0, 1.0], 2), ([0.0, 1.0], 2)])
def test_spread_refuses_what_has_no_order(costs, count):
    with pytest.raises(ValueError, match=r'ends|rise'):
        spread(np.array(costs), count)
