# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the stages of a cascade cost on a platform, as its profile says.

A manifest holds the works of the computer that the cascade was made on. Another platform has other
ratios between its sub-networks, and a profile of it knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import itertools

import numpy as np

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints

#: Works by the ids of sub-networks, one a stage, as `Stage.work`.
Works = Mapping[str, tuple[float, ...]]


def works_on(points: OperatingPoints | None, manifest: Manifest) -> Works:
    """
    Return the works of those cascades all of whose stages have points, equally many.

    The mean latency over all settings counts.

    :param points: of the platform; None: it is not known
    """
    if points is None:
        return {}
    latencies, counts = {}, {}
    for index, name in enumerate(points.sub_networks):
        rows = points.latency_mean[points.sub_network == index]
        counts[name] = len(rows)
        latencies[name] = float(np.mean(rows)) if len(rows) else 0.0
    works = {}
    for entry in manifest.sub_networks:
        parts = [stage.sub_network for stage in entry.stages]
        if not entry.is_cascade or len({counts.get(part, 0) for part in parts}) > 1:
            continue
        reached = list(itertools.accumulate(latencies.get(part, 0.0) for part in parts))
        if reached[0] > 0:
            works[entry.id] = tuple(latency / reached[-1] for latency in reached)
    return works


def with_works(entry: SubNetwork, works: Works) -> SubNetwork:
    """Return a sub-network with other works of its stages, where there are some."""
    if entry.id not in works:
        return entry
    pairs = zip(entry.stages, works[entry.id])
    return replace(entry, stages=tuple(replace(stage, work=work) for stage, work in pairs))
