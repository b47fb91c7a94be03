# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Pointwise convolution that a GPU need not plan anew for every shape.

cuDNN plans a convolution the first time that it sees its shapes, which takes tens of milliseconds;
where channels and sizes are drawn anew in each step, a training does little else. A product of
matrices needs no plan.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def pointwise_convolution(
    inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """
    Mix the channels of each place.

    :param inputs: N x C x H x W.
    :param weight: O x C x 1 x 1.
    :param bias: O.
    """
    if not inputs.is_cuda:
        return functional.conv2d(inputs, weight, bias)
    return as_product(inputs, weight, bias)


def as_product(
    inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the same, as a product of matrices."""
    places = inputs.shape[2:]
    outputs = torch.matmul(weight.flatten(1), inputs.flatten(2))
    if bias is not None:
        outputs = outputs + bias[:, None]
    return outputs.unflatten(2, places)


class PointwiseConvolution(nn.Conv2d):
    """A 1x1 convolution, trained so."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = False) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Convolve N x C x H x W."""
        return pointwise_convolution(inputs, self.weight, self.bias)
