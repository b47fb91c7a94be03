# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The points of an input that detectors without anchors speak about, level by level."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size


class Grid(NamedTuple):
    """Points of all levels, one after the other, row by row."""

    cells: NDArray[np.float32]
    """Column and row of each point in its level, shape (points, 2)."""
    strides: NDArray[np.float32]
    """Pixels of the input from one point of the level to the next, shape (points,)."""


def level_size(size: Size, stride: int) -> Size:
    """Return how many points a level has; a part of a step at the border is one."""
    return Size(-(-size.height // stride), -(-size.width // stride))


def point_count(size: Size, strides: Sequence[int]) -> int:
    """Return the number of points of all levels."""
    levels = (level_size(size, stride) for stride in strides)
    return sum(level.height * level.width for level in levels)


@lru_cache(maxsize=64)
def grid(size: Size, strides: tuple[int, ...]) -> Grid:
    """Return the points of an input; they are shared, so they cannot be written to."""
    cells, steps = [], []
    for stride in strides:
        height, width = level_size(size, stride)
        rows, columns = np.mgrid[:height, :width]
        cells.append(np.stack([columns.reshape(-1), rows.reshape(-1)], axis=1))
        steps.append(np.full(height * width, stride))
    found = Grid(
        np.concatenate(cells).astype(np.float32), np.concatenate(steps).astype(np.float32)
    )
    for values in found:
        values.flags.writeable = False
    return found
