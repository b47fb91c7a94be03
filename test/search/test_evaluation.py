# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dynamic_dnn_ros.search.accuracy import Pool, Subject
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.evaluation import Evaluator
from dynamic_dnn_ros.search.journal import Journal
from dynamic_dnn_ros.search.recipe import choose
from dynamic_dnn_ros.search.settings import SearchSettings
from dynamic_dnn_ros.search.space import SearchSpace
from support.bundles import make_bundle
from support.search import MultiplyAdds
from support.training import colour_pictures, small_network

CALIBRATION, HELD_OUT = colour_pictures(40), colour_pictures(60, seed=1)


class Drifting(MultiplyAdds):
    """A machine that is slower with every call."""

    def measure(self, entries, turns, quiet=False):
        self.speed = getattr(self, 'speed', 1.0) * 3.0
        return super().measure(entries, turns, quiet) * self.speed


class Failing(MultiplyAdds):
    """A power rail that fails in some of the turns."""

    failed = 1

    def measure(self, entries, turns, quiet=False):
        costs = super().measure(entries, turns, quiet)
        costs[: self.failed, -1] = np.nan
        costs[-1, 0] = 0.0
        return costs


@pytest.fixture
def network():
    return small_network()


def evaluator_of(folder, network, meter, turns=2, jobs=1):
    pool = Pool(Subject.of(make_bundle(folder / 'bundle'), 'sha256'), jobs, 'loky')
    journal = Journal(folder / 'search', {})
    space = SearchSpace(network)
    return Evaluator(space, pool, meter, journal, CALIBRATION, HELD_OUT, turns, quiet=True)


def rising_evaluator(folder, network):
    """Return one that has measured six candidates, the dearer the more accurate."""
    evaluator = evaluator_of(folder, network, MultiplyAdds(network))
    evaluator.objectives(SearchSpace(network).start(6, seed=0))
    by_cost = sorted(evaluator.evaluations, key=lambda each: each.cost)
    evaluator.evaluations = [
        dataclasses.replace(each, accuracy=0.5 + 0.05 * place)
        for place, each in enumerate(by_cost)
    ]
    return evaluator


def test_nothing_is_measured_twice(tmp_path, network):
    meter = MultiplyAdds(network)
    evaluator = evaluator_of(tmp_path, network, meter)
    generation = SearchSpace(network).start(4, seed=0)
    first = evaluator.objectives(generation[:2])
    measured = len(meter.measured)
    again = evaluator.objectives(generation[:2])
    np.testing.assert_array_equal(first, again)
    assert len(meter.measured) == measured


def test_a_control_takes_drift_out(tmp_path, network):
    generation = SearchSpace(network).start(6, seed=0)
    steady = evaluator_of(tmp_path / 'a', network, MultiplyAdds(network))
    drifting = evaluator_of(tmp_path / 'b', network, Drifting(network))
    for part in (generation[:3], generation[3:]):
        np.testing.assert_allclose(drifting.objectives(part), steady.objectives(part))


def test_a_turn_without_a_reading_has_no_cost(tmp_path, network):
    generation = SearchSpace(network).start(4, seed=0)
    steady = evaluator_of(tmp_path / 'a', network, MultiplyAdds(network))
    failing = evaluator_of(tmp_path / 'b', network, Failing(network), turns=3)
    np.testing.assert_allclose(failing.objectives(generation), steady.objectives(generation))


def test_a_cost_that_cannot_be_measured_ends_the_search_and_is_not_kept(tmp_path, network):
    meter = Failing(network)
    meter.failed = 2
    evaluator = evaluator_of(tmp_path, network, meter)
    with pytest.raises(SearchError, match='work could not be measured in any of 2 turns: counted'):
        evaluator.objectives(SearchSpace(network).start(4, seed=0))
    kept = (tmp_path / 'search' / 'journal.jsonl').read_text()
    assert '"accuracy"' in kept and '"cost"' not in kept


def test_refined_costs_are_in_the_unit_of_the_meter(tmp_path, network):
    evaluator = evaluator_of(tmp_path, network, MultiplyAdds(network))
    evaluator.objectives(SearchSpace(network).start(5, seed=0))
    assert max(each.cost for each in evaluator.evaluations) == pytest.approx(1.0)
    for indices in ([0, 2], [1]):
        evaluator.refine(indices, turns=3)
        for each in evaluator.evaluations:
            assert each.cost == pytest.approx(network.multiply_adds(each.configuration))


def test_a_cost_that_came_out_too_low_hides_nothing(tmp_path, network):
    evaluator = rising_evaluator(tmp_path, network)
    by_cost = list(evaluator.evaluations)
    # As measured, the second most expensive one is the cheapest of all.
    lying = dataclasses.replace(evaluator.evaluations[-2], cost=1e-6)
    evaluator.evaluations[-2] = lying
    front, _ = choose(evaluator, SearchSettings())
    assert [each.configuration for each in front] == [each.configuration for each in by_cost]


def test_what_is_not_accurate_enough_is_not_kept(tmp_path, network):
    evaluator = rising_evaluator(tmp_path, network)
    by_cost = list(evaluator.evaluations)
    front, _ = choose(evaluator, SearchSettings(minimum_accuracy=0.58))
    assert [each.configuration for each in front] == [each.configuration for each in by_cost[2:]]
    with pytest.raises(SearchError, match='minimum_accuracy is 0.9: the most accurate of'):
        choose(evaluator, SearchSettings(minimum_accuracy=0.9))
