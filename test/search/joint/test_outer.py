# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from itertools import product

import numpy as np

from dynamic_dnn_ros.search.joint.outer import (
    OuterSettings,
    best_of,
    search_backbones,
    surviving,
)


class Grid:
    """Backbones of two numbers, all different."""

    upper = np.array([7, 7])

    def canonical(self, genes):
        return np.array(genes, np.int64)


def whole(generation):
    """The larger, the more accurate and the more expensive."""
    return np.array([(1.0 / (2.0 + a + b), a + b + 0.1 * a, a + b) for a, b in generation])


def with_exits(genes):
    """Exits help those most whose second number is large, which nobody sees from the whole."""
    error, energy, latency = whole([genes])[0]
    return [(error, energy - 2.0 * genes[1] / 7.0, latency), (error + 0.01, energy, latency)]


def test_backbones_are_found_that_are_good_with_exits_only():
    asked = []

    def counted(genes):
        asked.append(tuple(genes.tolist()))
        return with_exits(genes)

    start = [np.array(each) for each in product((0, 3, 7), (0, 3, 7))]
    settings = OuterSettings(population=9, generations=6, survivors=0.4)
    assert search_backbones(Grid(), start, settings, 0, whole, counted) == 6
    # Some of each generation are given exits, none twice.
    assert len(asked) == len(set(asked)) <= 6 * 4
    later = asked[8:]
    assert np.mean([b for _, b in later]) > np.mean([a for a, _ in later])


def test_those_survive_that_rank_first_and_lie_apart():
    objectives = np.array([(1, 5, 0), (2, 4, 0), (2.1, 3.9, 0), (5, 1, 0), (6, 6, 0)], float)
    assert surviving(objectives, 3) == [0, 1, 3] or surviving(objectives, 3) == [0, 2, 3]
    assert surviving(objectives, 9) == [0, 1, 2, 3, 4]


def test_a_backbone_is_judged_by_its_design_that_ranks_best():
    front = [(0.2, 3.0, 1.0), (0.1, 5.0, 1.0)]
    assert best_of(front, [*front, (0.15, 2.0, 1.0)]) == (0.1, 5.0, 1.0)
    assert best_of(front, front) == (0.2, 3.0, 1.0)
