# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is fixed for a residual network that decides by the picture, and what of it is chosen."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from dynamic_dnn_ros.networks.checks import (
    ConfigurationError,
    parts_of,
    require_choice,
    require_fields,
    require_positive,
)
from dynamic_dnn_ros.pictures.placement import Size

#: What a stage's blocks decide: whether to run at all, in which places, with which channels.
LAYERS, PATCHES, CHANNELS = MODES = ('layers', 'patches', 'channels')

#: Of one size. Each choice of them is a graph of its own.
MOST_BLOCKS = 4


@dataclasses.dataclass(frozen=True)
class AdaptiveStageLayout:
    """
    A 3x3 convolution of stride 2, and residual blocks that decide by the picture.

    A block is a 1x1, a 3x3 and a 1x1 convolution, and adds its input.

    :param width: channels between blocks
    :param middle: channels within a block
    :param mode: what the blocks decide: layers, patches or channels
    :param granularity: of patches their side, of channels those of a group; 0 of layers
    """

    width: int
    middle: int
    blocks: int
    mode: str
    granularity: int


@dataclasses.dataclass(frozen=True)
class AdaptiveLayout:
    """
    What is fixed for a network.

    :param stem: channels of the first 3x3 convolution, of stride 2
    :raises ConfigurationError: naming the field that is illegal
    """

    resolution: int
    stem: int
    stages: tuple[AdaptiveStageLayout, ...]
    classes: int

    def __post_init__(self) -> None:
        for name in ('resolution', 'stem', 'classes'):
            require_positive(name, getattr(self, name))
        if not self.stages:
            raise ConfigurationError('stages', self.stages, 'at least one stage')
        shrinks = 2 ** (len(self.stages) + 1)
        if self.resolution % shrinks:
            raise ConfigurationError('resolution', self.resolution, f'a multiple of {shrinks}')
        for index, stage in enumerate(self.stages):
            _check_stage(f'stages[{index}]', stage, self.side(index))

    def side(self, stage: int) -> int:
        """Return the height and width of a stage's features."""
        return int(self.resolution // 2 ** (stage + 2))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> AdaptiveLayout:
        """
        Return the layout that a mapping describes.

        :raises ConfigurationError: for a missing, unknown or illegal field.
        """
        require_fields('layout', cls, mapping)
        stages = parts_of('stages', mapping['stages'], AdaptiveStageLayout)
        return cls(**{**mapping, 'stages': stages})

    def to_mapping(self) -> dict[str, Any]:
        """Return the layout as plain lists and numbers."""
        return {**dataclasses.asdict(self), 'stages': [vars(stage) for stage in self.stages]}


def _check_stage(where: str, stage: AdaptiveStageLayout, side: int) -> None:
    for name in ('width', 'middle', 'blocks'):
        require_positive(f'{where}.{name}', getattr(stage, name))
    require_choice(f'{where}.blocks', stage.blocks, tuple(range(1, MOST_BLOCKS + 1)))
    require_choice(f'{where}.mode', stage.mode, MODES)
    granularity = f'{where}.granularity'
    if stage.mode == LAYERS:
        require_choice(granularity, stage.granularity, (0,))
        return
    whole = side if stage.mode == PATCHES else stage.middle
    parts = tuple(part for part in range(1, whole) if whole % part == 0)
    require_choice(granularity, stage.granularity, parts)


@dataclasses.dataclass(frozen=True)
class AdaptiveConfiguration:
    """
    One sub-network.

    :param ways: 1: every block runs as a whole, the network is undivided; 2: each decides by the
        picture what of it runs and what is skipped
    :param threshold: percent, of the probability that something is to run: above it, it does. 50
        is the arg-max, as published; more runs less
    """

    ways: int
    threshold: int
    resolution: int

    @property
    def size(self) -> Size:
        """Return height and width of the input, pixels."""
        return Size(self.resolution, self.resolution)

    def to_mapping(self) -> dict[str, Any]:
        """Return the configuration as plain numbers."""
        return dataclasses.asdict(self)


LAYOUTS: dict[str, AdaptiveLayout] = {
    'adaptive_96x96': AdaptiveLayout(
        resolution=96,
        stem=16,
        stages=tuple(AdaptiveStageLayout(width, width, 3, LAYERS, 0) for width in (32, 64, 128)),
        classes=5,
    ),
}
"""Layouts by name."""
