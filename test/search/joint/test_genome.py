# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np

from dynamic_dnn_ros.search.joint.genome import Choice, ExitSpace

SPACE = ExitSpace(places=5, most=2, promises=3, steps=(4, 6))


def test_genes_are_exits_promise_and_clocks():
    assert SPACE.upper.tolist() == [1, 1, 1, 1, 1, 2, 3, 5]
    assert SPACE.decode(np.array([0, 1, 0, 0, 1, 2, 3, 0])) == Choice((1, 4), 2, (3, 0))


def test_too_many_exits_are_thinned_out_evenly():
    assert SPACE.canonical(np.array([1, 1, 1, 1, 1, 1, 0, 0])).tolist() == [1, 0, 0, 0, 1, 1, 0, 0]


def test_without_an_exit_the_promise_means_nothing():
    genes = SPACE.canonical(np.array([0, 0, 0, 0, 0, 2, 1, 1]))
    assert SPACE.decode(genes) == Choice((), 0, (1, 1))


def test_it_starts_with_no_exit_and_each_place_alone():
    start = SPACE.start(16, seed=3)
    choices = [SPACE.decode(genes) for genes in start]
    assert choices[0] == Choice((), 0, (3, 5))
    assert [choice.exits for choice in choices[1:6]] == [(0,), (1,), (2,), (3,), (4,)]
    assert len({tuple(genes) for genes in start}) == len(start) > 10
    assert all((SPACE.canonical(genes) == genes).all() for genes in start)
    assert all((a == b).all() for a, b in zip(start, SPACE.start(16, seed=3)))


def test_a_backbone_without_a_place_has_clocks_alone():
    space = ExitSpace(places=0, most=3, promises=2, steps=(3,))
    assert {space.decode(genes).exits for genes in space.start(6, seed=0)} == {()}
