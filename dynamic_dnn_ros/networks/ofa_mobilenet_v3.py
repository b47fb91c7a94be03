# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Once-for-All MobileNetV3: elastic kernel size, width, depth and resolution.

Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment, ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
import math
import random
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.checks import one_of, require_fields
from dynamic_dnn_ros.networks.contract import Choices, ConfigurationError, DynamicNetwork
from dynamic_dnn_ros.networks.elastic_layers import (
    ElasticBatchNorm2d,
    ElasticConvolution,
    parameter_from,
    plain_convolution,
)
from dynamic_dnn_ros.networks.mobile_blocks import (
    COLOURS,
    FIRST_KERNEL_SIZE,
    BlockPlan,
    activate_block,
    convolution_costs,
    elastic_block,
    elastic_stages,
    extract_block,
    initialise_convolutions,
    shrunk,
    sort_block_channels,
    stage_plans,
)
from dynamic_dnn_ros.networks.mobile_layers import ConvolutionLayer, MobileNetV3
from dynamic_dnn_ros.networks.ofa_layouts import (
    LAYOUTS,
    MobileNetV3Configuration,
    MobileNetV3Layout,
)
from dynamic_dnn_ros.pictures.placement import Size


class OfaMobileNetV3(DynamicNetwork[MobileNetV3Configuration]):
    """The super-network; a fresh one runs its largest sub-network."""

    family = 'ofa_mobilenet_v3'

    def __init__(self, layout: MobileNetV3Layout) -> None:
        super().__init__()
        self.layout = layout
        self.stem = ConvolutionLayer(
            nn.Conv2d(
                COLOURS,
                layout.stem_width,
                FIRST_KERNEL_SIZE,
                layout.stem_stride,
                FIRST_KERNEL_SIZE // 2,
                bias=False,
            ),
            ElasticBatchNorm2d(layout.stem_width),
            nn.Hardswish(),
        )
        self.first_block = elastic_block(
            layout.stem_width,
            layout.stem_width,
            layout.first_block_width,
            (FIRST_KERNEL_SIZE,),
            layout.first_block_stride,
            layout.first_block_activation,
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
        channels = layout.stages[-1].width
        self.final_expand = ConvolutionLayer(
            ElasticConvolution(channels, layout.final_expand_width),
            ElasticBatchNorm2d(layout.final_expand_width),
            nn.Hardswish(),
        )
        self.feature_mix = ElasticConvolution(layout.final_expand_width, layout.feature_width)
        self.feature_activation = nn.Hardswish()
        self.classifier = nn.Linear(layout.feature_width, layout.classes)
        self._initialise()
        self.activate(self.largest())

    @classmethod
    def from_layout(cls, layout: str | Mapping[str, Any]) -> OfaMobileNetV3:
        """Create the network of a layout; see the contract."""
        if isinstance(layout, str):
            if layout not in LAYOUTS:
                raise ConfigurationError('layout', layout, one_of(tuple(LAYOUTS)))
            return cls(LAYOUTS[layout])
        return cls(MobileNetV3Layout.from_mapping(layout))

    def layout_mapping(self) -> dict[str, Any]:
        """Return the layout as plain values."""
        return self.layout.to_mapping()

    def configuration(self, mapping: Mapping[str, Any]) -> MobileNetV3Configuration:
        """Return the legal configuration that a mapping describes; see the contract."""
        return MobileNetV3Configuration.from_mapping(mapping, self.layout)

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Return the choices; each of a list's entries has those of its field."""
        return {
            'kernel_size': self.layout.kernel_sizes,
            'expand_ratio': self.layout.expand_ratios,
            'depth': self.layout.depths,
            'resolution': self.layout.resolutions,
        }

    def uniform(self, values: Mapping[str, int]) -> MobileNetV3Configuration:
        """Return the configuration whose blocks, and stages, are all alike; see the contract."""
        require_fields('values', MobileNetV3Configuration, values)
        configuration = MobileNetV3Configuration(
            kernel_size=(values['kernel_size'],) * self.layout.blocks,
            expand_ratio=(values['expand_ratio'],) * self.layout.blocks,
            depth=(values['depth'],) * len(self.layout.stages),
            resolution=values['resolution'],
        )
        configuration.check(self.layout)
        return configuration

    def sample(
        self, generator: random.Random, within: Choices | None = None
    ) -> MobileNetV3Configuration:
        """Return a random configuration; see the contract."""
        choices = self.choices_within(within)
        blocks = self.layout.blocks
        return MobileNetV3Configuration(
            kernel_size=tuple(generator.choices(choices['kernel_size'], k=blocks)),
            expand_ratio=tuple(generator.choices(choices['expand_ratio'], k=blocks)),
            depth=tuple(generator.choices(choices['depth'], k=len(self.layout.stages))),
            resolution=generator.choice(choices['resolution']),
        )

    def activate(self, configuration: MobileNetV3Configuration) -> None:
        """Make forward run this sub-network: sets numbers, moves no weight."""
        configuration.check(self.layout)
        self._active = configuration
        for plan in self._elastic_plans(configuration):
            activate_block(self._part(plan.name), plan)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of the active sub-network, N x classes."""
        features = self.first_block(self.stem(images))
        for stage, depth in zip(self.stages, self._active.depth):
            for block in islice(stage.children(), depth):
                features = block(features)
        features = self.final_expand(features).mean((2, 3), keepdim=True)
        features = self.feature_activation(self.feature_mix(features))
        logits: torch.Tensor = self.classifier(features.flatten(1))
        return logits

    @torch.no_grad()
    def extract(
        self, configuration: MobileNetV3Configuration, share_weights: bool = False
    ) -> MobileNetV3:
        """Return one sub-network as a static module; see the contract."""
        configuration.check(self.layout)
        stages = [nn.Sequential() for _ in self.layout.stages]
        for plan in self._elastic_plans(configuration):
            stage = stages[int(plan.name.split('.')[1])]
            stage.append(extract_block(self._part(plan.name), plan, share_weights))
        layout = self.layout
        stem, final_expand = self._part('stem'), self._part('final_expand')
        classifier = nn.Linear(layout.feature_width, layout.classes, device='meta')
        classifier.weight = parameter_from(self.classifier.weight, share_weights)
        classifier.bias = parameter_from(self.classifier.bias, share_weights)
        static = MobileNetV3(
            stem=ConvolutionLayer(
                plain_convolution(
                    stem.convolution.weight, stride=layout.stem_stride, share_weights=share_weights
                ),
                stem.batch_norm.extract(layout.stem_width, share_weights),
                nn.Hardswish(),
            ),
            first_block=extract_block(self.first_block, self._first_block_plan(), share_weights),
            stages=nn.Sequential(*stages),
            final_expand=ConvolutionLayer(
                final_expand.convolution.extract(
                    layout.stages[-1].width, layout.final_expand_width, share_weights
                ),
                final_expand.batch_norm.extract(layout.final_expand_width, share_weights),
                nn.Hardswish(),
            ),
            feature_mix=self.feature_mix.extract(
                layout.final_expand_width, layout.feature_width, share_weights
            ),
            classifier=classifier,
        )
        return static.eval()

    def multiply_adds(self, configuration: MobileNetV3Configuration) -> int:
        """Return the multiply-adds of one picture, from the plan alone."""
        return sum(multiply_adds for multiply_adds, _ in self._costs(configuration))

    def parameter_count(self, configuration: MobileNetV3Configuration) -> int:
        """Return the number of trainable parameters, from the plan alone."""
        layers = sum(parameters for _, parameters in self._costs(configuration))
        return layers + sum(2 * channels for _, channels in self._batch_norms(configuration))

    def layer_count(self, configuration: MobileNetV3Configuration) -> int:
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

    def _initialise(self) -> None:
        """Draw fan-out normal weights (He et al., 2015), as the published networks do."""
        initialise_convolutions(self)
        nn.init.normal_(self.classifier.weight, 0.0, 1.0 / math.sqrt(self.layout.feature_width))
        nn.init.zeros_(self.classifier.bias)

    def _part(self, name: str) -> Any:
        """Return a module. Any: its layers are elastic ones, which its class does not say."""
        return self.get_submodule(name)

    def _first_block_plan(self) -> BlockPlan:
        return BlockPlan(
            name='first_block',
            in_channels=self.layout.stem_width,
            hidden_channels=self.layout.stem_width,
            out_channels=self.layout.first_block_width,
            kernel_size=FIRST_KERNEL_SIZE,
            stride=self.layout.first_block_stride,
            expands=False,
            squeeze_excitation=False,
        )

    def _elastic_plans(self, configuration: MobileNetV3Configuration) -> Iterator[BlockPlan]:
        return stage_plans(
            self.layout.stages,
            self.layout.blocks_per_stage,
            self.layout.first_block_width,
            configuration.depth,
            configuration.expand_ratio,
            configuration.kernel_size,
        )

    def _plans(self, configuration: MobileNetV3Configuration) -> Iterator[BlockPlan]:
        yield self._first_block_plan()
        yield from self._elastic_plans(configuration)

    def _batch_norms(self, configuration: MobileNetV3Configuration) -> Iterator[tuple[str, int]]:
        yield 'stem.batch_norm', self.layout.stem_width
        for plan in self._plans(configuration):
            yield from plan.batch_norms()
        yield 'final_expand.batch_norm', self.layout.final_expand_width

    def _costs(self, configuration: MobileNetV3Configuration) -> Iterator[tuple[int, int]]:
        """Yield multiply-adds and parameters of each convolution and linear layer."""
        configuration.check(self.layout)
        layout = self.layout

        size = shrunk(configuration.size, layout.stem_stride)
        yield convolution_costs(COLOURS * layout.stem_width * FIRST_KERNEL_SIZE**2, size)
        for plan in self._plans(configuration):
            yield from plan.costs(size)
            size = shrunk(size, plan.stride)
        yield convolution_costs(layout.stages[-1].width * layout.final_expand_width, size)
        yield convolution_costs(layout.final_expand_width * layout.feature_width, Size(1, 1))
        weights = layout.feature_width * layout.classes
        yield weights, weights + layout.classes
