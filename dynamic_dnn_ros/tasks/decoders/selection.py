# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The candidates that count, chosen from what a detector says of every point of its input."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Chosen(NamedTuple):
    """Pairs of a point and a class, with their scores."""

    points: NDArray[np.intp]
    classes: NDArray[np.int64]
    scores: NDArray[np.float32]


def choose(
    scores: NDArray[Any],
    score: float,
    several: bool,
    weights: NDArray[Any] | None = None,
) -> Chosen:
    """
    Choose what is at least as good as a score.

    Points with no class that good are left out first, which is most of them, so the rest costs
    little. Values that are not finite are never chosen.

    :param scores: of each class at each point, shape (points, classes), any strides
    :param several: choose every class of a point that is good enough, not the best alone
    :param weights: of each point, 0..1, which its scores are multiplied with: objectness
    """
    if weights is None:
        points = _good_points(scores, score)
        kept = scores[points].astype(np.float32, copy=False)
    else:
        with np.errstate(invalid='ignore'):
            points = np.flatnonzero(weights >= score)
        kept = scores[points].astype(np.float32, copy=False)
        kept = kept * weights[points].astype(np.float32, copy=False)[:, None]
    if several:
        rows, classes = np.nonzero((kept >= score) & np.isfinite(kept))
        return Chosen(points[rows], classes.astype(np.int64), kept[rows, classes])
    if kept.size == 0:
        return Chosen(np.zeros(0, np.intp), np.zeros(0, np.int64), np.zeros(0, np.float32))
    kept = np.where(np.isfinite(kept), kept, np.float32(-1))
    classes = kept.argmax(axis=1)
    best = kept[np.arange(len(kept)), classes]
    good = best >= score
    return Chosen(points[good], classes[good].astype(np.int64), best[good])


def _good_points(scores: NDArray[Any], score: float) -> NDArray[np.intp]:
    # Where the classes of a point lie together in memory, one look at all values is the fastest;
    # where those of a class do, numpy compares whole rows at once.
    classes = scores.shape[1]
    if classes == 0:
        return np.zeros(0, np.intp)
    with np.errstate(invalid='ignore'):
        if scores.strides[0] >= scores.strides[1]:
            found = np.flatnonzero(scores >= score) // classes
            return found[np.diff(found, prepend=-1) != 0]
        return np.flatnonzero(np.fmax.reduce(scores, axis=1) >= score)


def corners(
    x: NDArray[Any], y: NDArray[Any], width: NDArray[Any], height: NDArray[Any]
) -> NDArray[np.float32]:
    """Return left, upper, right, lower of boxes with a center and a size, shape (boxes, 4)."""
    found = np.empty((len(x), 4), np.float32)
    with np.errstate(invalid='ignore', over='ignore'):
        found[:, 0] = x - width / 2
        found[:, 1] = y - height / 2
        found[:, 2] = x + width / 2
        found[:, 3] = y + height / 2
    return found
