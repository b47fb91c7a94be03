# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Once-for-All MobileNetV3: elastic kernel size, width, depth and resolution.

Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment, ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
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
    ElasticDepthwiseConvolution,
    expanded_channels,
    parameter_from,
    plain_convolution,
    squeezed_channels,
)
from dynamic_dnn_ros.networks.mobile_layers import (
    ConvolutionLayer,
    MobileBlock,
    MobileNetV3,
    SqueezeExcitation,
    activation_named,
)
from dynamic_dnn_ros.networks.ofa_layouts import (
    LAYOUTS,
    MobileNetV3Configuration,
    MobileNetV3Layout,
)

_COLOURS = 3
_FIRST_KERNEL_SIZE = 3
_FUSED_KERNEL_SIZE = 3


@dataclasses.dataclass(frozen=True)
class _BlockPlan:
    """A block of one sub-network: its module's name and every number that shapes it."""

    name: str
    in_channels: int
    hidden_channels: int
    out_channels: int
    kernel_size: int
    stride: int
    expands: bool
    squeeze_excitation: bool
    fused: bool = False


class OfaMobileNetV3(DynamicNetwork[MobileNetV3Configuration]):
    """The super-network; a fresh one runs its largest sub-network."""

    family = 'ofa_mobilenet_v3'

    def __init__(self, layout: MobileNetV3Layout) -> None:
        super().__init__()
        self.layout = layout
        self.stem = ConvolutionLayer(
            nn.Conv2d(
                _COLOURS,
                layout.stem_width,
                _FIRST_KERNEL_SIZE,
                layout.stem_stride,
                _FIRST_KERNEL_SIZE // 2,
                bias=False,
            ),
            ElasticBatchNorm2d(layout.stem_width),
            nn.Hardswish(),
        )
        self.first_block = _elastic_block(
            layout.stem_width,
            layout.stem_width,
            layout.first_block_width,
            (_FIRST_KERNEL_SIZE,),
            layout.first_block_stride,
            layout.first_block_activation,
            squeeze_excitation=False,
            expands=False,
        )
        self.stages = nn.ModuleList()
        channels = layout.first_block_width
        for stage in layout.stages:
            blocks = nn.ModuleList()
            for index in range(layout.blocks_per_stage):
                blocks.append(
                    _elastic_block(
                        channels,
                        expanded_channels(channels, layout.expand_ratios[-1]),
                        stage.width,
                        layout.kernel_sizes,
                        stage.stride if index == 0 else 1,
                        stage.activation,
                        stage.squeeze_excitation,
                        expands=True,
                        fused=stage.fused,
                    )
                )
                channels = stage.width
            self.stages.append(blocks)
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
            block = self._part(plan.name)
            block.expand.convolution.active_out_channels = plan.hidden_channels
            if block.depthwise is not None:
                block.depthwise.convolution.active_kernel_size = plan.kernel_size
            if block.squeeze_excitation is not None:
                gate = block.squeeze_excitation
                gate.reduce.active_out_channels = squeezed_channels(plan.hidden_channels)
                gate.expand.active_out_channels = plan.hidden_channels

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
            stage.append(_extract_block(self._part(plan.name), plan, share_weights))
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
            first_block=_extract_block(self.first_block, self._first_block_plan(), share_weights),
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
            block = self._part(plan.name)
            widths = [expanded_channels(plan.in_channels, ratio) for ratio in ratios]
            order = _by_importance(block.project.convolution.weight, widths)
            rows: list[torch.Tensor] = []
            columns = [block.project.convolution.weight]
            for layer in (block.expand, block.depthwise):
                if layer is not None:
                    rows += [
                        layer.convolution.weight,
                        layer.batch_norm.weight,
                        layer.batch_norm.bias,
                        layer.batch_norm.running_mean,
                        layer.batch_norm.running_var,
                    ]
            if block.squeeze_excitation is not None:
                gate = block.squeeze_excitation
                rows += [gate.expand.weight, gate.expand.bias]
                columns.append(gate.reduce.weight)
                self._sort_squeezed_channels(gate, [squeezed_channels(each) for each in widths])
            for tensor in rows:
                tensor.copy_(tensor[order])
            for tensor in columns:
                tensor.copy_(tensor[:, order])

    @staticmethod
    def _sort_squeezed_channels(gate: Any, widths: Sequence[int]) -> None:
        squeezed = _by_importance(gate.expand.weight, widths)
        for tensor in (gate.reduce.weight, gate.reduce.bias):
            tensor.copy_(tensor[squeezed])
        gate.expand.weight.copy_(gate.expand.weight[:, squeezed])

    def _initialise(self) -> None:
        """Draw fan-out normal weights (He et al., 2015), as the published networks do."""
        for module in self.modules():
            if isinstance(module, ElasticDepthwiseConvolution):
                _initialise_filter(module.weight, filters=1)
            elif isinstance(module, nn.Conv2d):
                _initialise_filter(module.weight, filters=module.out_channels)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 1.0 / math.sqrt(module.in_features))
                nn.init.zeros_(module.bias)

    def _part(self, name: str) -> Any:
        """Return a module. Any: its layers are elastic ones, which its class does not say."""
        return self.get_submodule(name)

    def _first_block_plan(self) -> _BlockPlan:
        return _BlockPlan(
            name='first_block',
            in_channels=self.layout.stem_width,
            hidden_channels=self.layout.stem_width,
            out_channels=self.layout.first_block_width,
            kernel_size=_FIRST_KERNEL_SIZE,
            stride=self.layout.first_block_stride,
            expands=False,
            squeeze_excitation=False,
        )

    def _elastic_plans(self, configuration: MobileNetV3Configuration) -> Iterator[_BlockPlan]:
        channels = self.layout.first_block_width
        for stage_index, stage in enumerate(self.layout.stages):
            for index in range(configuration.depth[stage_index]):
                entry = stage_index * self.layout.blocks_per_stage + index
                yield _BlockPlan(
                    name=f'stages.{stage_index}.{index}',
                    in_channels=channels,
                    hidden_channels=expanded_channels(channels, configuration.expand_ratio[entry]),
                    out_channels=stage.width,
                    kernel_size=configuration.kernel_size[entry],
                    stride=stage.stride if index == 0 else 1,
                    expands=True,
                    squeeze_excitation=stage.squeeze_excitation,
                    fused=stage.fused,
                )
                channels = stage.width

    def _plans(self, configuration: MobileNetV3Configuration) -> Iterator[_BlockPlan]:
        yield self._first_block_plan()
        yield from self._elastic_plans(configuration)

    def _batch_norms(self, configuration: MobileNetV3Configuration) -> Iterator[tuple[str, int]]:
        yield 'stem.batch_norm', self.layout.stem_width
        for plan in self._plans(configuration):
            if plan.expands:
                yield f'{plan.name}.expand.batch_norm', plan.hidden_channels
            if not plan.fused:
                yield f'{plan.name}.depthwise.batch_norm', plan.hidden_channels
            yield f'{plan.name}.project.batch_norm', plan.out_channels
        yield 'final_expand.batch_norm', self.layout.final_expand_width

    def _costs(self, configuration: MobileNetV3Configuration) -> Iterator[tuple[int, int]]:
        """Yield multiply-adds and parameters of each convolution and linear layer."""
        configuration.check(self.layout)
        layout = self.layout

        def convolution(weights: int, side: int) -> tuple[int, int]:
            return weights * side * side, weights

        def convolution_with_bias(in_channels: int, out_channels: int) -> tuple[int, int]:
            weights = in_channels * out_channels
            return weights, weights + out_channels

        side = math.ceil(configuration.resolution / layout.stem_stride)
        yield convolution(_COLOURS * layout.stem_width * _FIRST_KERNEL_SIZE**2, side)
        for plan in self._plans(configuration):
            hidden = plan.hidden_channels
            if plan.expands and not plan.fused:
                yield convolution(plan.in_channels * hidden, side)
            side = math.ceil(side / plan.stride)
            if plan.fused:
                yield convolution(plan.in_channels * hidden * _FUSED_KERNEL_SIZE**2, side)
            else:
                yield convolution(hidden * plan.kernel_size**2, side)
            if plan.squeeze_excitation:
                squeezed = squeezed_channels(hidden)
                yield convolution_with_bias(hidden, squeezed)
                yield convolution_with_bias(squeezed, hidden)
            yield convolution(hidden * plan.out_channels, side)
        yield convolution(layout.stages[-1].width * layout.final_expand_width, side)
        yield convolution(layout.final_expand_width * layout.feature_width, 1)
        yield convolution_with_bias(layout.feature_width, layout.classes)


def _by_importance(weight: torch.Tensor, widths: Sequence[int]) -> torch.Tensor:
    """
    Return the order of a convolution's input channels by the L1 norm of what reads them.

    :param widths: no channel is moved across one of these borders.
    """
    order = torch.argsort(weight.abs().sum((0, 2, 3)), descending=True, stable=True)
    section = torch.zeros_like(order)
    for width in widths:
        section[width:] += 1
    return order[torch.argsort(section[order], stable=True)]


def _initialise_filter(weight: torch.Tensor, filters: int) -> None:
    """Draw weights; `filters` is how many filters read one input channel."""
    fan_out = weight.shape[-1] * weight.shape[-2] * filters
    nn.init.normal_(weight, 0.0, math.sqrt(2.0 / fan_out))


def _elastic_block(
    in_channels: int,
    hidden_channels: int,
    out_channels: int,
    kernel_sizes: Sequence[int],
    stride: int,
    activation: str,
    squeeze_excitation: bool,
    expands: bool,
    fused: bool = False,
) -> MobileBlock:
    expand = None
    if expands:
        expand = ConvolutionLayer(
            ElasticConvolution(in_channels, hidden_channels, _FUSED_KERNEL_SIZE, stride)
            if fused
            else ElasticConvolution(in_channels, hidden_channels),
            ElasticBatchNorm2d(hidden_channels),
            activation_named(activation),
        )
    depthwise = None
    if not fused:
        depthwise = ConvolutionLayer(
            ElasticDepthwiseConvolution(hidden_channels, kernel_sizes, stride),
            ElasticBatchNorm2d(hidden_channels),
            activation_named(activation),
        )
    gate = None
    if squeeze_excitation:
        squeezed = squeezed_channels(hidden_channels)
        gate = SqueezeExcitation(
            ElasticConvolution(hidden_channels, squeezed, bias=True),
            ElasticConvolution(squeezed, hidden_channels, bias=True),
        )
    return MobileBlock(
        expand=expand,
        depthwise=depthwise,
        squeeze_excitation=gate,
        project=ConvolutionLayer(
            ElasticConvolution(hidden_channels, out_channels),
            ElasticBatchNorm2d(out_channels),
            nn.Identity(),
        ),
        residual=stride == 1 and in_channels == out_channels,
    )


def _extract_block(block: Any, plan: _BlockPlan, share_weights: bool) -> MobileBlock:
    hidden = plan.hidden_channels
    expand = None
    if plan.expands:
        expand = ConvolutionLayer(
            block.expand.convolution.extract(plan.in_channels, hidden, share_weights),
            block.expand.batch_norm.extract(hidden, share_weights),
            type(block.expand.activation)(),
        )
    depthwise = None
    if not plan.fused:
        depthwise = ConvolutionLayer(
            block.depthwise.convolution.extract(hidden, plan.kernel_size, share_weights),
            block.depthwise.batch_norm.extract(hidden, share_weights),
            type(block.depthwise.activation)(),
        )
    gate = None
    if plan.squeeze_excitation:
        squeezed = squeezed_channels(hidden)
        gate = SqueezeExcitation(
            block.squeeze_excitation.reduce.extract(hidden, squeezed, share_weights),
            block.squeeze_excitation.expand.extract(squeezed, hidden, share_weights),
        )
    return MobileBlock(
        expand=expand,
        depthwise=depthwise,
        squeeze_excitation=gate,
        project=ConvolutionLayer(
            block.project.convolution.extract(hidden, plan.out_channels, share_weights),
            block.project.batch_norm.extract(plan.out_channels, share_weights),
            nn.Identity(),
        ),
        residual=block.residual,
    )
