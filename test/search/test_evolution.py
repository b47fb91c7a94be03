# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from itertools import product

import numpy as np

from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.search.evolution import evolve
from dynamic_dnn_ros.search.pareto import pareto_front
from dynamic_dnn_ros.search.space import SearchSpace
from support.training import small_network

SPACE = SearchSpace(small_network())


def objectives_of(genes):
    """Return error and cost of a made-up network whose best choices differ along its sizes."""
    weights = np.sin(np.arange(len(genes)) * 1.7) + 1.2
    cost = 1.0 + float((weights * genes).sum())
    gain = float((np.cos(np.arange(len(genes)) * 0.9) + 1.1) @ genes)
    return 1.0 / (1.0 + gain), cost


def run(population, generations, seed=0):
    asked = []

    def evaluate(generation):
        asked.extend(tuple(genes) for genes in generation)
        return np.array([objectives_of(genes) for genes in generation])

    done = evolve(SPACE, SPACE.start(population, seed), population, generations, seed, evaluate)
    return asked, done


def front_of(asked):
    errors, costs = np.array([objectives_of(np.array(genes)) for genes in asked]).T
    return {asked[index] for index in pareto_front(1.0 - errors, costs)}


def every_sub_network():
    genes = product(*(range(upper + 1) for upper in SPACE.upper))
    return sorted({tuple(SPACE.canonical(np.array(each))) for each in genes})


def test_it_finds_the_true_front_of_a_space_that_can_be_enumerated():
    everything = every_sub_network()
    asked, _ = run(population=32, generations=11)
    assert len(asked) < len(everything) / 2
    true_front = front_of(everything)
    found = true_front & set(asked)
    # 11 generations see a part of the space, and nearly all that matters.
    assert len(found) >= 0.8 * len(true_front)
    # Random ones would be found in the share that was asked for.
    assert len(found) / len(true_front) > 1.5 * len(asked) / len(everything)


def test_nothing_is_asked_for_twice_and_all_is_canonical():
    asked, _ = run(population=12, generations=5)
    assert len(asked) == len(set(asked))
    for genes in asked:
        assert (SPACE.canonical(np.array(genes)) == genes).all()


def test_a_seed_repeats_the_search():
    assert run(8, 4) == run(8, 4)
    assert run(8, 4)[0] != run(8, 4, seed=1)[0]


def test_it_ends_when_the_space_is_exhausted():
    space = SearchSpace(create('incremental_group', 'incremental_group_32x32'))
    asked = []

    def evaluate(generation):
        asked.extend(space.decode(genes).groups for genes in generation)
        return np.array([objectives_of(genes) for genes in generation])

    assert evolve(space, space.start(8, 0), 8, 60, 0, evaluate) < 60
    assert sorted(asked) == [1, 2, 3, 4]
