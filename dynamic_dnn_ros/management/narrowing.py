# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The step of a lexicographic choice in which values that hardly differ count as equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.targets import Objective

WITHIN = 0.01
"""Shortfalls, latencies and excesses within this share of the best count as equal."""

WITHIN_ACCURACY = 0.0003
"""
The same of accuracies, which no noise moves: through all steps of a choice and the hysteresis that
follows it, what is served stays within a thousandth of the best.
"""


def within(objective: Objective) -> float:
    """Return the share of the best within which values of an objective count as equal."""
    return WITHIN_ACCURACY if objective is Objective.MAXIMUM_ACCURACY else WITHIN


def narrow(
    keep: NDArray[np.bool_] | None,
    values: NDArray[np.float64],
    relative: float | NDArray[np.float64] = 0.0,
    absolute: float = 0.0,
    axis: int = -1,
) -> NDArray[np.bool_]:
    """
    Keep, along an axis, what is within a tolerance of the smallest value kept so far.

    :param keep: what is kept so far; none: all
    """
    kept = values if keep is None else np.where(keep, values, np.inf)
    smallest = kept.min(axis=axis, keepdims=True)
    if isinstance(relative, np.ndarray) or relative:
        smallest = smallest + relative * np.abs(smallest)
    near = values <= smallest + absolute
    return near if keep is None else keep & near
