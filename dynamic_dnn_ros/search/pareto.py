# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The Pareto front of accuracy and cost, and a spread choice from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def pareto_front(accuracies: Values, costs: Values) -> Indices:
    """
    Return the indices of the candidates that no other one dominates, the cheapest first.

    One dominates another if it is at least as accurate and at most as costly, and better in one
    of the two. Of equal candidates the first is kept, so both values rise along the front.

    :raises ValueError: if the lengths differ, there are none, or a value is not finite.
    """
    accuracies = np.asarray(accuracies, dtype=np.float64)
    costs = np.asarray(costs, dtype=np.float64)
    if accuracies.ndim != 1 or accuracies.shape != costs.shape or not len(costs):
        raise ValueError(
            f'accuracies of shape {accuracies.shape} and costs of shape {costs.shape}: '
            'two lists of one length, not empty, are needed'
        )
    if not (np.isfinite(accuracies).all() and np.isfinite(costs).all()):
        raise ValueError('accuracies and costs must be finite')
    # By cost, and among equal costs the most accurate first.
    order = np.lexsort((-accuracies, costs))
    best_before = np.concatenate(([-np.inf], np.maximum.accumulate(accuracies[order])[:-1]))
    front: Indices = order[accuracies[order] > best_before].astype(np.int64)
    return front


def spread(costs: Values, count: int) -> Indices:
    """
    Return the positions of `count` rising costs, both ends included, at even cost ratios.

    For each place on a geometric ladder from the cheapest to the dearest, the nearest that is
    still free is taken; all are returned where there are no more than `count`.

    :raises ValueError: if fewer than two are asked for, or costs are not positive and rising.
    """
    costs = np.asarray(costs, dtype=np.float64)
    if count < 2:
        raise ValueError(f'a spread of {count} has no two ends')
    if not len(costs) or costs[0] <= 0.0 or not (np.diff(costs) > 0.0).all():
        raise ValueError('costs must be positive and rise')
    if len(costs) <= count:
        return np.arange(len(costs), dtype=np.int64)
    logarithms = np.log(costs)
    ladder = np.linspace(logarithms[0], logarithms[-1], count)
    chosen = [0, len(costs) - 1]
    for place in ladder[1:-1]:
        distances = np.abs(logarithms - place)
        distances[chosen] = np.inf
        chosen.append(int(distances.argmin()))
    return np.array(sorted(chosen), dtype=np.int64)
