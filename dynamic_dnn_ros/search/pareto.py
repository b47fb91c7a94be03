# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The Pareto front of accuracy and cost, and a spread choice from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def pareto_front(accuracies: Values, costs: Values, tolerance: float = 0.0) -> Indices:
    """
    Return the indices of the candidates that no other one dominates, the cheapest first.

    One dominates another if it is more accurate at a cost that is not higher, or as accurate at
    a lower cost. Of equal candidates the first is kept, so both values rise along the front.

    :param tolerance: the share by which a more accurate one may cost more and still dominate,
        for costs that are known no better than that.
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
    front: list[int] = []
    # The most accurate first, and among equals the cheapest: only what stands before dominates.
    for index in np.lexsort((costs, -accuracies)):
        if not front or costs[index] * (1.0 + tolerance) < costs[front[-1]]:
            front.append(int(index))
    return np.array(front[::-1], dtype=np.int64)


def front_length(accuracies: Values, costs: Values) -> Values:
    """
    Return how far along the front each of its candidates lies, from 0 to at most 2.

    The step from one to the next is its share of the whole range of accuracy plus its share of
    the range of the cost's logarithm, so that a long step is one that matters in either.
    """
    steps = np.zeros(len(costs))
    for values in (np.asarray(accuracies, dtype=np.float64), np.log(costs)):
        if len(values) > 1:
            steps[1:] += np.diff(values) / (values[-1] - values[0])
    return np.cumsum(steps)


def spread(places: Values, count: int) -> Indices:
    """
    Return the positions of `count` rising places at even distances, both ends included.

    For each step of an even ladder from the first to the last, the nearest place that is still
    free is taken; all are returned where there are no more than `count`.

    :raises ValueError: if fewer than two are asked for, or the places do not rise.
    """
    places = np.asarray(places, dtype=np.float64)
    if count < 2:
        raise ValueError(f'a spread of {count} has no two ends')
    if not len(places) or not (np.diff(places) > 0.0).all():
        raise ValueError('places must rise, and there must be one')
    if len(places) <= count:
        return np.arange(len(places), dtype=np.int64)
    chosen = [0, len(places) - 1]
    for step in np.linspace(places[0], places[-1], count)[1:-1]:
        distances = np.abs(places - step)
        distances[chosen] = np.inf
        chosen.append(int(distances.argmin()))
    return np.array(sorted(chosen), dtype=np.int64)


def near_front(accuracies: Values, costs: Values, margin: float) -> Indices:
    """
    Return the indices of the candidates on the front, or off it by no more than a margin.

    :param margin: share of its cost by which a candidate may be too expensive.
    """
    front = pareto_front(accuracies, costs)
    accuracies = np.asarray(accuracies, dtype=np.float64)
    costs = np.asarray(costs, dtype=np.float64)
    # The cheapest of the front that is at least as accurate: there is one, its last is the best.
    rivals = front[np.searchsorted(accuracies[front], accuracies)]
    return np.flatnonzero(costs <= costs[rivals] * (1.0 + margin))
