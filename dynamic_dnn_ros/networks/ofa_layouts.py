# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is fixed for a Once-for-All MobileNetV3, what its sub-networks choose, and one choice."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from dynamic_dnn_ros.networks.checks import require_choice, require_positive
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.elastic_layers import make_divisible
from dynamic_dnn_ros.networks.elastic_layouts import (
    ElasticConfiguration,
    ElasticLayout,
    StageLayout,
)
from dynamic_dnn_ros.networks.mobile_layers import ACTIVATIONS
from dynamic_dnn_ros.pictures.placement import Size


@dataclasses.dataclass(frozen=True)
class MobileNetV3Layout(ElasticLayout):
    """
    What is fixed for a super-network, and the choices that its sub-networks have.

    Widths are channels after the width multiplier; `feature_width` is that of the layer before
    the classifier. Each choice is a tuple in increasing order.

    :raises ConfigurationError: naming the field that is illegal.
    """

    input_choices = {'resolution': 'resolutions'}

    stem_width: int
    stem_stride: int
    first_block_width: int
    first_block_stride: int
    first_block_activation: str
    stages: tuple[StageLayout, ...]
    final_expand_width: int
    feature_width: int
    kernel_sizes: tuple[int, ...]
    expand_ratios: tuple[int, ...]
    depths: tuple[int, ...]
    resolutions: tuple[int, ...]
    classes: int

    def __post_init__(self) -> None:
        for name in ('stem_width', 'first_block_width', 'final_expand_width', 'feature_width'):
            require_positive(name, getattr(self, name))
        require_positive('classes', self.classes)
        for name in ('stem_stride', 'first_block_stride'):
            require_choice(name, getattr(self, name), (1, 2))
        require_choice('first_block_activation', self.first_block_activation, tuple(ACTIVATIONS))
        self._check_choices()
        if not self.stages:
            raise ConfigurationError('stages', self.stages, 'at least one stage')
        self._check_stages()


@dataclasses.dataclass(frozen=True)
class MobileNetV3Configuration(ElasticConfiguration):
    """
    One sub-network; see `ElasticConfiguration`. For the published layouts there are 20 blocks.

    `resolution` is height and width of the input, pixels.
    """

    kernel_size: tuple[int, ...]
    expand_ratio: tuple[int, ...]
    depth: tuple[int, ...]
    resolution: int

    @property
    def size(self) -> Size:
        """Return height and width of the input, pixels."""
        return Size(self.resolution, self.resolution)


def _published_layout(width_multiplier: float, resolutions: Sequence[int]) -> MobileNetV3Layout:
    def width(base: int) -> int:
        return make_divisible(base * width_multiplier)

    rows = (
        (24, 2, 'relu', False),
        (40, 2, 'relu', True),
        (80, 2, 'h_swish', False),
        (112, 1, 'h_swish', True),
        (160, 2, 'h_swish', True),
    )
    return MobileNetV3Layout(
        stem_width=width(16),
        stem_stride=2,
        first_block_width=width(16),
        first_block_stride=1,
        first_block_activation='relu',
        stages=tuple(
            StageLayout(width(base), stride, activation, squeeze_excitation)
            for base, stride, activation, squeeze_excitation in rows
        ),
        final_expand_width=width(960),
        feature_width=width(1280),
        kernel_sizes=(3, 5, 7),
        expand_ratios=(3, 4, 6),
        depths=(2, 3, 4),
        resolutions=tuple(resolutions),
        classes=1000,
    )


LAYOUTS: dict[str, MobileNetV3Layout] = {
    'ofa_mbv3_d234_e346_k357_w1.0': _published_layout(1.0, range(128, 225, 4)),
    'ofa_mbv3_d234_e346_k357_w1.2': _published_layout(1.2, range(160, 225, 4)),
    'ofa_mbv3_32x32': MobileNetV3Layout(
        stem_width=16,
        stem_stride=1,
        first_block_width=24,
        first_block_stride=2,
        first_block_activation='relu',
        stages=(
            StageLayout(24, 1, 'relu', False, fused=True),
            StageLayout(48, 2, 'relu', False, fused=True),
            StageLayout(72, 1, 'h_swish', True),
            StageLayout(128, 2, 'h_swish', True),
        ),
        final_expand_width=384,
        feature_width=512,
        kernel_sizes=(3, 5),
        expand_ratios=(2, 3, 4),
        depths=(1, 2, 3, 4),
        resolutions=(20, 24, 28, 32),
        classes=10,
    ),
}
"""Layouts by name: the two published for ImageNet, and one for pictures of 32x32."""
