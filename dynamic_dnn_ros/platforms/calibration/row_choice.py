# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which rows of a table a network should be measured at: few that tell most of all others.

Latency is taken to be the law of `latency_fit`, with any parameters that are plausible, times a
smooth departure from it (a Gaussian process over the places of the clocks in their tables). Those
rows are chosen that leave least uncertainty of all rows, one after the other and then by
exchange. Only settings are looked at, never a latency.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynamic_dnn_ros.platforms.calibration.latency_fit import (
    LatencyLaw,
    Overlap,
    Reference,
    Settings,
    thinned,
)
from dynamic_dnn_ros.platforms.calibration.least_squares import Array
from dynamic_dnn_ros.platforms.calibration.table import DOMAINS, GPU, Row, TableError

_CANDIDATES = 400
"""Rows that are looked at: of a larger table as many, evenly."""

_LAWS = 6
"""Plausible laws that a choice has to do for."""

_SPREAD = 0.8
"""Standard deviation of the logarithms of their parts."""

_DEPARTURE, _REACH = 0.3, 0.4
"""Standard deviation of the departure from a law, and how far it reaches, of the whole range."""

_NOISE = 0.015
_EXCHANGES = 40


def well_chosen(rows: Sequence[Row], count: int, reference: Reference) -> list[Row]:
    """
    Return so many rows of each network at each size of its pictures on each processor.

    :raises TableError: when a network has no more rows than that, so that none would be left
    """
    subjects: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        subjects.setdefault(row.subject, []).append(row)
    if all(len(own) <= count for own in subjects.values()):
        raise TableError(
            f'{count} rows of each network',
            f'are all that there are (at most {max(map(len, subjects.values()))})',
            'Take fewer, so that some are left to test on',
        )
    chosen: list[Row] = []
    for own in subjects.values():
        chosen += own if len(own) <= count else _chosen(own, count, reference)
    return chosen


def _chosen(rows: Sequence[Row], count: int, reference: Reference) -> list[Row]:
    candidates = thinned(rows, max(_CANDIDATES, count))
    generator = np.random.default_rng(0)
    covariances = _covariances(candidates, reference, generator)
    chosen = _one_by_one(covariances, count)
    least = _uncertainty(covariances, chosen)
    for place in range(count):
        for other in generator.permutation(len(candidates))[:_EXCHANGES]:
            if other in chosen:
                continue
            tried = [*chosen[:place], int(other), *chosen[place + 1 :]]
            uncertainty = _uncertainty(covariances, tried)
            if uncertainty < least:
                chosen, least = tried, uncertainty
    return [candidates[index] for index in sorted(chosen)]


def _covariances(
    rows: Sequence[Row], reference: Reference, generator: np.random.Generator
) -> list[Array]:
    """Return how the logarithms of the rows' latencies vary together, under several laws."""
    settings = Settings.of(rows, reference)
    places = np.column_stack(
        [_places(settings.stretch[domain]) for domain in DOMAINS] + [_places(settings.cores)]
    )
    distance = np.sum(((places[:, None] - places[None]) / _REACH) ** 2, axis=2)
    departure = _DEPARTURE**2 * np.exp(-0.5 * distance)
    law = LatencyLaw(rows[0].processor, settings, rows[0].processor == GPU, Overlap())
    prior = law.prior
    result = []
    for _ in range(_LAWS):
        parameters = prior.mean.copy()
        parts = len(law.parts)
        parameters[:parts] = np.log(0.3) + _SPREAD * generator.standard_normal(parts)
        step = 1e-5
        moved = np.vstack([parameters, parameters + step * np.eye(len(parameters))])
        logarithm = np.log(law.timing(moved, settings)[0])
        slope = (logarithm[1:] - logarithm[0]).T / step * prior.deviation
        result.append(slope @ slope.T + departure)
    return result


def _places(values: Array) -> Array:
    """Return where each value stands among all different ones, from 0 to 1."""
    different = np.unique(values)
    return np.searchsorted(different, values) / max(len(different) - 1.0, 1.0)


def _one_by_one(covariances: Sequence[Array], count: int) -> list[int]:
    left = [covariance.copy() for covariance in covariances]
    chosen: list[int] = []
    for _ in range(count):
        gain = np.zeros(len(left[0]))
        for each in left:
            gain += (each**2).sum(axis=0) / (np.diag(each) + _NOISE**2) / np.trace(each)
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        chosen.append(best)
        left = [
            each - np.outer(each[:, best], each[best]) / (each[best, best] + _NOISE**2)
            for each in left
        ]
    return chosen


def _uncertainty(covariances: Sequence[Array], chosen: Sequence[int]) -> float:
    """Return the mean standard deviation that is left of the rows when some are known."""
    total = 0.0
    for covariance in covariances:
        known = covariance[np.ix_(chosen, chosen)] + _NOISE**2 * np.eye(len(chosen))
        beside = covariance[:, chosen]
        told = np.einsum('ij,ji->i', beside, np.linalg.solve(known, beside.T))
        total += float(np.sqrt(np.maximum(np.diag(covariance) - told, 0.0)).mean())
    return total
