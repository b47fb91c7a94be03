# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which sub-network of a slimmable network runs."""

from __future__ import annotations

import dataclasses
from typing import Any

from dynamic_dnn_ros.pictures.placement import Size


@dataclasses.dataclass(frozen=True)
class SlimmableConfiguration:
    """
    One sub-network.

    :param width: active share of each knob's axes, percent.
    :param depth: active share of each stage's blocks, percent.
    :param resolution: side of the input, pixels.
    :param patches: share that goes on behind a place, percent; 0: the layout has no such choice.
    """

    width: tuple[int, ...]
    depth: tuple[int, ...]
    resolution: int
    patches: int = 0

    @property
    def size(self) -> Size:
        """Return height and width of the input, pixels."""
        return Size(self.resolution, self.resolution)

    def to_mapping(self) -> dict[str, Any]:
        """Return the configuration as plain lists and numbers, without what has no choice."""
        depth = {'depth': list(self.depth)} if self.depth else {}
        patches = {'patches': self.patches} if self.patches else {}
        return {'width': list(self.width), **depth, 'resolution': self.resolution, **patches}
