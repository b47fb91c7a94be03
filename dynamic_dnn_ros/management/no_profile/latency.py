# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The latency of a bundle's sub-networks over the clocks, from a handful of operating points.

    t = T |gpu g, memory m|p + T (host c + fixed),    |a, b|p = (a^p + b^p)^(1/p)

with T what the engine measured at start, and c, g, m the highest clock of a domain over the
present one: the law that `dynamic-dnn calibrate` fits, but for launches. The shares of the parts
are those of the smallest and of the largest sub-network, and between the two for those between:
small ones spend more of their time on what a frame takes anyway. So what one sub-network teaches
holds for the others. Each may depart from that by a factor of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.no_profile.departure import Departure
from dynamic_dnn_ros.management.no_profile.regression import Fit, Prior, fit

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

EXPONENTS = (1.0, 2.0, 4.0)
"""p: 1 adds GPU and memory, 4 is nearly the longer of the two."""

_EXPONENT_COST = 3.0
"""By how much likelier measurements have to be before parts are taken to overlap."""

_OWN, _CPU, _MEMORY, _FIXED = 0.45, 0.25, 0.10, 0.20
"""Shares of the processor's own clock, of the CPU's beside it, the memory's, and of none."""

_COMMON, _APART = 0.6, 0.25
"""Deviation of a share, as a multiple of it: of all sub-networks, and of one from another."""

_LEAST_SHARE = 0.1

_START, _AGREEMENT = 0.15, 0.03
"""
Deviation of what was measured at start from the latency at the highest clocks: for all
sub-networks together, as clocks may have been others, and of one against the other.
"""

OWN_DEVIATION = 0.02
"""Of a sub-network's own factor."""

MODEL_DEVIATION = 0.01
"""Of a measured latency from any law of this form."""

_ITERATIONS = 4


@dataclass(frozen=True, eq=False)
class Measured:
    """
    Mean latencies by columns.

    `sub_network` are indices, `frequencies` Hz, shape (n, domains), `seconds` the means and
    `deviation` those of the means, as shares of them.
    """

    sub_network: IndexArray
    frequencies: FloatArray
    seconds: FloatArray
    deviation: FloatArray


def counts_for(domain: str, processor: str) -> bool:
    """Tell whether work on a processor may depend on the clock of a domain."""
    return domain == processor or domain.startswith(('cpu', 'memory'))


class LatencyLaw:
    """
    The law of one bundle on one processor.

    :param start: what the engine measured of each sub-network at start, s, shape (sub-networks,)
    :param domains: whose clocks may be set
    :param highest: their highest clocks, Hz
    """

    def __init__(
        self, start: FloatArray, processor: str, domains: Sequence[str], highest: FloatArray
    ) -> None:
        """Begin with what is plausible on any board, and nothing measured."""
        self.start = start
        self.domains = tuple(domains)
        self.used = [i for i, name in enumerate(domains) if counts_for(name, processor)]
        self._highest = highest
        names = [domains[i] for i in self.used]
        self._overlapping: list[int] = []
        if processor in names and 'memory' in names and not processor.startswith('cpu'):
            self._overlapping = [names.index(processor), names.index('memory')]
        inverse = 1.0 / start
        spread = float(np.ptp(inverse))
        # 1 of the smallest sub-network, 0 of the largest.
        self.smallness = (inverse - inverse.min()) / spread if spread > 0 else 0.0 * inverse
        self._prior = self._beforehand(processor, names)
        self.exponent = 1.0
        self.fit = Fit(
            self._prior.mean, np.linalg.inv(self._prior.precision).astype(np.float64), 0.0
        )
        self.own = np.ones(len(start))
        self._own_variance = np.full(len(start), OWN_DEVIATION**2)
        self.departure = Departure(MODEL_DEVIATION)

    def learn(self, measured: Measured) -> None:
        """Fit the law to all that was measured."""
        scaled = measured.seconds / self.start[measured.sub_network]
        best: tuple[float, float, Fit] | None = None
        for exponent in EXPONENTS if self._overlapping else EXPONENTS[:1]:
            found = self._fitted(measured, scaled, exponent)
            cost = found.cost + (_EXPONENT_COST if exponent > 1.0 else 0.0)
            if best is None or cost < best[0]:
                best = cost, exponent, found
        assert best is not None
        _, self.exponent, self.fit = best
        self.departure = Departure(MODEL_DEVIATION)
        self._learn_own(measured)
        expected = self.predict(measured.sub_network, measured.frequencies)
        self.departure.learn(
            measured.frequencies, np.log(measured.seconds / expected), measured.deviation
        )

    def predict(self, sub_network: IndexArray, frequencies: FloatArray) -> FloatArray:
        """Return mean latencies, s, of m sub-networks at m settings, (m, domains)."""
        design = self.design(sub_network, frequencies)
        scale = self.start[sub_network] * self.own[sub_network]
        return scale * (design @ self.fit.parameters) * self.departure.factor(frequencies)

    def deviation(self, sub_network: IndexArray, frequencies: FloatArray) -> FloatArray:
        """Return the standard deviation of these as a share of them."""
        design = self.design(sub_network, frequencies)
        share = self.fit.deviation(design) / np.maximum(design @ self.fit.parameters, 1e-6)
        other = self._own_variance[sub_network] + self.departure.variance(frequencies)
        return np.sqrt(share**2 + other)

    def design(self, sub_network: IndexArray, frequencies: FloatArray) -> FloatArray:
        """Return the rows that the parameters are multiplied with, shape (m, parameters)."""
        return self._design(sub_network, frequencies, self.fit.parameters, self.exponent)

    def _beforehand(self, processor: str, names: Sequence[str]) -> Prior:
        usual = [
            _OWN if name == processor else _CPU if name.startswith('cpu') else _MEMORY
            for name in names
        ]
        # A CPU of several clock domains has as much to do as one.
        clusters = max(sum(n.startswith('cpu') and n != processor for n in names), 1)
        shares = np.array(
            [
                share / clusters if name.startswith('cpu') and name != processor else share
                for share, name in zip(usual, names)
            ]
            + [_FIXED]
        )
        shares /= shares.sum()
        plausible = np.maximum(shares, _LEAST_SHARE)
        count = len(shares)
        both = np.tile(np.eye(count), 2)
        apart = np.hstack([np.eye(count), -np.eye(count)])
        precision = (both / 2).T @ np.diag((_COMMON * plausible) ** -2.0) @ (both / 2)
        precision += apart.T @ np.diag((_APART * plausible) ** -2.0) @ apart
        ends = np.array([[0.5] * (2 * count), [1.0] * count + [-1.0] * count])
        total = np.array([1.0, 0.0])
        known = np.diag([_START**-2.0, _AGREEMENT**-2.0])
        mean = np.tile(shares, 2)
        joint = precision + ends.T @ known @ ends
        right = precision @ mean + ends.T @ known @ total
        return Prior(np.linalg.solve(joint, right), joint)

    def _fitted(self, measured: Measured, scaled: FloatArray, exponent: float) -> Fit:
        deviation = scaled * np.hypot(measured.deviation, MODEL_DEVIATION)
        found = Fit(self._prior.mean, self.fit.covariance, 0.0)
        for _ in range(_ITERATIONS if exponent > 1.0 else 1):
            design = self._design(
                measured.sub_network, measured.frequencies, found.parameters, exponent
            )
            found = fit(design, scaled, deviation, self._prior)
        return found

    def _design(
        self,
        sub_network: IndexArray,
        frequencies: FloatArray,
        parameters: FloatArray,
        exponent: float,
    ) -> FloatArray:
        stretch = np.ones((len(sub_network), len(self.used) + 1))
        stretch[:, :-1] = (self._highest / frequencies)[:, self.used]
        weight = self.smallness[sub_network][:, None]
        if self._overlapping and exponent > 1.0:
            small, large = np.split(parameters, 2)
            parts = (weight * small + (1.0 - weight) * large) * stretch
            overlapping = parts[:, self._overlapping] + 1e-9
            longest = (overlapping**exponent).sum(axis=1) ** (1.0 / exponent)
            # Homogeneous of degree 1: the sum of each part times its slope.
            stretch[:, self._overlapping] *= (overlapping / longest[:, None]) ** (exponent - 1.0)
        return np.hstack([weight * stretch, (1.0 - weight) * stretch])

    def _learn_own(self, measured: Measured) -> None:
        """Learn by which factor each sub-network departs from the law of all."""
        self.own = np.ones(len(self.start))
        expected = self.predict(measured.sub_network, measured.frequencies)
        error = np.log(measured.seconds / expected)
        weight = 1.0 / (measured.deviation**2 + MODEL_DEVIATION**2)
        count = len(self.start)
        total = np.bincount(measured.sub_network, weight, count) + OWN_DEVIATION**-2.0
        self.own = np.exp(np.bincount(measured.sub_network, weight * error, count) / total)
        self._own_variance = 1.0 / total
