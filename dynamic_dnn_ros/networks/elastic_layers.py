# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Layers that run on a leading part of their weights, and give that part as a plain torch layer.

How many input channels are active follows from the input; what a layer cannot see there (output
channels, kernel size) is an attribute that the network sets. Slices are views: no weight moves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from dynamic_dnn_ros.networks.depthwise import depthwise_convolution
from dynamic_dnn_ros.networks.pointwise import pointwise_convolution


def make_divisible(value: float, divisor: int = 8) -> int:
    """
    Return the multiple of the divisor nearest to a channel count, at most 10 % below it.

    The rule of the MobileNet family; the published layouts depend on it.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def expanded_channels(channels: int, expand_ratio: float) -> int:
    """Return the width inside an inverted bottleneck."""
    return make_divisible(round(channels * expand_ratio))


def squeezed_channels(channels: int) -> int:
    """Return the width inside a squeeze-and-excitation layer, reduction 4."""
    return make_divisible(channels // 4)


def parameter_from(tensor: torch.Tensor, share_weights: bool) -> nn.Parameter:
    """Return a frozen parameter that views a tensor, or holds a contiguous copy of it."""
    data = tensor.detach()
    if not share_weights:
        data = data.clone(memory_format=torch.contiguous_format)
    return nn.Parameter(data, requires_grad=False)


def plain_convolution(
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int = 1,
    groups: int = 1,
    share_weights: bool = False,
) -> nn.Conv2d:
    """Return a 'same'-padded convolution with the given weights, O x I/groups x K x K."""
    kernel_size = weight.shape[-1]
    convolution = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        kernel_size,
        stride=stride,
        padding=kernel_size // 2,
        groups=groups,
        bias=bias is not None,
        device='meta',
    )
    convolution.weight = parameter_from(weight, share_weights)
    if bias is not None:
        convolution.bias = parameter_from(bias, share_weights)
    return convolution


class ElasticConvolution(nn.Conv2d):
    """A 'same'-padded convolution, 1x1 by default, of its first input and output channels."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=bias
        )
        self.active_out_channels = out_channels

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Convolve N x C x H x W to active_out_channels, H and W divided by the stride."""
        weight, bias = self._slices(inputs.shape[1], self.active_out_channels)
        if weight.shape[-1] == 1 and self.stride[0] == 1:
            return pointwise_convolution(inputs, weight, bias)
        return functional.conv2d(inputs, weight, bias, self.stride, self.padding)

    def extract(
        self, in_channels: int, out_channels: int, share_weights: bool = False
    ) -> nn.Conv2d:
        """Return the leading channels as a plain convolution."""
        weight, bias = self._slices(in_channels, out_channels)
        return plain_convolution(weight, bias, stride=self.stride[0], share_weights=share_weights)

    def _slices(
        self, in_channels: int, out_channels: int
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        bias = None if self.bias is None else self.bias[:out_channels]
        return self.weight[:out_channels, :in_channels], bias


class ElasticDepthwiseConvolution(nn.Module):
    """
    A depthwise convolution of its first channels, with a choice of kernel sizes.

    A smaller kernel is the centre of the next larger one, flattened, times a learned matrix that
    all channels of the layer share (Cai et al., Once-for-All, ICLR 2020, section 3.3): 25x25 from
    7 to 5, 9x9 from 5 to 3, identity at the start.

    :param kernel_sizes: the odd choices, in any order.
    """

    def __init__(self, channels: int, kernel_sizes: Sequence[int], stride: int) -> None:
        super().__init__()
        self._kernel_sizes = tuple(sorted(set(kernel_sizes), reverse=True))
        self.stride = stride
        largest = self._kernel_sizes[0]
        self.active_kernel_size = largest
        self.weight = nn.Parameter(torch.empty(channels, 1, largest, largest))
        for larger, smaller in zip(self._kernel_sizes, self._kernel_sizes[1:]):
            matrix = nn.Parameter(torch.eye(smaller * smaller))
            self.register_parameter(_transform_name(larger, smaller), matrix)

    def kernel(self, channels: int, kernel_size: int) -> torch.Tensor:
        """Return the weights of a kernel size, channels x 1 x K x K."""
        weight = self.weight[:channels]
        for larger, smaller in zip(self._kernel_sizes, self._kernel_sizes[1:]):
            if weight.shape[-1] == kernel_size:
                break
            margin = (larger - smaller) // 2
            centre = weight[:, :, margin : margin + smaller, margin : margin + smaller]
            matrix = self.get_parameter(_transform_name(larger, smaller))
            flat = functional.linear(centre.reshape(channels, -1), matrix)
            weight = flat.view(channels, 1, smaller, smaller)
        return weight

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Convolve N x C x H x W with the active kernel size."""
        weight = self.kernel(inputs.shape[1], self.active_kernel_size)
        return depthwise_convolution(inputs, weight, self.stride)

    def extract(self, channels: int, kernel_size: int, share_weights: bool = False) -> nn.Conv2d:
        """Return one kernel size on the leading channels as a plain convolution."""
        weight = self.kernel(channels, kernel_size)
        return plain_convolution(
            weight, stride=self.stride, groups=channels, share_weights=share_weights
        )


class ElasticBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation of its first channels."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Normalise N x C x H x W; in training mode update the first C statistics."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.momentum is not None
        channels = inputs.shape[1]
        return functional.batch_norm(
            inputs,
            self.running_mean[:channels],
            self.running_var[:channels],
            self.weight[:channels],
            self.bias[:channels],
            self.training,
            self.momentum,
            self.eps,
        )

    def extract(self, channels: int, share_weights: bool = False) -> nn.BatchNorm2d:
        """Return the leading channels as a plain layer with its own statistics."""
        assert self.running_mean is not None and self.running_var is not None
        plain = nn.BatchNorm2d(channels, self.eps, self.momentum)
        plain.weight = parameter_from(self.weight[:channels], share_weights)
        plain.bias = parameter_from(self.bias[:channels], share_weights)
        plain.running_mean = self.running_mean[:channels].detach().clone()
        plain.running_var = self.running_var[:channels].detach().clone()
        return plain


def _transform_name(larger: int, smaller: int) -> str:
    return f'transform_{larger}_to_{smaller}'
