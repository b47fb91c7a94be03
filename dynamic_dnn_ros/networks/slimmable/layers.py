# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Layers with weights: run on a leading part of them, or made of that part as plain torch layers.

The rows of a matrix may be stacked: an attention's first one makes queries, keys and values of
each head, and fewer heads are a leading part of each of the three. Such a tensor has one dimension
more, in front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from dynamic_dnn_ros.networks.depthwise import depthwise_convolution
from dynamic_dnn_ros.networks.elastic_layers import parameter_from
from dynamic_dnn_ros.networks.pointwise import pointwise_convolution

_DIMENSIONS = {'batch_norm': 1, 'convolution': 4, 'layer_norm': 1, 'linear': 2}
_PAIR = 2


class StackedLinear(nn.Linear):
    """A linear layer whose rows are stacked."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return N x ... x rows of all stacks."""
        return functional.linear(inputs, *_flat(self.weight, self.bias, 'linear'))


class StackedConvolution(nn.Conv2d):
    """A convolution whose filters are stacked."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Convolve N x C x H x W."""
        weight, bias = _flat(self.weight, self.bias, 'convolution')
        return self._conv_forward(inputs, weight, bias)


def _flat(
    weight: torch.Tensor, bias: torch.Tensor | None, operator: str
) -> tuple[torch.Tensor, torch.Tensor | None]:
    if weight.ndim == _DIMENSIONS[operator]:
        return weight, bias
    return weight.flatten(0, 1), None if bias is None else bias.flatten()


def leading(tensor: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Return the leading part of these sizes."""
    return tensor[tuple(slice(size) for size in sizes)]


def empty_layer(layer: Mapping[str, Any], weight: Sequence[int], groups: int) -> nn.Module:
    """
    Return a layer with fresh weights of all its channels.

    :param layer: as a layout describes it.
    :param weight: the shape of its weight.
    """
    return _made(layer, weight, groups, None)


def run_layer(
    layer: Mapping[str, Any],
    module: Any,
    inputs: torch.Tensor,
    sizes: Sequence[int],
    bias_sizes: Sequence[int],
    groups: int,
) -> torch.Tensor:
    """
    Run a layer on the leading part of its weights.

    :param module: holds all of them.
    :param sizes: of the part of the weight.
    :param bias_sizes: of the part of the bias.
    """
    operator = layer['operator']
    weight = leading(module.weight, sizes)
    bias = None if module.bias is None else leading(module.bias, bias_sizes)
    if operator == 'batch_norm':
        return functional.batch_norm(
            inputs,
            module.running_mean[: sizes[0]],
            module.running_var[: sizes[0]],
            weight,
            bias,
            module.training,
            module.momentum,
            module.eps,
        )
    if operator == 'layer_norm':
        return functional.layer_norm(inputs, list(sizes), weight, bias, layer['epsilon'])
    weight, bias = _flat(weight, bias, operator)
    if operator == 'linear':
        return functional.linear(inputs, weight, bias)
    stride, padding, dilation = layer['stride'], layer['padding'], layer['dilation']
    plain = bias is None and dilation == [1, 1] and stride[0] == stride[1]
    side = weight.shape[-1]
    if plain and groups == weight.shape[0] == inputs.shape[1] and _is_same(weight, padding):
        return depthwise_convolution(inputs, weight, stride[0])
    if groups == 1 and side == 1 and stride == [1, 1] and padding == [0, 0] and plain:
        return pointwise_convolution(inputs, weight)
    return functional.conv2d(inputs, weight, bias, stride, padding, dilation, groups)


def _is_same(weight: torch.Tensor, padding: Sequence[int]) -> bool:
    height, width = weight.shape[-2:]
    return height == width and height % 2 == 1 and list(padding) == [height // 2] * _PAIR


def extracted_layer(
    layer: Mapping[str, Any],
    module: Any,
    sizes: Sequence[int],
    bias_sizes: Sequence[int],
    groups: int,
    share_weights: bool,
) -> nn.Module:
    """Return the leading part of a layer as a plain one; batch-norm statistics are copied."""
    made: Any = _made(layer, sizes, groups, 'meta')
    made.weight = parameter_from(leading(module.weight, sizes), share_weights)
    if module.bias is not None:
        made.bias = parameter_from(leading(module.bias, bias_sizes), share_weights)
    if layer['operator'] == 'batch_norm':
        channels = sizes[0]
        made.running_mean = module.running_mean[:channels].detach().clone()
        made.running_var = module.running_var[:channels].detach().clone()
        made.num_batches_tracked = torch.tensor(0)
    return made


def _made(
    layer: Mapping[str, Any], weight: Sequence[int], groups: int, device: str | None
) -> nn.Module:
    operator = layer['operator']
    if operator == 'batch_norm':
        return nn.BatchNorm2d(weight[0], layer['epsilon'], layer['momentum'], device=device)
    if operator == 'layer_norm':
        return nn.LayerNorm(list(weight), layer['epsilon'], device=device)
    stacked = len(weight) > _DIMENSIONS[operator]
    rows = weight[0] * weight[1] if stacked else weight[0]
    made: nn.Linear | nn.Conv2d
    if operator == 'linear':
        kind = StackedLinear if stacked else nn.Linear
        made = kind(weight[-1], rows, layer['bias'], device=device)
    else:
        convolution = StackedConvolution if stacked else nn.Conv2d
        made = convolution(
            weight[-3] * groups,
            rows,
            (weight[-2], weight[-1]),
            tuple(layer['stride']),
            tuple(layer['padding']),
            tuple(layer['dilation']),
            groups,
            layer['bias'],
            device=device,
        )
    if stacked:
        made.weight = nn.Parameter(made.weight.detach().view(tuple(weight)))
        if made.bias is not None:
            made.bias = nn.Parameter(made.bias.detach().view(tuple(weight[:2])))
    return made
