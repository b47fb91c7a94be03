# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The step of a lexicographic choice in which values that hardly differ count as equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WITHIN = 0.01
"""Objectives and shortfalls within this share of the best count as equal."""


def narrow(
    keep: NDArray[np.bool_] | None,
    values: NDArray[np.float64],
    relative: float = 0.0,
    absolute: float = 0.0,
    axis: int = -1,
) -> NDArray[np.bool_]:
    """
    Keep, along an axis, what is within a tolerance of the smallest value kept so far.

    :param keep: what is kept so far; none: all
    """
    kept = values if keep is None else np.where(keep, values, np.inf)
    smallest = kept.min(axis=axis, keepdims=True)
    if relative:
        smallest = smallest + relative * np.abs(smallest)
    near = values <= smallest + absolute
    return near if keep is None else keep & near
