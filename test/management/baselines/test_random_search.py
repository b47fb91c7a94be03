# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dynamic_dnn_ros.management.baselines.probes import Probe
from dynamic_dnn_ros.management.baselines.random_search import RandomSearch
from dynamic_dnn_ros.management.baselines.search_space import Place, SearchSpace

SPACE = SearchSpace({'/a': (('s0', 'gpu'), ('s1', 'gpu'))}, {'gpu': (1e8, 2e8, 3e8)})


def places(search: RandomSearch, count: int) -> list[Place | None]:
    found: list[Place | None] = []
    for _ in range(count):
        place = search.propose(SPACE)
        found.append(place)
        if place is not None:
            search.tried.append(Probe(place, {}, {}, 0.0))
    return found


def test_every_place_comes_once_and_then_none() -> None:
    found = places(RandomSearch(), 7)
    assert found[-1] is None
    assert {*found[:-1]} == {(a, b) for a in range(2) for b in range(3)}


def test_it_is_seeded() -> None:
    assert places(RandomSearch(), 4) == places(RandomSearch(), 4)
