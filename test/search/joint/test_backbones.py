# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from dynamic_dnn_ros.platforms.board_model import NetworkCost
from dynamic_dnn_ros.search.joint.backbones import spread_places
from dynamic_dnn_ros.search.joint.counting import trunk_costs
from support.training import small_network

PLACES = ['a', 'b', 'c', 'd', 'e', 'f']


def costs(*shares):
    return [NetworkCost(round(1000 * share), 1, 1) for share in (*shares, 1.0)]


def test_places_are_spread_over_the_multiply_adds():
    even = costs(0.02, 0.2, 0.4, 0.6, 0.8, 0.98)
    # What is nearly nothing or nearly all of the network decides or saves nothing.
    assert spread_places(PLACES, even, 9) == ['b', 'c', 'd', 'e']
    assert spread_places(PLACES, even, 2) == ['c', 'd']
    late = costs(0.05, 0.06, 0.07, 0.5, 0.55, 0.99)
    assert spread_places(PLACES, late, 2) == ['d', 'e']
    assert spread_places(PLACES, costs(*[0.01] * 6), 3) == []


@pytest.mark.parametrize('size', ['smallest', 'largest'])
def test_parts_cost_together_what_the_family_counts(size):
    network = small_network().eval()
    configuration = getattr(network, size)()
    places = list(network.places(configuration))
    found = trunk_costs(network.extract_steps(configuration), places, configuration.size)
    assert len(found) == len(places) + 1
    assert found[-1] == NetworkCost(
        network.multiply_adds(configuration),
        network.layer_count(configuration),
        network.parameter_count(configuration),
    )
    reached = [each.multiply_adds for each in found]
    assert reached == sorted(set(reached))
