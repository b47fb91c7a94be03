# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Robust least squares of relative errors, with what is known of each parameter beforehand.

A handful of measurements does not tell all parameters of a law. Each has a normal distribution
beforehand (of a logarithm mostly), which decides where the measurements do not: the maximum a
posteriori. Errors beyond a few deviations count linearly (Huber, Robust Estimation of a Location
Parameter, 1964), so that one bad measurement does not bend the law.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Law = Callable[[Array], Array]
"""From parameters of shape (k, n) to figures of shape (k, m)."""

_STEP = 1e-6
"""Of numerical derivatives; parameters are of the order of 1."""

_LARGEST_STEP = 1.5
_ITERATIONS = 80
_BOUND = 2.5
"""Deviations beyond which an error counts linearly."""


@dataclass(frozen=True)
class Prior:
    """Mean and standard deviation of each parameter before any measurement, shape (n,)."""

    mean: Array
    deviation: Array


@dataclass(frozen=True)
class Fit:
    """
    The parameters of a fit, shape (n,), and how good it is.

    `evidence` is the logarithm of the probability of the measurements under the law, but for a
    constant, by Laplace's approximation: of two laws the one with more of it is likelier.
    `noise` is the standard deviation of relative errors that is left, `precision` the inverse
    variance of each parameter alone, shape (n,), without what was known beforehand.
    """

    parameters: Array
    evidence: float
    noise: float
    precision: Array


def fit(residual: Law, prior: Prior, starts: int, seed: int = 0) -> Fit:
    """
    Return the likeliest parameters.

    :param residual: errors over their standard deviation
    :param starts: how often to begin, first at the mean of the prior, then around it
    """

    def function(parameters: Array) -> Array:
        error = residual(parameters)
        size = np.abs(error)
        linear = np.sign(error) * np.sqrt(np.maximum(_BOUND * (2.0 * size - _BOUND), 0.0))
        known = (parameters - prior.mean) / prior.deviation
        return np.concatenate([np.where(size > _BOUND, linear, error), known], axis=1)

    generator = np.random.default_rng(seed)
    best, least = prior.mean, np.inf
    for start in range(starts):
        spread = 0.5 * prior.deviation if start else np.zeros_like(prior.mean)
        found, cost = _descend(
            function, prior.mean + spread * generator.standard_normal(len(best))
        )
        if cost < least:
            best, least = found, cost
    return _judged(residual, function, prior, best, least)


def _descend(function: Law, parameters: Array) -> tuple[Array, float]:
    """Return the least squares by Levenberg and Marquardt from a start, and their sum."""
    damping = 1e-2
    values = function(parameters[None])[0]
    cost = float(values @ values)
    for _ in range(_ITERATIONS):
        slope = _jacobian(function, parameters, values)
        matrix, gradient = slope.T @ slope, slope.T @ values
        better = None
        for _ in range(10):
            damped = matrix + damping * np.diag(np.diag(matrix) + 1e-9)
            step = np.clip(-np.linalg.solve(damped, gradient), -_LARGEST_STEP, _LARGEST_STEP)
            tried = function((parameters + step)[None])[0]
            if float(tried @ tried) < cost:
                better = tried
                break
            damping *= 5.0
        if better is None:
            break
        gained = cost - float(better @ better)
        parameters, values, cost = parameters + step, better, cost - gained
        damping = max(damping / 6.0, 1e-10)
        if gained < 1e-7 * cost:
            break
    return parameters, cost


def _jacobian(function: Law, parameters: Array, values: Array) -> Array:
    moved = parameters + _STEP * np.eye(len(parameters))
    return np.asarray((function(moved) - values).T / _STEP)


def _judged(residual: Law, function: Law, prior: Prior, parameters: Array, cost: float) -> Fit:
    errors = residual(parameters[None])[0]
    slope = _jacobian(residual, parameters, errors)
    information = slope.T @ slope
    whole = information + np.diag(prior.deviation**-2)
    used = float(np.trace(np.linalg.solve(whole, information)))  # parameters, in effect
    evidence = -0.5 * cost - 0.5 * float(np.linalg.slogdet(whole)[1])
    evidence -= float(np.log(prior.deviation).sum())
    left = max(len(errors) - used, 1.0)
    bounded = np.minimum(np.abs(errors), _BOUND)
    spread = math.sqrt(float(bounded @ bounded) / left)
    return Fit(parameters, evidence, spread, np.diag(information).copy())
