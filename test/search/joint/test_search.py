# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest

from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.search.joint.board_costs import BoardCosts
from dynamic_dnn_ros.search.joint.designs import Designer
from dynamic_dnn_ros.search.joint.search import search_jointly
from dynamic_dnn_ros.search.joint.settings import JointSettings
from dynamic_dnn_ros.search.space import SearchSpace
from support.joint import backbone
from support.training import small_network

SPACE = SearchSpace(small_network())
LARGEST = SPACE.network.multiply_adds(SPACE.network.largest())
SETTINGS = JointSettings(
    population=6, generations=3, inner_population=8, inner_generations=3, at_most_below=(0.01,)
)


def accuracy_of(configuration):
    return 0.7 + 0.2 * (SPACE.network.multiply_adds(configuration) / LARGEST) ** 0.5


def with_heads(configuration):
    layers = SPACE.network.layer_count(configuration) // 4
    made = backbone(layers=layers, accuracy=accuracy_of(configuration))
    return dataclasses.replace(made, configuration=configuration)


def searched(seed=0, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    designer = Designer(
        BoardCosts(load_board('orin_nx_simulated')), settings.at_most_below, settings.works == ''
    )
    return search_jointly(
        SPACE,
        designer,
        settings,
        seed,
        lambda some: {each: accuracy_of(each) for each in some},
        with_heads,
    )


@pytest.fixture(scope='module')
def found():
    return searched()


def test_some_of_each_generation_are_given_exits(found):
    assert len(found.backbones) <= 3 * 3 < len(found.wholes)
    assert {each.backbone.configuration for each in found.designs} == {
        each.configuration for each in found.backbones
    }


def test_the_front_rises_in_accuracy_and_energy(found):
    front = found.front()
    assert len(front) >= 3
    for one, other in pairwise(front):
        assert one.accuracy < other.accuracy
        assert one.spent.energy < other.spent.energy
    assert found.spread(3)[0] is front[0]
    assert found.spread(3)[-1] is front[-1]


def test_exits_and_clocks_save_energy(found):
    best = max(found.wholes, key=lambda whole: whole.accuracy)
    design = found.least_energy(best.accuracy - 0.02)
    assert design.mixture.exits
    assert design.spent.energy < best.spent.energy
    assert found.least_energy(1.1) is None


def test_a_seed_repeats_the_search(found):
    again = searched()
    assert [each.spent for each in again.designs] == [each.spent for each in found.designs]


def test_a_limit_of_latency_is_kept(found):
    fastest = min(each.latency for each in found.designs)
    limited = searched(latency=1.3 * fastest)
    assert limited.front()
    assert all(each.latency <= 1.3 * fastest for each in limited.front())
