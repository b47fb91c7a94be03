# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is fixed for a Once-for-All detector, what its sub-networks choose, and one choice."""

from __future__ import annotations

import dataclasses
import math

from dynamic_dnn_ros.networks.checks import require_choice, require_positive
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.elastic_layouts import (
    ElasticConfiguration,
    ElasticLayout,
    StageLayout,
    require_odd,
)
from dynamic_dnn_ros.networks.mobile_layers import ACTIVATIONS
from dynamic_dnn_ros.pictures.placement import Size

STEM_STRIDE = 2
STRIDES = (8, 16, 32)
"""Of the points at which objects are looked for, pixels of the input."""


@dataclasses.dataclass(frozen=True)
class DetectorLayout(ElasticLayout):
    """
    What is fixed for a super-network, and the choices that its sub-networks have.

    The stages shrink the picture to the strides 8, 16 and 32, the last of each stride feeds the
    pyramid. Each choice is a tuple in increasing order; heights and widths, of the input, are
    multiples of 32 and chosen independently.

    :param pyramid_width: channels of the pyramid and the heads.
    :param pyramid_kernel_size: of the depthwise convolutions there.
    :param head_blocks: separable convolutions between the pyramid and the answers.
    :param distance_steps: the longest distance from a point to the side of a box, in strides of
        the point; the answer is a distribution over the whole numbers up to it (Li et al.,
        Generalized Focal Loss, NeurIPS 2020).
    :raises ConfigurationError: naming the field that is illegal.
    """

    input_choices = {'height': 'heights', 'width': 'widths'}

    stem_width: int
    first_block_width: int
    activation: str
    stages: tuple[StageLayout, ...]
    pyramid_width: int
    pyramid_kernel_size: int
    head_blocks: int
    distance_steps: int
    kernel_sizes: tuple[int, ...]
    expand_ratios: tuple[int, ...]
    depths: tuple[int, ...]
    heights: tuple[int, ...]
    widths: tuple[int, ...]
    classes: int

    def __post_init__(self) -> None:
        for name in (
            'stem_width',
            'first_block_width',
            'pyramid_width',
            'head_blocks',
            'distance_steps',
            'classes',
        ):
            require_positive(name, getattr(self, name))
        require_choice('activation', self.activation, tuple(ACTIVATIONS))
        self._check_choices()
        require_odd('pyramid_kernel_size', self.pyramid_kernel_size)
        for name, sides in (('heights', self.heights), ('widths', self.widths)):
            for side in sides:
                if side % STRIDES[-1]:
                    raise ConfigurationError(name, side, f'a multiple of {STRIDES[-1]}')
        self._check_stages()
        strides = self._strides()
        if not strides or strides[-1] != STRIDES[-1]:
            raise ConfigurationError(
                'stages', [stage.stride for stage in self.stages], 'four of stride 2, of all'
            )

    def _strides(self) -> list[int]:
        """Return the stride after each stage, that of the stem included."""
        strides = [STEM_STRIDE]
        for stage in self.stages:
            strides.append(strides[-1] * stage.stride)
        return strides[1:]

    @property
    def taps(self) -> tuple[int, ...]:
        """Return the stages that feed the pyramid: the last one of each of its strides."""
        strides = self._strides()
        return tuple(len(strides) - 1 - strides[::-1].index(stride) for stride in STRIDES)

    @property
    def outputs(self) -> int:
        """Return how many numbers each point answers: classes, and four distributions."""
        return self.classes + 4 * (self.distance_steps + 1)


@dataclasses.dataclass(frozen=True)
class DetectorConfiguration(ElasticConfiguration):
    """One sub-network; see `ElasticConfiguration`. Height and width of the input, pixels."""

    kernel_size: tuple[int, ...]
    expand_ratio: tuple[int, ...]
    depth: tuple[int, ...]
    height: int
    width: int

    @property
    def size(self) -> Size:
        """Return the size of the input."""
        return Size(self.height, self.width)


def point_count(size: Size) -> int:
    """Return at how many points of an input a detector looks for objects."""
    return sum(
        math.ceil(size.height / stride) * math.ceil(size.width / stride) for stride in STRIDES
    )


def _with_sides_up_to(side: int) -> DetectorLayout:
    """Return the widths of EfficientNet-Lite0 without its last stage: its weights fit."""
    sides = tuple(range(128, side + 1, 32))
    return DetectorLayout(
        stem_width=32,
        first_block_width=16,
        activation='relu',
        stages=(
            StageLayout(24, 2, 'relu', False),
            StageLayout(40, 2, 'relu', False),
            StageLayout(80, 2, 'relu', False),
            StageLayout(112, 1, 'relu', False),
            StageLayout(192, 2, 'relu', False),
        ),
        pyramid_width=96,
        pyramid_kernel_size=5,
        head_blocks=2,
        distance_steps=7,
        kernel_sizes=(3, 5),
        expand_ratios=(3, 4, 6),
        depths=(1, 2),
        heights=sides,
        widths=sides,
        classes=80,
    )


LAYOUTS: dict[str, DetectorLayout] = {
    'ofa_detector_352': _with_sides_up_to(352),
    'ofa_detector_416': _with_sides_up_to(416),
    'ofa_detector_96': DetectorLayout(
        stem_width=16,
        first_block_width=16,
        activation='h_swish',
        stages=(
            StageLayout(16, 2, 'h_swish', False),
            StageLayout(24, 2, 'h_swish', False),
            StageLayout(48, 2, 'h_swish', True),
            StageLayout(64, 2, 'h_swish', False),
        ),
        pyramid_width=32,
        pyramid_kernel_size=3,
        head_blocks=1,
        distance_steps=7,
        kernel_sizes=(3, 5),
        expand_ratios=(2, 3),
        depths=(1, 2),
        heights=(64, 96),
        widths=(64, 96),
        classes=3,
    ),
}
"""Layouts by name: two for cameras, and a small one for trying things."""
