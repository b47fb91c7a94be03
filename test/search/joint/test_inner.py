# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from itertools import combinations, product

import pytest

from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.search.joint.board_costs import BoardCosts
from dynamic_dnn_ros.search.joint.designs import Designer
from dynamic_dnn_ros.search.joint.genome import Choice
from dynamic_dnn_ros.search.joint.inner import InnerSettings, front_of, search_exits
from support.joint import backbone

COSTS = BoardCosts(load_board('xavier_nx_simulated'))
DESIGNER = Designer(COSTS, (0.005, 0.02))
BACKBONE = backbone()
NO_LIMIT = float('inf')


@pytest.fixture(scope='module')
def everything():
    exits = [some for count in range(3) for some in combinations(range(3), count)]
    clocks = list(product(*(range(count) for count in COSTS.steps)))
    return [
        DESIGNER.design(BACKBONE, Choice(some, promise, each))
        for some in exits
        for promise in range(2 if some else 1)
        for each in clocks
    ]


def least_energy(designs, accuracy):
    return min(each.spent.energy for each in designs if each.accuracy >= accuracy)


def test_it_comes_near_the_best_of_all(everything):
    settings = InnerSettings(16, 16, 2, NO_LIMIT)
    found = search_exits(DESIGNER, BACKBONE, settings, seed=0)
    wanted = BACKBONE.answers.accuracy - 0.006
    assert least_energy(found, wanted) <= 1.05 * least_energy(everything, wanted)


def test_the_exits_that_are_found_come_at_their_best_clocks(everything):
    found = search_exits(DESIGNER, BACKBONE, InnerSettings(8, 2, 2, NO_LIMIT), seed=1)
    least = min(found, key=lambda each: each.spent.energy)
    alike = [each for each in everything if each.mixture == least.mixture]
    assert least.spent.energy == min(each.spent.energy for each in alike)


def test_a_limit_is_kept(everything):
    fastest = min(each.latency for each in everything)
    limit = 1.5 * fastest
    found = search_exits(DESIGNER, BACKBONE, InnerSettings(16, 10, 2, limit), seed=0)
    assert found
    assert all(each.latency <= limit for each in found)


def test_what_cannot_keep_the_limit_gives_what_comes_nearest():
    found = search_exits(DESIGNER, BACKBONE, InnerSettings(16, 6, 2, 1e-6), seed=0)
    assert found
    assert all(each.latency > 1e-6 for each in found)


def test_no_design_of_a_front_dominates_another(everything):
    front = front_of(everything[::40], NO_LIMIT)
    for one, other in product(front, front):
        better = (
            one.accuracy >= other.accuracy
            and one.spent.energy <= other.spent.energy
            and one.latency <= other.latency
        )
        assert one is other or not better or one.accuracy == other.accuracy


def test_a_seed_repeats_the_search():
    settings = InnerSettings(8, 3, 2, NO_LIMIT)
    first, second = (
        [each.spent for each in search_exits(DESIGNER, BACKBONE, settings, seed=5)]
        for _ in range(2)
    )
    assert first == second
