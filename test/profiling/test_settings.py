# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from dynamic_dnn_ros.profiling.settings import chosen_settings, grid

CPU = (0.1e9, 0.4e9, 0.7e9, 1.0e9, 1.3e9, 1.6e9, 1.9e9)
GPU = (0.1e9, 0.2e9, 0.3e9, 0.5e9, 0.9e9, 1.1e9)
MEMORY = (0.2e9, 0.8e9, 1.6e9)


def test_without_domains_there_is_one_setting() -> None:
    assert grid(()) == ((),)
    assert chosen_settings((), 5) == ((),)


def test_all_where_there_are_no_more() -> None:
    assert chosen_settings([MEMORY], 3) == tuple((f,) for f in reversed(MEMORY))
    assert set(chosen_settings([CPU, GPU], 100)) == set(product(CPU, GPU))


@pytest.mark.parametrize('number', [2, 5, 8, 24])
def test_as_many_as_asked_for_all_of_the_grid(number: int) -> None:
    tables = (CPU, GPU, MEMORY)
    chosen = chosen_settings(tables, number)
    assert len(set(chosen)) == number
    assert set(chosen) <= set(product(*tables))
    assert chosen[0] == tuple(table[-1] for table in tables)
    assert chosen == chosen_settings(tables, number)


def test_corners_come_first_and_the_rest_lies_between() -> None:
    tables = (CPU, GPU, MEMORY)
    chosen = chosen_settings(tables, 24)
    assert set(product(*((table[0], table[-1]) for table in tables))) == set(chosen[:8])

    def largest_gap(settings: tuple[tuple[float, ...], ...]) -> float:
        """Return how far the grid is from what was measured, at most, in 1 / f."""
        span = [1 / table[0] - 1 / table[-1] for table in tables]
        points = 1 / np.array(list(product(*tables))) / span
        known = 1 / np.array(settings) / span
        distances = np.linalg.norm(points[:, None] - known[None], axis=2)
        return float(distances.min(axis=1).max())

    generator = np.random.default_rng(0)
    settings = grid(tables)
    drawn = [
        tuple(settings[i] for i in generator.choice(len(settings), 24, replace=False))
        for _ in range(20)
    ]
    assert largest_gap(chosen) < min(largest_gap(random) for random in drawn)
