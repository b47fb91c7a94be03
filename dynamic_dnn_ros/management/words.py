# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the limits of a target are called in sentences."""

from __future__ import annotations

from dynamic_dnn_ros.tasks.contract import Metric

UNITS = {'latency': 's', 'accuracy': '', 'energy': 'J', 'rate': 'Hz'}
"""Unit of each limit, by the names of `TargetStatus.names`."""


def metric_title(metric: str) -> str:
    """Return how people call a metric, e.g. 'AP 50:95'; one that is not known as it is."""
    try:
        return Metric(metric).title
    except ValueError:
        return metric


def limit_title(name: str, metric: str) -> str:
    """
    Return how a limit is called in a sentence: of accuracy, the metric is said.

    :param metric: of the application, as `Metric` has it; empty: not known
    """
    if name == 'accuracy' and metric:
        return f'accuracy ({metric_title(metric)})'
    return name


def with_unit(name: str, value: float) -> str:
    """Return the value of a limit with its unit."""
    return f'{value:.4g} {UNITS[name]}'.rstrip()
