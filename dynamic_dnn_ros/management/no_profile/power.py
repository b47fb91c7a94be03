# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The power of the whole board over clocks and load, from what the platform said while it worked.

    P = static + sum over domains of (i x + j x^3) + u (v x + w x^3)

with x the clock over the highest one and u the share of the time for which a domain is busy: what
C V^2 f of the board models comes to where the voltage rises with the clock. One law a board: all
applications teach it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.no_profile.departure import Departure
from dynamic_dnn_ros.management.no_profile.regression import Fit, Prior, fit

FloatArray = NDArray[np.float64]

MODEL_DEVIATION = 0.015
"""Of a measured power from any law of this form, as a share of it."""

DEPARTURE = 0.02
"""Deviation of a board from its law, as a share of the power."""

_NOISE = 0.003
"""Of the mean of a measured power."""

_STATIC = 0.25
_USUAL = {
    'gpu': (0.04, 0.04, 0.12, 0.20),
    'cpu': (0.04, 0.03, 0.15, 0.15),
    'memory': (0.05, 0.03, 0.10, 0.05),
}
"""Of each domain i, j, v and w, as shares of what a busy board takes at its highest clocks."""

_SPREAD = 1.0
"""Deviation of each parameter beforehand, as a multiple of it."""


class PowerLaw:
    """
    The law of one board.

    :param domains: whose clocks may be set
    :param highest: their highest clocks, Hz
    """

    def __init__(self, domains: Sequence[str], highest: FloatArray) -> None:
        """Begin with nothing known."""
        self._highest = highest
        usual = [_STATIC]
        for name in domains:
            kind = next((known for known in _USUAL if name.startswith(known)), 'gpu')
            clusters = sum(other.startswith(kind) for other in domains)
            usual += [share / max(clusters, 1) for share in _USUAL[kind]]
        self._usual = np.array(usual)
        self.fit: Fit | None = None
        self.departure = Departure(DEPARTURE)

    def learn(self, frequencies: FloatArray, busy: FloatArray, watts: FloatArray) -> None:
        """
        Fit the law to means of the board's power.

        :param frequencies: Hz, shape (n, domains)
        :param busy: of each domain, 0..1, of the same shape
        :param watts: shape (n,)
        """
        design = self.design(frequencies, busy)
        usual = self._usual * float(np.median(watts / (design @ self._usual)))
        prior = Prior.independent(usual, _SPREAD * usual)
        self.fit = fit(design, watts, MODEL_DEVIATION * watts, prior)
        error = np.log(watts / (design @ self.fit.parameters))
        self.departure.learn(frequencies, error, np.full(len(watts), _NOISE))

    def watts(self, frequencies: FloatArray, busy: FloatArray) -> FloatArray:
        """Return the power at frequencies while domains are busy, W; NaN before it is known."""
        if self.fit is None:
            return np.full(len(frequencies), np.nan)
        watts: FloatArray = self.design(frequencies, busy) @ self.fit.parameters
        return watts * self.departure.factor(frequencies)

    def design(self, frequencies: FloatArray, busy: FloatArray) -> FloatArray:
        """Return the rows that the parameters are multiplied with, shape (n, parameters)."""
        share = frequencies / self._highest
        columns = [np.ones(len(share))]
        for x, u in zip(share.T, busy.T):
            columns += [x, x**3, u * x, u * x**3]
        return np.stack(columns, axis=1)
