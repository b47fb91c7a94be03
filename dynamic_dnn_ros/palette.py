# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The colours of all pictures and pages, so that one thing has one colour everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import math

SUB_NETWORKS = (
    '#56b4e9',
    '#332288',
    '#c9a227',
    '#117733',
    '#cc79a7',
    '#5d4037',
    '#44aa99',
    '#7b3fa0',
    '#9e9d24',
    '#1565c0',
    '#e8804a',
    '#661144',
    '#bbbb88',
    '#005566',
    '#77dd66',
    '#cc0066',
    '#ccbbff',
    '#555511',
    '#ee88ff',
    '#995511',
)
"""Neighbours differ in hue and in lightness, also for most who see colours differently."""

MET, MISSED, PENDING, INFEASIBLE = '#2e7d32', '#c62828', '#90a4ae', '#ef6c00'
"""How targets stand; late frames are of the colour of a missed one."""

TARGET = '#000000'
DOMAINS = {'gpu': '#1565c0', 'cpu': '#ef6c00', 'memory': '#6a1b9a'}
RAILS = ('#263238', '#00838f')
TEMPERATURE = '#ad1457'
NEUTRAL = '#546e7a'
OURS = '#1565c0'
"""What others are compared with."""

CANDIDATE, FRONT, TESTED, TEXT = '#b8c0cc', '#1f5fa8', '#d9661f', '#333333'
"""What a search found."""

STAGES = {
    'waiting': '#b0bec5',
    'preprocessing': '#56b4e9',
    'inference': '#1565c0',
    'parked': '#78909c',
    'decoding': '#c9a227',
    'tracking': '#7b3fa0',
    'other': '#e0e0e0',
}


def sub_network_colours(names: Iterable[str]) -> dict[str, str]:
    """
    Return a colour for each sub-network.

    :param names: all that the bundle has, in the order of their accuracy: so neighbours are told
        apart, and a sub-network has one colour whatever else served
    """
    return {name: SUB_NETWORKS[index % len(SUB_NETWORKS)] for index, name in enumerate(names)}


def by_accuracy(accuracies: Mapping[str, float]) -> list[str]:
    """Return sub-networks from the least accurate on; by their names where nobody knows."""
    return sorted(accuracies, key=lambda name: (_known(accuracies[name]), name))


def colours_by_accuracy(accuracies: Mapping[str, float]) -> dict[str, str]:
    """
    Return a colour for each sub-network, from the least accurate on.

    :param accuracies: of all that the bundle has, 0..1; NaN: not known
    """
    return sub_network_colours(by_accuracy(accuracies))


def _known(accuracy: float) -> float:
    return accuracy if math.isfinite(accuracy) else 0.0
