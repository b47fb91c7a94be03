# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A light feature pyramid and an anchor-free head, over plain layers.

The pyramid goes down and up again (Liu et al., Path Aggregation Network, CVPR 2018) and adds where
the original concatenates; all its filters are separable, as in NanoDet-Plus, whose answers the
head gives: scores of classes, and for each side of a box a distribution over its distance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import copy
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

from dynamic_dnn_ros.networks.elastic_layers import parameter_from
from dynamic_dnn_ros.networks.mobile_blocks import Costs, convolution_costs
from dynamic_dnn_ros.networks.mobile_layers import (
    ConvolutionLayer,
    MobileBlock,
    activation_named,
)
from dynamic_dnn_ros.networks.pointwise import PointwiseConvolution
from dynamic_dnn_ros.pictures.placement import Size

_FIRST_SCORE = 0.01
"""That a class has everywhere before the training: few points lie on an object."""

ModuleT = TypeVar('ModuleT', bound=nn.Module)


def separable(
    channels: int, kernel_size: int, activation: str, stride: int = 1
) -> tuple[ConvolutionLayer, ConvolutionLayer]:
    """Return a depthwise and a pointwise convolution, each normalised and activated."""
    return (
        ConvolutionLayer(
            nn.Conv2d(
                channels,
                channels,
                kernel_size,
                stride,
                kernel_size // 2,
                groups=channels,
                bias=False,
            ),
            nn.BatchNorm2d(channels),
            activation_named(activation),
        ),
        pointwise(channels, channels, activation),
    )


def pointwise(in_channels: int, out_channels: int, activation: str) -> ConvolutionLayer:
    """Return a 1x1 convolution, normalised and activated."""
    return ConvolutionLayer(
        PointwiseConvolution(in_channels, out_channels),
        nn.BatchNorm2d(out_channels),
        activation_named(activation),
    )


class Pyramid(nn.Module):
    """
    Mix features of several strides; each next one has half the size.

    :param in_channels: of the features, the finest first.
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, kernel_size: int, activation: str
    ) -> None:
        super().__init__()
        levels = len(in_channels)

        def mixers(stride: int = 1) -> nn.ModuleList:
            return nn.ModuleList(
                nn.Sequential(*separable(channels, kernel_size, activation, stride))
                for _ in range(levels - 1)
            )

        self.lateral = nn.ModuleList(pointwise(each, channels, activation) for each in in_channels)
        self.top_down = mixers()
        self.shrink = mixers(stride=2)
        self.bottom_up = mixers()

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return features of the same sizes, N x channels x H x W each, the finest first."""
        mixed = [lateral(each) for lateral, each in zip(self.lateral, features)]
        for level in range(len(mixed) - 2, -1, -1):
            coarser = functional.interpolate(mixed[level + 1], scale_factor=2.0, mode='nearest')
            mixed[level] = self.top_down[level](mixed[level] + coarser)
        for level, (shrink, mix) in enumerate(zip(self.shrink, self.bottom_up)):
            mixed[level + 1] = mix(mixed[level + 1] + shrink(mixed[level]))
        return mixed


class Head(nn.Module):
    """
    Answer at every point of every level.

    In training mode classes are logits, for the sake of the losses' precision; in eval mode they
    are scores, 0..1, as detectors are served.

    :param outputs: numbers a point: classes first, then the distributions.
    """

    def __init__(
        self,
        levels: int,
        channels: int,
        blocks: int,
        kernel_size: int,
        activation: str,
        classes: int,
        outputs: int,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.levels = nn.ModuleList()
        for _ in range(levels):
            layers: list[nn.Module] = []
            for _ in range(blocks):
                layers += separable(channels, kernel_size, activation)
            self.levels.append(
                nn.Sequential(*layers, PointwiseConvolution(channels, outputs, bias=True))
            )

    def initialise(self) -> None:
        """Let the answers begin with low scores and even distributions."""
        for level in self.levels:
            assert isinstance(level, nn.Sequential)
            answer = level[-1]
            assert isinstance(answer, nn.Conv2d) and answer.bias is not None
            nn.init.normal_(answer.weight, 0.0, 0.01)
            nn.init.zeros_(answer.bias)
            logit = torch.logit(torch.tensor(_FIRST_SCORE))
            nn.init.constant_(answer.bias[: self.classes], float(logit))

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return N x points x outputs, the points of the finest level first, row by row."""
        answers = torch.cat(
            [level(each).flatten(2) for level, each in zip(self.levels, features)], 2
        )
        if not self.training:
            scores, distributions = answers[:, : self.classes], answers[:, self.classes :]
            answers = torch.cat([scores.sigmoid(), distributions], 1)
        return answers.permute(0, 2, 1)


class Detector(nn.Module):
    """
    A static detector of given modules.

    :param taps: stages whose outputs feed the pyramid.
    """

    def __init__(
        self,
        stem: ConvolutionLayer,
        first_block: MobileBlock,
        stages: nn.Sequential,
        pyramid: Pyramid,
        head: Head,
        taps: Sequence[int],
    ) -> None:
        super().__init__()
        self.stem = stem
        self.first_block = first_block
        self.stages = stages
        self.pyramid = pyramid
        self.head = head
        self._taps = tuple(taps)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return N x points x outputs; see `Head`."""
        features = self.first_block(self.stem(images))
        tapped = []
        for index, stage in enumerate(self.stages):
            features = stage(features)
            if index in self._taps:
                tapped.append(features)
        outputs: torch.Tensor = self.head(self.pyramid(tapped))
        return outputs


def copied(module: ModuleT, share_weights: bool) -> ModuleT:
    """
    Return a frozen copy of a module in eval mode; its batch-norm statistics are its own.

    :param share_weights: let its parameters be those of the module.
    """
    memo: dict[int, nn.Parameter] = {
        id(parameter): parameter_from(parameter, share_weights)
        for parameter in module.parameters()
    }
    return copy.deepcopy(module, memo).eval()


def layer_costs(pyramid: Pyramid, head: Head, sizes: Sequence[Size]) -> Iterator[Costs]:
    """
    Yield the costs of each convolution of pyramid and head.

    :param sizes: of the levels.
    """
    parts: list[tuple[nn.Module, Size]] = [
        *zip(pyramid.lateral, sizes),
        *zip(pyramid.top_down, sizes),
        *zip(pyramid.shrink, sizes[1:]),
        *zip(pyramid.bottom_up, sizes[1:]),
        *zip(head.levels, sizes),
    ]
    for part, size in parts:
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d):
                multiply_adds, parameters = convolution_costs(layer.weight.numel(), size)
                bias = 0 if layer.bias is None else layer.bias.numel()
                yield multiply_adds, parameters + bias
