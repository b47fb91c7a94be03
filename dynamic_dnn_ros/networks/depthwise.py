# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Depthwise convolution whose weights can be trained on a CPU in reasonable time.

oneDNN has a fast kernel for the weight gradient of a 3x3 depthwise convolution and none for larger
ones: on 96 channels of 16x16 the gradient of a 5x5 filter takes 24 times as long as that of a 3x3
filter. So a larger filter's gradient is put together from 3x3 tiles: each tile is the gradient of
a 3x3 filter on the inputs shifted by the tile's place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

_TILE = 3


def depthwise_convolution(inputs: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
    """
    Convolve each channel with its own filter, 'same'-padded.

    :param inputs: N x C x H x W.
    :param weight: C x 1 x K x K, K odd.
    """
    if (
        weight.shape[-1] > _TILE
        and weight.device.type == 'cpu'
        and weight.dtype == inputs.dtype == torch.float32
        and torch.is_grad_enabled()
        and weight.requires_grad
        and not torch.is_autocast_enabled('cpu')
    ):
        result: torch.Tensor = _TiledGradient.apply(inputs, weight, stride)
        return result
    return _convolve(inputs, weight, stride)


def _convolve(inputs: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
    return functional.conv2d(
        inputs, weight, None, stride, padding=weight.shape[-1] // 2, groups=weight.shape[0]
    )


class _TiledGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, inputs: torch.Tensor, weight: torch.Tensor, stride: int
    ) -> torch.Tensor:
        context.save_for_backward(inputs, weight)
        context.stride = stride
        return _convolve(inputs, weight, stride)

    @staticmethod
    def backward(
        context: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        inputs, weight = context.saved_tensors
        input_gradient = weight_gradient = None
        if context.needs_input_grad[0]:
            padding = weight.shape[-1] // 2
            input_gradient = _gradients(
                gradient, inputs, weight, context.stride, padding, of_inputs=True
            )
        if context.needs_input_grad[1]:
            weight_gradient = _weight_gradient(gradient, inputs, weight, context.stride)
        return input_gradient, weight_gradient, None


def _weight_gradient(
    gradient: torch.Tensor, inputs: torch.Tensor, weight: torch.Tensor, stride: int
) -> torch.Tensor:
    size = weight.shape[-1]
    padded = functional.pad(inputs, (size // 2,) * 4)
    height, width = ((side - 1) * stride + _TILE for side in gradient.shape[2:])
    tile_weight = weight.new_empty(weight.shape[0], 1, _TILE, _TILE)
    result = torch.empty_like(weight)
    # Tiles may overlap: where they do, they say the same.
    places = sorted({*range(0, size - _TILE, _TILE), size - _TILE})
    for top in places:
        for left in places:
            result[:, :, top : top + _TILE, left : left + _TILE] = _gradients(
                gradient,
                padded[:, :, top : top + height, left : left + width],
                tile_weight,
                stride,
                padding=0,
                of_inputs=False,
            )
    return result


def _gradients(
    gradient: torch.Tensor,
    inputs: torch.Tensor,
    weight: torch.Tensor,
    stride: int,
    padding: int,
    of_inputs: bool,
) -> torch.Tensor:
    """Return the gradient of a depthwise convolution's inputs or weights."""
    wanted = [of_inputs, not of_inputs, False]
    gradients = torch.ops.aten.convolution_backward(
        gradient,
        inputs,
        weight,
        [0],
        [stride] * 2,
        [padding] * 2,
        [1, 1],
        False,
        [0, 0],
        weight.shape[0],
        wanted,
    )
    result: torch.Tensor = gradients[0 if of_inputs else 1]
    return result
