# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The colours of all pictures and pages, so that one thing has one colour everywhere."""

from __future__ import annotations

from collections.abc import Iterable

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

    :param names: in the order of their accuracy, so that neighbours are told apart
    """
    return {name: SUB_NETWORKS[index % len(SUB_NETWORKS)] for index, name in enumerate(names)}
