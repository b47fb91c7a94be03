# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Elastic inverted bottlenecks, in stages: what the Once-for-All families are made of.

A plan says every number that shapes a block of one sub-network; from it a block is made, made to
run, extracted and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import math
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.elastic_layers import (
    ElasticBatchNorm2d,
    ElasticConvolution,
    ElasticDepthwiseConvolution,
    expanded_channels,
    squeezed_channels,
)
from dynamic_dnn_ros.networks.elastic_layouts import StageLayout
from dynamic_dnn_ros.networks.mobile_layers import (
    ConvolutionLayer,
    MobileBlock,
    SqueezeExcitation,
    activation_named,
)
from dynamic_dnn_ros.pictures.placement import Size

COLOURS = 3
FIRST_KERNEL_SIZE = 3
_FUSED_KERNEL_SIZE = 3

Costs = tuple[int, int]
"""Multiply-adds and parameters of a layer."""


@dataclasses.dataclass(frozen=True)
class BlockPlan:
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

    def batch_norms(self) -> Iterator[tuple[str, int]]:
        """Yield name and number of channels of each batch-norm layer."""
        if self.expands:
            yield f'{self.name}.expand.batch_norm', self.hidden_channels
        if not self.fused:
            yield f'{self.name}.depthwise.batch_norm', self.hidden_channels
        yield f'{self.name}.project.batch_norm', self.out_channels

    def costs(self, size: Size) -> Iterator[Costs]:
        """
        Yield the costs of each convolution.

        :param size: of the block's input.
        """
        hidden = self.hidden_channels
        after = shrunk(size, self.stride)
        if self.expands and not self.fused:
            yield convolution_costs(self.in_channels * hidden, size)
        if self.fused:
            yield convolution_costs(self.in_channels * hidden * _FUSED_KERNEL_SIZE**2, after)
        else:
            yield convolution_costs(hidden * self.kernel_size**2, after)
        if self.squeeze_excitation:
            squeezed = squeezed_channels(hidden)
            weights = hidden * squeezed
            yield weights, weights + squeezed
            yield weights, weights + hidden
        yield convolution_costs(hidden * self.out_channels, after)


def convolution_costs(weights: int, size: Size) -> Costs:
    """
    Return the costs of a convolution without bias.

    :param size: of its output.
    """
    return weights * size.height * size.width, weights


def shrunk(size: Size, stride: int) -> Size:
    """Return the size after a 'same'-padded layer with a stride."""
    return Size(math.ceil(size.height / stride), math.ceil(size.width / stride))


def stage_plans(
    stages: Sequence[StageLayout],
    blocks_per_stage: int,
    in_channels: int,
    depth: Sequence[int],
    expand_ratio: Sequence[int],
    kernel_size: Sequence[int],
) -> Iterator[BlockPlan]:
    """
    Yield the plans of the blocks `stages.<stage>.<block>` of one sub-network.

    :param blocks_per_stage: at the greatest depth.
    :param depth: blocks of each stage.
    :param expand_ratio: of each block, all stages after each other at their greatest depth.
    :param kernel_size: likewise.
    """
    channels = in_channels
    for stage_index, stage in enumerate(stages):
        for index in range(depth[stage_index]):
            entry = stage_index * blocks_per_stage + index
            yield BlockPlan(
                name=f'stages.{stage_index}.{index}',
                in_channels=channels,
                hidden_channels=expanded_channels(channels, expand_ratio[entry]),
                out_channels=stage.width,
                kernel_size=kernel_size[entry],
                stride=stage.stride if index == 0 else 1,
                expands=True,
                squeeze_excitation=stage.squeeze_excitation,
                fused=stage.fused,
            )
            channels = stage.width


def elastic_stages(
    stages: Sequence[StageLayout],
    blocks_per_stage: int,
    in_channels: int,
    expand_ratio: int,
    kernel_sizes: Sequence[int],
) -> nn.ModuleList:
    """
    Return the blocks of each stage, a list of lists.

    :param expand_ratio: the largest.
    """
    made = nn.ModuleList()
    channels = in_channels
    for stage in stages:
        blocks = nn.ModuleList()
        for index in range(blocks_per_stage):
            blocks.append(
                elastic_block(
                    channels,
                    expanded_channels(channels, expand_ratio),
                    stage.width,
                    kernel_sizes,
                    stage.stride if index == 0 else 1,
                    stage.activation,
                    stage.squeeze_excitation,
                    expands=True,
                    fused=stage.fused,
                )
            )
            channels = stage.width
        made.append(blocks)
    return made


def elastic_block(
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
    """Return an elastic block; `hidden_channels` is its largest width."""
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


def activate_block(block: Any, plan: BlockPlan) -> None:
    """Make an elastic block run as a plan says: sets numbers, moves no weight."""
    block.expand.convolution.active_out_channels = plan.hidden_channels
    if block.depthwise is not None:
        block.depthwise.convolution.active_kernel_size = plan.kernel_size
    if block.squeeze_excitation is not None:
        gate = block.squeeze_excitation
        gate.reduce.active_out_channels = squeezed_channels(plan.hidden_channels)
        gate.expand.active_out_channels = plan.hidden_channels


def extract_block(block: Any, plan: BlockPlan, share_weights: bool) -> MobileBlock:
    """Return what a plan says of an elastic block as a static one. Any: its layers are elastic."""
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


@torch.no_grad()
def sort_block_channels(block: Any, in_channels: int, ratios: Sequence[int]) -> None:
    """
    Sort the channels inside an elastic block by importance, the most important first.

    Importance is the L1 norm of the weights of the following point-linear convolution, as in the
    authors' code. As there, channels of a width that is trained already stay in front of the
    others, so that sub-networks of that width do not change.

    :param ratios: expand ratios that are trained already.
    """
    widths = [expanded_channels(in_channels, ratio) for ratio in ratios]
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
        _sort_squeezed_channels(gate, [squeezed_channels(each) for each in widths])
    for tensor in rows:
        tensor.copy_(tensor[order])
    for tensor in columns:
        tensor.copy_(tensor[:, order])


def _sort_squeezed_channels(gate: Any, widths: Sequence[int]) -> None:
    squeezed = _by_importance(gate.expand.weight, widths)
    for tensor in (gate.reduce.weight, gate.reduce.bias):
        tensor.copy_(tensor[squeezed])
    gate.expand.weight.copy_(gate.expand.weight[:, squeezed])


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


def initialise_convolutions(module: nn.Module) -> None:
    """Draw fan-out normal weights for all convolutions of a module, zeros for their biases."""
    for each in module.modules():
        if isinstance(each, ElasticDepthwiseConvolution):
            _initialise_filter(each.weight, filters=1)
        elif isinstance(each, nn.Conv2d):
            _initialise_filter(each.weight, filters=each.out_channels // each.groups)
            if each.bias is not None:
                nn.init.zeros_(each.bias)


def _initialise_filter(weight: torch.Tensor, filters: int) -> None:
    """Draw weights; `filters` is how many filters read one input channel."""
    fan_out = weight.shape[-1] * weight.shape[-2] * filters
    nn.init.normal_(weight, 0.0, math.sqrt(2.0 / fan_out))
