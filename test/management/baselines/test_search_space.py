# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np

from dynamic_dnn_ros.management.baselines.search_space import SearchSpace, settable
from dynamic_dnn_ros.management.observations import DomainLoad
from support.applications import GPU
from support.loads import gpu_load

SPACE = SearchSpace(
    {'/a': (('s0', 'gpu'), ('s1', 'gpu'), ('s2', 'gpu'))}, {'cpu': (1e9, 2e9), 'gpu': GPU}
)


def test_a_place_names_options_and_clocks() -> None:
    assert SPACE.shape == (3, 2, 5)
    assert SPACE.options_at((1, 0, 2)) == {'/a': ('s1', 'gpu')}
    assert SPACE.clocks_at((1, 0, 2)) == {'cpu': 1e9, 'gpu': GPU[2]}
    assert SPACE.options_at(SPACE.fastest) == {'/a': ('s0', 'gpu')}
    assert SPACE.clocks_at(SPACE.fastest) == {'cpu': 2e9, 'gpu': GPU[-1]}


def test_shares_lead_back_to_places_and_end_at_the_ends() -> None:
    places = [(0, 0, 0), (1, 1, 2), (2, 0, 4)]
    shares = SPACE.shares(places)
    np.testing.assert_allclose(shares[1], [0.5, 1.0, 0.5])
    assert [SPACE.nearest(each) for each in shares] == places
    assert SPACE.nearest(np.array([-3.0, 0.4, 9.0])) == (0, 0, 4)


def test_only_clocks_with_a_choice_are_settable_and_only_up_to_the_limit() -> None:
    load = gpu_load(limit=GPU[2])
    fixed = DomainLoad('memory', (1e9,), 1e9, 1e9, 1e9)
    assert settable(gpu_load(limit=float('nan'))) == {'gpu': GPU}
    held = DomainLoad('cpu', (), 1e9, 2e9, 1e9)
    assert settable(replace(load, domains=(*load.domains, fixed, held))) == {'gpu': GPU[:3]}
