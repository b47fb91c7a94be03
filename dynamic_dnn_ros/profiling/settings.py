# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which settings of the frequency domains are measured, where all would take too long."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

Setting = tuple[float, ...]
"""A frequency for each domain, Hz."""


def grid(tables: Sequence[Sequence[float]]) -> tuple[Setting, ...]:
    """Return every setting; one that is empty where there is no domain."""
    return tuple(product(*tables))


def chosen_settings(tables: Sequence[Sequence[float]], number: int) -> tuple[Setting, ...]:
    """
    Return the settings to measure, those with the highest clocks first.

    The corners first, then always the one farthest from all chosen so far (Gonzalez, Clustering
    to minimize the maximum intercluster distance, 1985): each table is stretched to 0..1 in
    1 / frequency, in which latency is nearly linear.

    :param tables: available frequencies of each domain, ascending, Hz
    :param number: how many; all where there are no more
    """
    settings = grid(tables)
    if not settings or len(settings) <= number:
        return settings[::-1]
    periods = 1.0 / np.array(settings)
    lowest, span = periods.min(axis=0), np.ptp(periods, axis=0)
    points = (periods - lowest) / np.where(span > 0, span, 1.0)
    order = [len(settings) - 1]
    corners = np.flatnonzero(np.isin(points, (0.0, 1.0)).all(axis=1))
    if len(corners) <= number:
        order += [index for index in corners[::-1] if index != order[0]]
    distances = np.min([np.linalg.norm(points - points[index], axis=1) for index in order], axis=0)
    while len(order) < number:
        order.append(int(np.argmax(distances)))
        distances = np.minimum(distances, np.linalg.norm(points - points[order[-1]], axis=1))
    return tuple(settings[index] for index in order)
