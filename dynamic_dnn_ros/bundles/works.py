# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the stages of sub-networks cost on a platform, and how many pictures take which.

A manifest holds the works of the computer that a sub-network was made on. Another platform has
other ratios between its stages. A profile of it knows them where paths were measured, and those of
a cascade by the latencies of its stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import itertools

import numpy as np

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints

#: Shares by the ids of sub-networks, one a stage, as `Stage.work` or `Stage.taken`.
Works = Mapping[str, tuple[float, ...]]


def works_on(points: OperatingPoints | None, manifest: Manifest) -> Works:
    """
    Return the works of sub-networks whose paths were measured, and of other cascades.

    Of these all stages must have points, equally many: the mean latency over all settings counts.

    :param points: of the platform; None: it is not known
    """
    if points is None:
        return {}
    latencies, counts = {}, {}
    for index, name in enumerate(points.sub_networks):
        rows = points.latency_mean[points.sub_network == index]
        counts[name] = len(rows)
        latencies[name] = float(np.mean(rows)) if len(rows) else 0.0
    works = _fitting(points.works, manifest)
    for entry in manifest.sub_networks:
        if entry.id in works:
            continue
        parts = [stage.sub_network for stage in entry.stages]
        if not entry.is_cascade or len({counts.get(part, 0) for part in parts}) > 1:
            continue
        reached = list(itertools.accumulate(latencies.get(part, 0.0) for part in parts))
        if reached[0] > 0:
            works[entry.id] = tuple(latency / reached[-1] for latency in reached)
    return works


def shares_on(points: OperatingPoints | None, manifest: Manifest) -> Works:
    """
    Return the shares of the pictures that leave after the stages, where paths were measured.

    :param points: of the platform; None: it is not known
    """
    return {} if points is None else _fitting(points.taken, manifest)


def _fitting(shares: Works, manifest: Manifest) -> dict[str, tuple[float, ...]]:
    """Return those that still fit the stages of their sub-network."""
    return {
        entry.id: shares[entry.id]
        for entry in manifest.sub_networks
        if entry.stages and len(shares.get(entry.id, ())) == len(entry.stages)
    }


def with_works(entry: SubNetwork, works: Works, taken: Works) -> SubNetwork:
    """Return a sub-network with other works and shares of its stages, where there are some."""
    stages = entry.stages
    if entry.id in works:
        stages = tuple(replace(s, work=work) for s, work in zip(stages, works[entry.id]))
    if entry.id in taken:
        stages = tuple(replace(s, taken=share) for s, share in zip(stages, taken[entry.id]))
    return entry if stages is entry.stages else replace(entry, stages=stages)
