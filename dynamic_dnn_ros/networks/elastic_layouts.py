# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the layouts of all Once-for-All families have in common, and their configurations."""

from __future__ import annotations

import abc
from collections.abc import Mapping
import dataclasses
from typing import Any, ClassVar, TypeVar

from dynamic_dnn_ros.networks.checks import (
    as_sequence,
    require_choice,
    require_fields,
    require_positive,
)
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.mobile_layers import ACTIVATIONS
from dynamic_dnn_ros.pictures.placement import Size

LayoutT = TypeVar('LayoutT', bound='ElasticLayout')
ElasticConfigurationT = TypeVar('ElasticConfigurationT', bound='ElasticConfiguration')

_CHOICES_OF_BLOCKS = ('kernel_sizes', 'expand_ratios', 'depths')


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


class ElasticLayout:
    """
    What is fixed for a super-network, and the choices that its sub-networks have.

    A layout is a frozen dataclass with these fields and those of its family. Each choice is a
    tuple in increasing order. Widths are channels.
    """

    #: The choices of the input: field of a configuration -> field of the layout.
    input_choices: ClassVar[Mapping[str, str]]

    stem_width: int
    first_block_width: int
    stages: tuple[StageLayout, ...]
    kernel_sizes: tuple[int, ...]
    expand_ratios: tuple[int, ...]
    depths: tuple[int, ...]
    classes: int

    @classmethod
    def from_mapping(cls: type[LayoutT], mapping: Mapping[str, Any]) -> LayoutT:
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
        for name in cls._choice_names():
            values[name] = tuple(as_sequence(name, mapping[name]))
        values['stages'] = tuple(stages)
        return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """Return the layout as plain lists and numbers."""
        return {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
        }

    @property
    def blocks_per_stage(self) -> int:
        """Return the number of blocks that each stage has at its greatest depth."""
        return self.depths[-1]

    @property
    def blocks(self) -> int:
        """Return the number of elastic blocks, the length of the lists in a configuration."""
        return self.blocks_per_stage * len(self.stages)

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Return the choices by field of a configuration; a list's entries have those of it."""
        inputs = {name: getattr(self, field) for name, field in self.input_choices.items()}
        return {
            'kernel_size': self.kernel_sizes,
            'expand_ratio': self.expand_ratios,
            'depth': self.depths,
            **inputs,
        }

    @classmethod
    def _choice_names(cls) -> tuple[str, ...]:
        return (*_CHOICES_OF_BLOCKS, *cls.input_choices.values())

    def _check_choices(self) -> None:
        for name in self._choice_names():
            choices = getattr(self, name)
            if not choices or list(choices) != sorted(set(choices)):
                raise ConfigurationError(name, choices, 'a list in increasing order')
            for choice in choices:
                require_positive(name, choice)
        for kernel_size in self.kernel_sizes:
            require_odd('kernel_sizes', kernel_size)

    def _check_stages(self) -> None:
        for index, stage in enumerate(self.stages):
            prefix = f'stages[{index}]'
            require_positive(f'{prefix}.width', stage.width)
            require_choice(f'{prefix}.stride', stage.stride, (1, 2))
            require_choice(f'{prefix}.activation', stage.activation, tuple(ACTIVATIONS))
            require_choice(f'{prefix}.squeeze_excitation', stage.squeeze_excitation, (False, True))
            require_choice(f'{prefix}.fused', stage.fused, (False, True))


class ElasticConfiguration(abc.ABC):
    """
    One sub-network: a frozen dataclass with these fields and those of the input, by its family.

    `kernel_size` and `expand_ratio` have one entry a block, all stages after each other at their
    greatest depth; entries of blocks beyond a stage's depth have no effect, nor have kernel sizes
    of fused blocks. `depth` has one entry a stage.
    """

    kernel_size: tuple[int, ...]
    expand_ratio: tuple[int, ...]
    depth: tuple[int, ...]

    @property
    @abc.abstractmethod
    def size(self) -> Size:
        """Return the size of the input."""

    @classmethod
    def from_mapping(
        cls: type[ElasticConfigurationT], mapping: Mapping[str, Any], layout: ElasticLayout
    ) -> ElasticConfigurationT:
        """
        Return the legal configuration that a mapping describes.

        :raises ConfigurationError: naming the field, its value and the allowed values.
        """
        require_fields('configuration', cls, mapping)
        lists = {
            name: as_sequence(name, mapping[name])
            for name in ('kernel_size', 'expand_ratio', 'depth')
        }
        configuration = cls(**{**mapping, **lists})
        configuration.check(layout)
        return configuration

    def check(self, layout: ElasticLayout) -> None:
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
        for name, field in layout.input_choices.items():
            require_choice(name, getattr(self, name), getattr(layout, field))

    def to_mapping(self) -> dict[str, Any]:
        """Return the configuration as plain lists and numbers."""
        return {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
        }


def require_odd(name: str, value: int) -> None:
    """Check that a number is odd."""
    if value % 2 == 0:
        raise ConfigurationError(name, value, 'an odd number')


def _plain(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    return [dataclasses.asdict(item) if isinstance(item, StageLayout) else item for item in value]
