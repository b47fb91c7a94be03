# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the Once-for-All families have in common: a trunk of elastic inverted bottlenecks.

Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment, ICLR 2020.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
import random
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import nn

from dynamic_dnn_ros.networks.checks import one_of, require_fields
from dynamic_dnn_ros.networks.contract import Choices, ConfigurationError, DynamicNetwork
from dynamic_dnn_ros.networks.elastic_layers import ElasticBatchNorm2d, plain_convolution
from dynamic_dnn_ros.networks.elastic_layouts import ElasticConfiguration, ElasticLayout
from dynamic_dnn_ros.networks.mobile_blocks import (
    COLOURS,
    FIRST_KERNEL_SIZE,
    BlockPlan,
    Costs,
    activate_block,
    convolution_costs,
    elastic_block,
    elastic_stages,
    extract_block,
    shrunk,
    sort_block_channels,
    stage_plans,
)
from dynamic_dnn_ros.networks.mobile_layers import ConvolutionLayer, MobileBlock, activation_named

LayoutT = TypeVar('LayoutT', bound=ElasticLayout)
ConfigurationT = TypeVar('ConfigurationT', bound=ElasticConfiguration)


class Beginning(NamedTuple):
    """The strides and activations of what comes before the elastic stages."""

    stem_stride: int
    stem_activation: str
    first_block_stride: int
    first_block_activation: str


class Trunk(NamedTuple):
    """The static modules of one sub-network's trunk."""

    stem: ConvolutionLayer
    first_block: MobileBlock
    stages: nn.Sequential


class ElasticMobileNetwork(DynamicNetwork[ConfigurationT], Generic[LayoutT, ConfigurationT]):
    """
    Stem, first block and elastic stages; a family adds what comes behind them.

    A fresh network of a family runs its largest sub-network.
    """

    layouts: ClassVar[Mapping[str, ElasticLayout]]
    """The layouts that the family supplies, by name."""

    layout_class: ClassVar[type[ElasticLayout]]
    configuration_class: ClassVar[type[ElasticConfiguration]]

    def __init__(self, layout: LayoutT, beginning: Beginning) -> None:
        super().__init__()
        self.layout = layout
        self._beginning = beginning
        self.stem = ConvolutionLayer(
            nn.Conv2d(
                COLOURS,
                layout.stem_width,
                FIRST_KERNEL_SIZE,
                beginning.stem_stride,
                FIRST_KERNEL_SIZE // 2,
                bias=False,
            ),
            ElasticBatchNorm2d(layout.stem_width),
            activation_named(beginning.stem_activation),
        )
        self.first_block = elastic_block(
            layout.stem_width,
            layout.stem_width,
            layout.first_block_width,
            (FIRST_KERNEL_SIZE,),
            beginning.first_block_stride,
            beginning.first_block_activation,
            squeeze_excitation=False,
            expands=False,
        )
        self.stages = elastic_stages(
            layout.stages,
            layout.blocks_per_stage,
            layout.first_block_width,
            layout.expand_ratios[-1],
            layout.kernel_sizes,
        )

    @classmethod
    def from_layout(cls, layout: str | Mapping[str, Any]) -> ElasticMobileNetwork[Any, Any]:
        """Create the network of a layout; see the contract."""
        # A family is made from its layout alone.
        make: Callable[[ElasticLayout], ElasticMobileNetwork[Any, Any]] = cls
        if not isinstance(layout, str):
            return make(cls.layout_class.from_mapping(layout))
        if layout not in cls.layouts:
            raise ConfigurationError('layout', layout, one_of(tuple(cls.layouts)))
        return make(cls.layouts[layout])

    def layout_mapping(self) -> dict[str, Any]:
        """Return the layout as plain values."""
        return self.layout.to_mapping()

    def configuration(self, mapping: Mapping[str, Any]) -> ConfigurationT:
        """Return the legal configuration that a mapping describes; see the contract."""
        made: Any = self.configuration_class.from_mapping(mapping, self.layout)
        return made

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Return the choices; each of a list's entries has those of its field."""
        return self.layout.choices()

    def uniform(self, values: Mapping[str, int]) -> ConfigurationT:
        """Return the configuration whose blocks, and stages, are all alike; see the contract."""
        require_fields('values', self.configuration_class, values)
        blocks = self.layout.blocks
        lists = {
            'kernel_size': (values['kernel_size'],) * blocks,
            'expand_ratio': (values['expand_ratio'],) * blocks,
            'depth': (values['depth'],) * len(self.layout.stages),
        }
        return self.configuration({**values, **lists})

    def sample(self, generator: random.Random, within: Choices | None = None) -> ConfigurationT:
        """Return a random configuration; see the contract."""
        choices = self.choices_within(within)
        blocks = self.layout.blocks
        lists = {
            'kernel_size': generator.choices(choices['kernel_size'], k=blocks),
            'expand_ratio': generator.choices(choices['expand_ratio'], k=blocks),
            'depth': generator.choices(choices['depth'], k=len(self.layout.stages)),
        }
        inputs = {name: generator.choice(choices[name]) for name in self.layout.input_choices}
        return self.configuration({**lists, **inputs})

    def activate(self, configuration: ConfigurationT) -> None:
        """Make forward run this sub-network: sets numbers, moves no weight."""
        configuration.check(self.layout)
        self._active = configuration
        for plan in self._elastic_plans(configuration):
            activate_block(self._part(plan.name), plan)

    def multiply_adds(self, configuration: ConfigurationT) -> int:
        """Return the multiply-adds of one picture, from the plan alone."""
        return sum(multiply_adds for multiply_adds, _ in self._costs(configuration))

    def parameter_count(self, configuration: ConfigurationT) -> int:
        """Return the number of trainable parameters, from the plan alone."""
        layers = sum(parameters for _, parameters in self._costs(configuration))
        return layers + sum(2 * channels for _, channels in self._batch_norms(configuration))

    def layer_count(self, configuration: ConfigurationT) -> int:
        """Return the number of convolutions and linear layers."""
        return sum(1 for _ in self._costs(configuration))

    def active_batch_norms(self) -> Iterator[tuple[str, nn.BatchNorm2d, int]]:
        """Yield name, module and number of channels of each active batch-norm layer."""
        for name, channels in self._batch_norms(self._active):
            module = self.get_submodule(name)
            assert isinstance(module, nn.BatchNorm2d)
            yield name, module, channels

    @torch.no_grad()
    def sort_channels(self, trained: Choices | None = None) -> None:
        """
        Sort the channels inside each bottleneck by importance, the most important first.

        Importance is the L1 norm of the weights of the following point-linear convolution, as in
        the authors' code. As there, channels of a width that is trained already stay in front of
        the others, so that sub-networks of that width do not change.
        """
        ratios = (trained or {}).get('expand_ratio', ())
        for plan in self._elastic_plans(self.largest()):
            sort_block_channels(self._part(plan.name), plan.in_channels, ratios)

    # For the families.

    @abc.abstractmethod
    def _costs(self, configuration: ConfigurationT) -> Iterator[Costs]:
        """
        Yield multiply-adds and parameters of each convolution and linear layer.

        :raises ConfigurationError: if the configuration is illegal for the layout.
        """

    @abc.abstractmethod
    def _batch_norms(self, configuration: ConfigurationT) -> Iterator[tuple[str, int]]:
        """Yield name and active channels of each batch-norm layer."""

    def _part(self, name: str) -> Any:
        """Return a module. Any: its layers are elastic ones, which its class does not say."""
        return self.get_submodule(name)

    def _trunk_batch_norms(self, configuration: ConfigurationT) -> Iterator[tuple[str, int]]:
        yield 'stem.batch_norm', self.layout.stem_width
        for plan in self._plans(configuration):
            yield from plan.batch_norms()

    def _trunk_costs(self, configuration: ConfigurationT) -> Iterator[Costs]:
        size = shrunk(configuration.size, self._beginning.stem_stride)
        yield convolution_costs(COLOURS * self.layout.stem_width * FIRST_KERNEL_SIZE**2, size)
        for plan in self._plans(configuration):
            yield from plan.costs(size)
            size = shrunk(size, plan.stride)

    def _extract_trunk(self, configuration: ConfigurationT, share_weights: bool) -> Trunk:
        configuration.check(self.layout)
        stages = [nn.Sequential() for _ in self.layout.stages]
        for plan in self._elastic_plans(configuration):
            stage = stages[int(plan.name.split('.')[1])]
            stage.append(extract_block(self._part(plan.name), plan, share_weights))
        stem = self._part('stem')
        convolution = plain_convolution(
            stem.convolution.weight,
            stride=self._beginning.stem_stride,
            share_weights=share_weights,
        )
        return Trunk(
            ConvolutionLayer(
                convolution,
                stem.batch_norm.extract(self.layout.stem_width, share_weights),
                activation_named(self._beginning.stem_activation),
            ),
            extract_block(self.first_block, self._first_block_plan(), share_weights),
            nn.Sequential(*stages),
        )

    def _first_block_plan(self) -> BlockPlan:
        return BlockPlan(
            name='first_block',
            in_channels=self.layout.stem_width,
            hidden_channels=self.layout.stem_width,
            out_channels=self.layout.first_block_width,
            kernel_size=FIRST_KERNEL_SIZE,
            stride=self._beginning.first_block_stride,
            expands=False,
            squeeze_excitation=False,
        )

    def _elastic_plans(self, configuration: ConfigurationT) -> Iterator[BlockPlan]:
        return stage_plans(
            self.layout.stages,
            self.layout.blocks_per_stage,
            self.layout.first_block_width,
            configuration.depth,
            configuration.expand_ratio,
            configuration.kernel_size,
        )

    def _plans(self, configuration: ConfigurationT) -> Iterator[BlockPlan]:
        yield self._first_block_plan()
        yield from self._elastic_plans(configuration)
