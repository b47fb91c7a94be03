# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
By how much a board departs from a law near the settings at which it was measured.

No law holds exactly. What it misses at one setting it misses at those beside it too: a Gaussian
process over the logarithms of the clocks (C. Rasmussen and C. Williams, Gaussian Processes for
Machine Learning, 2006).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

REACH = 0.35
"""Of the logarithm of a clock, over which a departure is about the same."""


class Departure:
    """
    A smooth factor, near 1, beside a law.

    :param deviation: of its logarithm where nothing was measured
    """

    def __init__(self, deviation: float) -> None:
        """Begin with no departure known."""
        self._deviation = deviation
        self._places: FloatArray | None = None
        self._inverse: FloatArray = np.zeros((0, 0))
        self._weights: FloatArray = np.zeros(0)

    def learn(self, frequencies: FloatArray, error: FloatArray, noise: FloatArray) -> None:
        """
        Take what a law misses.

        :param frequencies: Hz, shape (n, domains)
        :param error: logarithm of measured over what the law says, shape (n,)
        :param noise: standard deviation of that, shape (n,)
        """
        self._places = np.log(frequencies)
        own = self._alike(self._places, self._places) + np.diag(noise**2)
        self._inverse = np.linalg.inv(own).astype(np.float64)
        self._weights = self._inverse @ error

    def factor(self, frequencies: FloatArray) -> FloatArray:
        """Return by which factor the law is off at frequencies, Hz, shape (m, domains)."""
        if self._places is None:
            return np.ones(len(frequencies))
        alike = self._alike(np.log(frequencies), self._places)
        return np.asarray(np.exp(alike @ self._weights))

    def covariance(self, one: FloatArray, other: FloatArray) -> FloatArray:
        """Return how that of m settings varies with that of k others, Hz, shape (m, k)."""
        first, second = np.log(one), np.log(other)
        prior = self._alike(first, second)
        if self._places is None:
            return prior
        known = self._alike(first, self._places) @ self._inverse
        return np.asarray(prior - known @ self._alike(self._places, second))

    def variance(self, frequencies: FloatArray) -> FloatArray:
        """Return how unsure it is at frequencies, shape (m,)."""
        prior = np.full(len(frequencies), self._deviation**2)
        if self._places is None:
            return prior
        alike = self._alike(np.log(frequencies), self._places)
        told = np.einsum('ij,jk,ik->i', alike, self._inverse, alike)
        return np.asarray(np.maximum(prior - told, 0.0))

    def _alike(self, one: FloatArray, other: FloatArray) -> FloatArray:
        squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2.0 * one @ other.T
        return np.asarray(self._deviation**2 * np.exp(-0.5 * squares / REACH**2))
