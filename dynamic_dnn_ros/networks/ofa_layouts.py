# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is fixed for a Once-for-All MobileNetV3, what its sub-networks choose, and one choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from dynamic_dnn_ros.networks.checks import (
    as_sequence,
    require_choice,
    require_fields,
    require_positive,
)
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.elastic_layers import make_divisible
from dynamic_dnn_ros.networks.mobile_layers import ACTIVATIONS
from dynamic_dnn_ros.pictures.placement import Size


@dataclasses.dataclass(frozen=True)
class StageLayout:
    """
    One stage: blocks of one width, the first of which may halve the size of the picture.

    The blocks of a fused stage expand by a dense 3x3 convolution in place of a 1x1 and a depthwise
    one (Tan and Le, EfficientNetV2, ICML 2021, section 3.2): more multiply-adds that a processor
    gets through faster, where channels are few. They have no elastic kernel.
    """

    width: int
    stride: int
    activation: str
    squeeze_excitation: bool
    fused: bool = False


@dataclasses.dataclass(frozen=True)
class MobileNetV3Layout:
    """
    What is fixed for a super-network, and the choices that its sub-networks have.

    Widths are channels after the width multiplier; `feature_width` is that of the layer before
    the classifier. Each choice is a tuple in increasing order.

    :raises ConfigurationError: naming the field that is illegal.
    """

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
        for name in ('kernel_sizes', 'expand_ratios', 'depths', 'resolutions'):
            choices = getattr(self, name)
            if not choices or list(choices) != sorted(set(choices)):
                raise ConfigurationError(name, choices, 'a list in increasing order')
            for choice in choices:
                require_positive(name, choice)
        for kernel_size in self.kernel_sizes:
            if kernel_size % 2 == 0:
                raise ConfigurationError('kernel_sizes', kernel_size, 'an odd number')
        if not self.stages:
            raise ConfigurationError('stages', self.stages, 'at least one stage')
        for index, stage in enumerate(self.stages):
            prefix = f'stages[{index}]'
            require_positive(f'{prefix}.width', stage.width)
            require_choice(f'{prefix}.stride', stage.stride, (1, 2))
            require_choice(f'{prefix}.activation', stage.activation, tuple(ACTIVATIONS))
            require_choice(f'{prefix}.squeeze_excitation', stage.squeeze_excitation, (False, True))
            require_choice(f'{prefix}.fused', stage.fused, (False, True))

    @property
    def blocks_per_stage(self) -> int:
        """Return the number of blocks that each stage has at its greatest depth."""
        return self.depths[-1]

    @property
    def blocks(self) -> int:
        """Return the number of elastic blocks, the length of the lists in a configuration."""
        return self.blocks_per_stage * len(self.stages)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> MobileNetV3Layout:
        """
        Return the layout that a mapping describes.

        :raises ConfigurationError: for a missing, unknown or illegal field.
        """
        require_fields('layout', cls, mapping)
        values: dict[str, Any] = dict(mapping)
        stages = []
        for index, stage in enumerate(as_sequence('stages', mapping['stages'])):
            if not isinstance(stage, Mapping):
                raise ConfigurationError(f'stages[{index}]', stage, 'a mapping')
            stage = {'fused': False, **stage}
            require_fields(f'stages[{index}]', StageLayout, stage)
            stages.append(StageLayout(**stage))
        for name in ('kernel_sizes', 'expand_ratios', 'depths', 'resolutions'):
            values[name] = tuple(as_sequence(name, mapping[name]))
        values['stages'] = tuple(stages)
        return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """Return the layout as plain lists and numbers."""
        return {
            key: [dict(item) if isinstance(item, dict) else item for item in value]
            if isinstance(value, tuple)
            else value
            for key, value in dataclasses.asdict(self).items()
        }


@dataclasses.dataclass(frozen=True)
class MobileNetV3Configuration:
    """
    One sub-network.

    `kernel_size` and `expand_ratio` have one entry a block, all stages after each other at their
    greatest depth, so 20 for the published layouts; entries of blocks beyond a stage's depth have
    no effect, nor have kernel sizes of fused blocks. `depth` has one entry a stage.
    """

    kernel_size: tuple[int, ...]
    expand_ratio: tuple[int, ...]
    depth: tuple[int, ...]
    resolution: int

    @property
    def size(self) -> Size:
        """Return height and width of the input, pixels."""
        return Size(self.resolution, self.resolution)

    @classmethod
    def from_mapping(
        cls, mapping: Mapping[str, Any], layout: MobileNetV3Layout
    ) -> MobileNetV3Configuration:
        """
        Return the legal configuration that a mapping describes.

        :raises ConfigurationError: naming the field, its value and the allowed values.
        """
        require_fields('configuration', cls, mapping)
        configuration = cls(
            kernel_size=as_sequence('kernel_size', mapping['kernel_size']),
            expand_ratio=as_sequence('expand_ratio', mapping['expand_ratio']),
            depth=as_sequence('depth', mapping['depth']),
            resolution=mapping['resolution'],
        )
        configuration.check(layout)
        return configuration

    def check(self, layout: MobileNetV3Layout) -> None:
        """
        Check the configuration against a layout.

        :raises ConfigurationError: naming the field, its value and the allowed values.
        """
        for name, values, length, choices in (
            ('kernel_size', self.kernel_size, layout.blocks, layout.kernel_sizes),
            ('expand_ratio', self.expand_ratio, layout.blocks, layout.expand_ratios),
            ('depth', self.depth, len(layout.stages), layout.depths),
        ):
            if len(values) != length:
                raise ConfigurationError(name, list(values), f'a list of {length} numbers')
            for index, value in enumerate(values):
                require_choice(f'{name}[{index}]', value, choices)
        require_choice('resolution', self.resolution, layout.resolutions)

    def to_mapping(self) -> dict[str, Any]:
        """Return the configuration as plain lists and numbers."""
        return {
            'kernel_size': list(self.kernel_size),
            'expand_ratio': list(self.expand_ratio),
            'depth': list(self.depth),
            'resolution': self.resolution,
        }


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
