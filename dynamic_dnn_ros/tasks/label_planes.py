# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The best class at each place of a network's planes, and at a finer grid between them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import LabelMap

#: Places that are looked at together: what they need stays in a processor's cache.
_TOGETHER = 8192

#: Labels fit into a byte, with one value left for what has none.
MOST_LABELS = LabelMap.UNLABELLED


def best_classes(planes: NDArray[Any]) -> NDArray[np.uint8]:
    """
    Return the class with the highest value, the first of equals; `UNLABELLED` beside NaN.

    Several times as fast as `argmax`, which numpy does not vectorise along an axis whose values
    lie apart: where a plane equals the maximum, its rank is kept.

    :param planes: shape (classes, height, width), at most `MOST_LABELS` classes
    :return: shape (height, width)
    """
    count = len(planes)
    flat = planes.reshape(count, -1)
    ranks = np.arange(count, 0, -1, dtype=np.uint8)[:, None]
    found = np.empty(flat.shape[1], np.uint8)
    for first in range(0, flat.shape[1], _TOGETHER):
        part = flat[:, first : first + _TOGETHER]
        with np.errstate(invalid='ignore'):
            best = part.max(axis=0)
            is_best = (part == best).view(np.uint8)
        is_best *= ranks
        rank = is_best.max(axis=0)
        known = (rank > 0) & np.isfinite(best)
        found[first : first + _TOGETHER] = np.where(known, count - rank, LabelMap.UNLABELLED)
    return found.reshape(planes.shape[1:])


def finer_classes(planes: NDArray[Any], size: Size) -> NDArray[np.uint8]:
    """
    Return the best class at each pixel of a finer grid, planes interpolated bilinearly.

    Where the four places around a pixel have one best class, so has the pixel: every mean of
    values of which the same class is the highest has it too. The others alone are interpolated.

    :param planes: shape (classes, rows, columns)
    :param size: of the finer grid
    """
    coarse = best_classes(planes)
    upper, lower, down = _neighbours(planes.shape[1], size.height)
    left, right, across = _neighbours(planes.shape[2], size.width)
    above, below = coarse[upper], coarse[lower]
    found = above[:, left]
    mixed = (found != above[:, right]) | (found != below[:, left]) | (found != below[:, right])
    rows, columns = np.nonzero(mixed)
    if not len(rows):
        return found
    places = np.ascontiguousarray(np.moveaxis(planes, 0, -1)).astype(np.float32)
    down_part, across_part = down[rows, None], across[columns, None]
    with np.errstate(invalid='ignore', over='ignore'):
        top = places[upper[rows], left[columns]] * (1 - across_part)
        top += places[upper[rows], right[columns]] * across_part
        bottom = places[lower[rows], left[columns]] * (1 - across_part)
        bottom += places[lower[rows], right[columns]] * across_part
        values = top * (1 - down_part) + bottom * down_part
    best = values.argmax(axis=1).astype(np.uint8)
    best[~np.isfinite(values.max(axis=1))] = LabelMap.UNLABELLED
    found[rows, columns] = best
    return found


def _neighbours(
    coarse: int, fine: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return the places before and after each pixel along an axis, and how far it is on."""
    points = np.clip((np.arange(fine) + 0.5) * (coarse / fine) - 0.5, 0, coarse - 1)
    before = points.astype(np.intp)
    after = np.minimum(before + 1, coarse - 1)
    return before, after, (points - before).astype(np.float32)
