# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dynamic_dnn_ros.platforms.board_model import NetworkCost, load_board
from dynamic_dnn_ros.profiling.interpolation import (
    LATENCY_SURFACES,
    POWER_SURFACES,
    Table,
    best_surface,
    leave_one_out,
)
from dynamic_dnn_ros.profiling.settings import chosen_settings, grid

TABLES = ((0.2e9, 0.5e9, 0.8e9, 1.1e9, 1.4e9), (0.1e9, 0.3e9, 0.6e9, 1.1e9))
GRID = np.array(grid(TABLES))
CHOSEN = np.array(chosen_settings(TABLES, 9))


@pytest.mark.parametrize(
    ('function', 'name'),
    [
        (lambda f: 1e-3 + 2e6 / f[:, 0] + 5e6 / f[:, 1], 'a + sum b / f'),
        (lambda f: 5e6 / f[:, 1], 'a'),
        (lambda f: 2e3 / (f[:, 0] ** 0.3 * f[:, 1] ** 0.5), 'a x product f^-b'),
        (lambda f: np.hypot(4e6 / f[:, 0], 5e6 / f[:, 1]), 'a + (sum (b / f)^2)^(1/2)'),
        (
            lambda f: ((4e6 / f[:, 0]) ** 4 + (5e6 / f[:, 1]) ** 4) ** 0.25,
            'a + (sum (b / f)^4)^(1/4)',
        ),
    ],
)
def test_finds_the_law_behind_latencies(
    function: Callable[[Table], np.ndarray], name: str
) -> None:
    surface, errors = best_surface(LATENCY_SURFACES, CHOSEN, [function(CHOSEN)])
    assert surface.name.startswith(name)
    assert errors.max() < 1e-6
    predicted = surface.predict(CHOSEN, function(CHOSEN), GRID)
    np.testing.assert_allclose(predicted, function(GRID), rtol=1e-6)


def test_leaving_one_out_tells_the_error_elsewhere() -> None:
    """Of a board's work that overlaps, which none of the laws describes."""

    def latency(f: Table) -> np.ndarray:
        return np.maximum(3e6 / f[:, 0], 4e6 / f[:, 1]) + 2e-3

    surface, errors = best_surface(LATENCY_SURFACES, CHOSEN, [latency(CHOSEN)])
    elsewhere = np.abs(surface.predict(CHOSEN, latency(CHOSEN), GRID) / latency(GRID) - 1)
    assert 0.005 < errors.mean() < 0.3
    assert elsewhere[elsewhere > 1e-9].mean() < 2 * errors.mean()


def test_a_clock_never_makes_it_slower() -> None:
    """Noise must not turn into a reward for a low clock."""
    generator = np.random.default_rng(1)
    values = 0.01 * (1 + 0.02 * generator.standard_normal(len(CHOSEN)))
    for surface in (s for s in LATENCY_SURFACES if not s.residuals):
        predicted = surface.predict(CHOSEN, values, GRID).reshape([len(t) for t in TABLES])
        assert np.all(np.diff(predicted, axis=0) <= 1e-12)
        assert np.all(np.diff(predicted, axis=1) <= 1e-12)


def test_power_of_a_board_model() -> None:
    board = load_board('xavier_nx_simulated')
    rows = board.limits()
    tables = [row.available for row in rows]
    every, chosen = grid(tables), chosen_settings(tables, 24)

    def power(settings: tuple[tuple[float, ...], ...]) -> np.ndarray:
        names = [row.name for row in rows]
        return np.array([board.power(dict(zip(names, s)), {})['VDD_IN'] for s in settings])

    surface, errors = best_surface(POWER_SURFACES, np.array(chosen), [power(chosen)])
    predicted = surface.predict(np.array(chosen), power(chosen), np.array(every))
    error = np.abs(predicted / power(every) - 1)
    assert errors.mean() < 0.03
    assert error.mean() < 0.03


def test_latency_of_a_board_model() -> None:
    board = load_board('xavier_nx_simulated')
    rows = board.limits()
    tables = [row.available for row in rows]
    cost = NetworkCost(multiply_adds=20_000_000, layers=60, parameters=800_000)

    def latency(settings: tuple[tuple[float, ...], ...]) -> np.ndarray:
        names = [row.name for row in rows]
        return np.array([board.latency(cost, 'gpu', dict(zip(names, s))) for s in settings])

    every, chosen = grid(tables), chosen_settings(tables, 16)
    surface, errors = best_surface(LATENCY_SURFACES, np.array(chosen), [latency(chosen)])
    predicted = surface.predict(np.array(chosen), latency(chosen), np.array(every))
    assert errors.max() < 1e-6
    np.testing.assert_allclose(predicted, latency(every), rtol=1e-6)


def test_an_error_for_each_setting() -> None:
    values = 1e-3 + 1e6 / CHOSEN[:, 0]
    spoilt = values.copy()
    spoilt[3] *= 1.5
    errors = leave_one_out(LATENCY_SURFACES[0], CHOSEN, spoilt)
    assert errors.shape == (len(CHOSEN),)
    assert errors.argmax() == 3
    assert errors[3] == pytest.approx(1 / 3, abs=0.1)
