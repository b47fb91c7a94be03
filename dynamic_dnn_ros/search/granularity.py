# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which way of deciding by the picture takes least, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
import math

from dynamic_dnn_ros.networks.adaptive_layouts import (
    CHANNELS,
    LAYERS,
    PATCHES,
    AdaptiveLayout,
)
from dynamic_dnn_ros.search.block_latency import BlockCase

#: Says what a block takes, s.
Latency = Callable[[BlockCase], float]

#: Patches of a side, and groups of channels, at least: with fewer there is little to decide.
_LEAST_PATCHES, _GROUPS = 2, (2, 4)

#: Pixels of a patch at least: below, a halo is more than what it surrounds.
_LEAST_SIDE = 3


@dataclass(frozen=True)
class Way:
    """
    One way of deciding for the blocks of a group, and what a block takes, s.

    `share` is that of the undivided block's time.
    """

    group: int
    case: BlockCase
    seconds: float
    share: float


def ways(layout: AdaptiveLayout, work: float, latency: Latency) -> tuple[tuple[Way, ...], ...]:
    """
    Return the ways of each group, what takes least first.

    All run the same share of the multiply-adds, as they will be trained to.

    :param work: that share, 0..1
    """
    found = []
    for group, stage in enumerate(layout.stages):
        whole = BlockCase(stage.width, stage.middle, layout.side(group))
        undivided = latency(whole)
        mine = [
            Way(group, case, seconds, seconds / undivided)
            for case in _cases(whole, work)
            for seconds in (latency(case),)
        ]
        found.append(tuple(sorted(mine, key=lambda way: way.seconds)))
    return tuple(found)


def chosen(layout: AdaptiveLayout, found: tuple[tuple[Way, ...], ...]) -> AdaptiveLayout:
    """Return the layout with the best way of each group."""
    stages = (
        replace(stage, mode=best.case.mode, granularity=best.case.granularity)
        for stage, (best, *_) in zip(layout.stages, found)
    )
    return replace(layout, stages=tuple(stages))


def _cases(whole: BlockCase, work: float) -> Iterator[BlockCase]:
    yield replace(whole, mode=LAYERS, rate=work)
    for patch in range(_LEAST_SIDE, whole.side // _LEAST_PATCHES + 1):
        if whole.side % patch == 0:
            yield replace(whole, mode=PATCHES, granularity=patch, rate=work)
    # Of the channels within, the 3x3 convolution takes the square.
    outer, inner = 2 * whole.width, 9 * whole.middle
    rate = (math.sqrt(outer**2 + 4 * inner * work * (outer + inner)) - outer) / (2 * inner)
    for groups in _GROUPS:
        if whole.middle % groups == 0:
            yield replace(whole, mode=CHANNELS, granularity=whole.middle // groups, rate=rate)
