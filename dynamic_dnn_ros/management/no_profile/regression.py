# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Linear laws whose parameters are not negative, with what is known of them beforehand.

The maximum a posteriori of a normal prior and normal errors, found by an active set (Lawson and
Hanson, Solving Least Squares Problems, 1974). Errors beyond a few deviations count linearly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

BOUND = 2.5
"""Deviations beyond which an error counts linearly."""

_PASSES = 3


@dataclass(frozen=True, eq=False)
class Prior:
    """Mean, shape (n,), and inverse covariance, (n, n), of the parameters beforehand."""

    mean: FloatArray
    precision: FloatArray

    @classmethod
    def independent(cls, mean: FloatArray, deviation: FloatArray) -> Prior:
        """Return that of parameters that tell nothing of each other."""
        return cls(mean, np.diag(deviation**-2.0))


@dataclass(frozen=True, eq=False)
class Fit:
    """Parameters, shape (n,), their covariance, (n, n), and the cost: half a squared deviation."""

    parameters: FloatArray
    covariance: FloatArray
    cost: float

    def deviation(self, design: FloatArray) -> FloatArray:
        """Return the standard deviation of what the law says, for rows of a design, (m, n)."""
        variance = np.einsum('ij,jk,ik->i', design, self.covariance, design)
        return np.sqrt(np.maximum(variance, 0.0))


def fit(design: FloatArray, values: FloatArray, deviation: FloatArray, prior: Prior) -> Fit:
    """
    Return the likeliest parameters that are not negative.

    :param design: shape (m, n), of which `design @ parameters` is the law
    :param values: measured, shape (m,)
    :param deviation: of their errors, shape (m,)
    """
    rows, wanted = design / deviation[:, None], values / deviation
    weight = np.ones(len(values))
    parameters = prior.mean
    for _ in range(_PASSES):
        weighed = rows * weight[:, None]
        matrix = weighed.T @ rows + prior.precision
        parameters = _not_negative(matrix, weighed.T @ wanted + prior.precision @ prior.mean)
        size = np.abs(rows @ parameters - wanted)
        before, weight = weight, np.minimum(1.0, BOUND / np.maximum(size, BOUND))
        if np.allclose(before, weight, atol=1e-3):
            break
    off = parameters - prior.mean
    # Huber's, which is the square while an error is small.
    errors = np.where(size > BOUND, BOUND * (size - 0.5 * BOUND), 0.5 * size**2)
    cost = float(errors.sum() + 0.5 * off @ prior.precision @ off)
    return Fit(parameters, np.linalg.inv(matrix), cost)


def _not_negative(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Return the least of x M x / 2 - r x over all x that are not negative."""
    count = len(right)
    free = np.ones(count, dtype=bool)
    found = np.zeros(count)
    for _ in range(4 * count):
        found = np.zeros(count)
        found[free] = np.linalg.solve(matrix[np.ix_(free, free)], right[free])
        if (found < -1e-12).any():
            free[int(found.argmin())] = False
            continue
        slope = matrix @ found - right
        slope[free] = 0.0
        if slope.min(initial=0.0) > -1e-9:
            break
        free[int(slope.argmin())] = True
    return np.maximum(found, 0.0)
