# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures at settings that were not measured, and how far off they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]
Column = NDArray[np.float64]

_NEIGHBOUR_POWER = 2.0

_CONSTANTS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
"""What no clock touches, as a share of the smallest figure, that is tried where work overlaps."""


@dataclass(frozen=True)
class Surface:
    """
    A figure as a function of the clocks: c + sum over domains d of b_d g(f_d), all b_d >= 0.

    The least relative squares decide (of the logarithm, where `logarithmic`; then c is free,
    else it is >= 0 too). With an `exponent` p above 1 it is c + (sum of (b_d g(f_d))^p)^(1/p):
    work that goes on at the same time. With `residuals`, what measured settings deviate from it
    is carried over to those between them, weighted by the inverse square of the distance
    (Shepard, A two-dimensional interpolation function for irregularly-spaced data, 1968).
    """

    name: str
    terms: Callable[[Table], Table]
    logarithmic: bool = False
    residuals: bool = False
    exponent: float = 1.0

    def predict(self, settings: Table, values: Column, wanted: Table) -> Column:
        """
        Return the figure at some settings from those at others.

        :param settings: measured, shape (n, domains), Hz
        :param values: measured, shape (n,), positive
        :param wanted: shape (m, domains), Hz
        """
        highest = settings.max(axis=0)
        if self.exponent != 1.0:
            predicted, at_measured = self._overlapping(
                self.terms(settings / highest), values, self.terms(wanted / highest)
            )
            return self._corrected(highest, settings, values / at_measured, wanted, predicted)
        basis, wanted_basis = self._basis(settings / highest), self._basis(wanted / highest)
        if self.logarithmic:
            fitted = _constrained(basis, np.log(values), first_free=True)
            predicted, at_measured = np.exp(wanted_basis @ fitted), np.exp(basis @ fitted)
        else:
            weighted = basis / values[:, None]
            fitted = _constrained(weighted, np.ones(len(values)), first_free=False)
            predicted, at_measured = wanted_basis @ fitted, basis @ fitted
        ratios = values / np.maximum(at_measured, np.finfo(float).tiny)
        return self._corrected(highest, settings, ratios, wanted, predicted)

    def _corrected(
        self, highest: Column, settings: Table, ratios: Column, wanted: Table, predicted: Column
    ) -> Column:
        if not self.residuals:
            return predicted
        return predicted * _carried_over(highest / settings, ratios, highest / wanted)

    def _overlapping(self, terms: Table, values: Column, wanted: Table) -> tuple[Column, Column]:
        """Return the figure where it is wanted and where it was measured."""
        best, least = (np.zeros(len(wanted)), np.zeros(len(terms))), np.inf
        power, powers = terms**self.exponent, wanted**self.exponent
        for share in _CONSTANTS:
            constant = share * values.min()
            rest = values - constant
            # Relative errors of the figure, in first order: so the squares stay linear.
            weight = 1.0 / (self.exponent * rest ** (self.exponent - 1.0) * values)
            fitted = _constrained(
                power * weight[:, None],
                rest * weight * rest ** (self.exponent - 1.0),
                first_free=False,
            )
            measured = constant + (power @ fitted) ** (1.0 / self.exponent)
            error = float(np.sum((measured / values - 1.0) ** 2))
            if error < least:
                found = constant + (powers @ fitted) ** (1.0 / self.exponent)
                best, least = (found, measured), error
        return best

    def _basis(self, clocks: Table) -> Table:
        return np.column_stack((np.ones(len(clocks)), self.terms(clocks)))


def _both(
    name: str,
    terms: Callable[[Table], Table],
    logarithmic: bool = False,
    exponent: float = 1.0,
) -> list[Surface]:
    return [
        Surface(name, terms, logarithmic, exponent=exponent),
        Surface(f'{name} with residuals', terms, logarithmic, residuals=True, exponent=exponent),
    ]


LATENCY_SURFACES = (
    *_both('a + sum b / f', lambda clocks: 1.0 / clocks),
    *_both('a x product f^-b', lambda clocks: -np.log(clocks), logarithmic=True),
    *_both('a + (sum (b / f)^2)^(1/2)', lambda clocks: 1.0 / clocks, exponent=2.0),
    *_both('a + (sum (b / f)^4)^(1/4)', lambda clocks: 1.0 / clocks, exponent=4.0),
)
"""Work that each clock slows down adds up, or it overlaps, more or less."""

POWER_SURFACES = (
    *_both('a + sum b f', lambda clocks: clocks),
    *_both('a + sum b f^2', lambda clocks: clocks**2),
    *_both('a + sum b f^3', lambda clocks: clocks**3),
)
"""Dynamic power is C V^2 f, where voltage rises with the clock, or does not."""


def leave_one_out(surface: Surface, settings: Table, values: Column) -> Column:
    """Return the relative error at each setting where it is computed from all the others."""
    rows = np.arange(len(values))
    predicted = [
        surface.predict(settings[rows != row], values[rows != row], settings[[row]])[0]
        for row in rows
    ]
    return np.asarray(np.abs(np.array(predicted) / values - 1.0))


def best_surface(
    surfaces: Sequence[Surface], settings: Table, columns: Sequence[Column]
) -> tuple[Surface, Column]:
    """
    Return the surface with the least mean error when one setting is left out, and all errors.

    :param columns: the figure of each sub-network at the settings
    """
    if settings.shape[1] == 1:
        # With one clock nothing overlaps.
        surfaces = [surface for surface in surfaces if surface.exponent == 1.0]
    errors = [
        np.concatenate([leave_one_out(surface, settings, values) for values in columns])
        for surface in surfaces
    ]
    best = int(np.argmin([error.mean() for error in errors]))
    return surfaces[best], errors[best]


def _constrained(matrix: Table, values: Column, first_free: bool) -> Column:
    """
    Return the least-squares coefficients of which none is negative, the first one perhaps.

    There are no more terms than domains, so every choice of terms is tried.
    """
    terms = matrix.shape[1]
    always = (0,) if first_free else ()
    optional = [term for term in range(terms) if term not in always]
    best, least = np.zeros(terms), np.inf
    whole = np.linalg.lstsq(matrix, values, rcond=None)[0]
    if np.all(whole[len(always) :] >= 0):
        return np.asarray(whole)
    for size in range(len(optional) + 1):
        for some in combinations(optional, size):
            used = [*always, *some]
            if not used:
                continue
            solution = np.linalg.lstsq(matrix[:, used], values, rcond=None)[0]
            error = float(np.sum((matrix[:, used] @ solution - values) ** 2))
            if np.all(solution[len(always) :] >= 0) and error < least:
                least = error
                best = np.zeros(terms)
                best[used] = solution
    return best


def _carried_over(known: Table, ratios: Column, wanted: Table) -> Column:
    span = np.ptp(known, axis=0)
    known, wanted = (points / np.where(span > 0, span, 1.0) for points in (known, wanted))
    distances = np.linalg.norm(wanted[:, None, :] - known[None, :, :], axis=2)
    weights = 1.0 / np.maximum(distances, 1e-9) ** _NEIGHBOUR_POWER
    return np.asarray(np.exp(weights @ np.log(ratios) / weights.sum(axis=1)))
