# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""On how many pictures an accuracy was measured, and how far it may be off for their number."""

from __future__ import annotations

from collections.abc import Iterable
import math
import re

from dynamic_dnn_ros.tasks.contract import Metric

_TESTED = re.compile(r', (\d+) test pictures\Z')

MUCH = 0.01
"""A standard error from which on it is said what it means."""


def accuracy_data(name: str, count: int) -> str:
    """Return what a manifest says of the pictures that accuracies were measured on."""
    return f'{name}, {count} test pictures'


def pictures_tested(data: str) -> int:
    """Return how many pictures were tested, by what a manifest says; 0: nobody knows."""
    found = _TESTED.search(data)
    return int(found[1]) if found else 0


def standard_error(share: float, count: int) -> float:
    """
    Return the standard error of a share that was measured on so many pictures.

    Two are added that were right and two that were wrong, so that it is not 0 where all or none
    were right (Agresti and Coull, The American Statistician 52, 1998).
    """
    moderate = (share * count + 2) / (count + 4)
    return math.sqrt(moderate * (1 - moderate) / (count + 4))


def certainty(what: str, metric: Metric, accuracies: Iterable[float], count: int) -> str:
    """
    Return a line on how sure accuracies are; the least sure of them counts.

    :param what: which accuracies
    :param count: of the pictures that all were measured on
    """
    text = f'{what}: {metric.title} on {count} pictures'
    if metric is not Metric.TOP1:
        return f'{text}; a standard error is not known'
    error = max((standard_error(each, count) for each in accuracies), default=math.nan)
    text += f', standard error {error:.1%}'
    if error < MUCH:
        return text
    return f'{text}: sub-networks that differ by less may be equally good'
