# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Structure of a MobileNetV3 (Howard et al., ICCV 2019), over plain or elastic layers alike.

The dynamic network and the static one extracted from it are made of these modules, so their
tensors bear the same names.
"""

from __future__ import annotations

import torch
from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {'relu': nn.ReLU, 'h_swish': nn.Hardswish}
"""Activations by the name that a layout uses."""


def activation_named(name: str) -> nn.Module:
    """Return a new activation layer."""
    return ACTIVATIONS[name](inplace=name == 'relu')


class ConvolutionLayer(nn.Module):
    """Convolution, batch normalisation, activation; the last may be the identity."""

    def __init__(
        self, convolution: nn.Module, batch_norm: nn.Module, activation: nn.Module
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.batch_norm = batch_norm
        self.activation = activation

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Run the three layers."""
        outputs: torch.Tensor = self.activation(self.batch_norm(self.convolution(inputs)))
        return outputs


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate computed from all channels' means."""

    def __init__(self, reduce: nn.Module, expand: nn.Module) -> None:
        super().__init__()
        self.reduce = reduce
        self.expand = expand
        self.activation = nn.ReLU()
        self.gate = nn.Hardsigmoid()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the scaled N x C x H x W."""
        means = inputs.mean((2, 3), keepdim=True)
        gate: torch.Tensor = self.gate(self.expand(self.activation(self.reduce(means))))
        return inputs * gate


class MobileBlock(nn.Module):
    """
    Inverted bottleneck: expand, depthwise, squeeze and excite, project, add the input.

    :param expand: None where the block does not expand.
    :param depthwise: None where the expansion is a spatial convolution itself, a fused block.
    :param squeeze_excitation: None where the stage has none.
    """

    def __init__(
        self,
        expand: ConvolutionLayer | None,
        depthwise: ConvolutionLayer | None,
        squeeze_excitation: SqueezeExcitation | None,
        project: ConvolutionLayer,
        residual: bool,
    ) -> None:
        super().__init__()
        self.expand = expand
        self.depthwise = depthwise
        self.squeeze_excitation = squeeze_excitation
        self.project = project
        self.residual = residual

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Run the block."""
        hidden = inputs if self.expand is None else self.expand(inputs)
        if self.depthwise is not None:
            hidden = self.depthwise(hidden)
        if self.squeeze_excitation is not None:
            hidden = self.squeeze_excitation(hidden)
        outputs: torch.Tensor = self.project(hidden)
        return inputs + outputs if self.residual else outputs


class MeanOverPlaces(nn.Module):
    """The mean of each channel."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return N x C x 1 x 1 of N x C x H x W."""
        return inputs.mean((2, 3), keepdim=True)


class MobileNetV3(nn.Module):
    """A static MobileNetV3 of given modules."""

    def __init__(
        self,
        stem: ConvolutionLayer,
        first_block: MobileBlock,
        stages: nn.Sequential,
        final_expand: ConvolutionLayer,
        feature_mix: nn.Conv2d,
        classifier: nn.Linear,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.first_block = first_block
        self.stages = stages
        self.final_expand = final_expand
        self.feature_mix = feature_mix
        self.feature_activation = nn.Hardswish()
        self.classifier = classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, N x classes."""
        features = self.first_block(self.stem(images))
        for stage in self.stages:
            features = stage(features)
        features = self.final_expand(features).mean((2, 3), keepdim=True)
        features = self.feature_activation(self.feature_mix(features))
        logits: torch.Tensor = self.classifier(features.flatten(1))
        return logits
