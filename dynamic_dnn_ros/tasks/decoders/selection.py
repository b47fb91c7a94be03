# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The candidates that count, chosen from what a detector says of every point of its input."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NONE, SIGMOID = 'none', 'sigmoid'

#: Boxes in parts of the input end at 1, or a little beyond; those in pixels are not all so small.
_LARGEST_PART = 2.0


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
    activation: str = NONE,
) -> Chosen:
    """
    Choose what is at least as good as a score.

    Points with no class that good are left out first, which is most of them, so the rest costs
    little. Values that are not finite are never chosen.

    :param scores: of each class at each point, shape (points, classes), any strides
    :param several: choose every class of a point that is good enough, not the best alone
    :param weights: of each point, 0..1, which its scores are multiplied with: objectness
    :param activation: `sigmoid` where scores are its arguments
    """
    if activation == SIGMOID:
        # A sigmoid grows, so what is good enough is known before any is computed.
        chosen = choose(scores, logit(score), several)
        return chosen._replace(scores=sigmoid(chosen.scores))
    with np.errstate(invalid='ignore', over='ignore'):
        if weights is None:
            points = _good_points(scores, score)
            kept = scores[points].astype(np.float32)
        else:
            points = np.flatnonzero(weights >= score)
            kept = scores[points].astype(np.float32)
            kept *= weights[points].astype(np.float32)[:, None]
    kept[~np.isfinite(kept)] = -np.inf
    if several:
        rows, classes = np.nonzero((kept >= score) & (kept > -np.inf))
        return Chosen(points[rows], classes.astype(np.int64), kept[rows, classes])
    if kept.size == 0:
        return Chosen(np.zeros(0, np.intp), np.zeros(0, np.int64), np.zeros(0, np.float32))
    classes = kept.argmax(axis=1)
    best = kept[np.arange(len(kept)), classes]
    good = (best >= score) & (best > -np.inf)
    return Chosen(points[good], classes[good].astype(np.int64), best[good])


def _good_points(scores: NDArray[Any], score: float) -> NDArray[np.intp]:
    # Where the classes of a point lie together in memory, one look at all values is the fastest;
    # where those of a class do, numpy compares whole rows at once.
    classes = scores.shape[1]
    if classes == 0:
        return np.zeros(0, np.intp)
    if scores.strides[0] >= scores.strides[1]:
        found = np.flatnonzero(scores >= score) // classes
        return found[np.diff(found, prepend=-1) != 0]
    return np.flatnonzero(np.fmax.reduce(scores, axis=1) >= score)


def sigmoid(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return 1 / (1 + exp(-x))."""
    with np.errstate(over='ignore', invalid='ignore'):
        return np.asarray(1 / (1 + np.exp(-values.astype(np.float32))), np.float32)


def logit(score: float) -> float:
    """Return the argument whose sigmoid is a score, infinite for 0 and 1."""
    if not 0 < score < 1:
        return -math.inf if score <= 0 else math.inf
    return math.log(score / (1 - score))


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


def counts_parts(boxes: NDArray[Any]) -> bool:
    """Return whether boxes that a network gave count parts of the input, not pixels."""
    return bool(np.any(boxes > 0) and np.nanmax(boxes) <= _LARGEST_PART)


def unordered(boxes: NDArray[Any], scores: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """
    Return what does not depend on the order of detections: for `Decoder.comparable`.

    Two engines may sort detections of nearly the same score differently. The scores in order, and
    the mean of the boxes weighted with the scores, change little then.

    :param boxes: shape (pictures, boxes, 4)
    :param scores: shape (pictures, boxes)
    """
    scores = scores.astype(np.float64)
    total = np.maximum(scores.sum(axis=1), 1e-12)
    mean = (boxes.astype(np.float64) * scores[..., None]).sum(axis=1) / total[:, None]
    return np.sort(scores, axis=1), mean
