# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle with a cascade of two of its sub-networks."""

from __future__ import annotations

from dataclasses import replace

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.stages import Stage


def cascade(
    bundle: Bundle, threshold: float = 0.5, first: str = 's1', last: str = 's2', name: str = 'c0'
) -> SubNetwork:
    """Return a cascade of two sub-networks; shares of work and pictures are made up."""
    parts = [bundle.manifest.sub_network(each) for each in (first, last)]
    return SubNetwork(
        id=name,
        configuration={},
        size=parts[1].size,
        accuracy=parts[1].accuracy - 0.01,
        multiply_adds=sum(each.multiply_adds for each in parts),
        parameters=sum(each.parameters for each in parts),
        layers=sum(each.layers for each in parts),
        stages=(
            Stage('first', first, threshold, 0.4, 0.6),
            Stage('last', last, None, 1.0, 0.4),
        ),
    )


def with_cascades(bundle: Bundle, *cascades: SubNetwork) -> Bundle:
    """Return a bundle, written nowhere, that has cascades besides; by default one."""
    manifest = bundle.manifest
    added = cascades or (cascade(bundle),)
    return replace(
        bundle, manifest=replace(manifest, sub_networks=(*manifest.sub_networks, *added))
    )
