# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The blocks of a residual network that decide by the picture: all of it, masked, or only a part.

Han et al., Latency-aware Unified Dynamic Networks, TPAMI 2024 (arXiv 2308.15949). A *masker* looks
at the input of its block and gives two scores for the block, for each patch of it, or for each
group of its channels: of skipping and of running.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from dynamic_dnn_ros.networks.adaptive_layouts import (
    CHANNELS,
    LAYERS,
    PATCHES,
    AdaptiveStageLayout,
)
from dynamic_dnn_ros.networks.mobile_layers import ConvolutionLayer

#: Of hidden channels in a masker of channels, a part of its inputs.
_REDUCTION = 16

#: Of the score of running at the start: nearly all runs.
_OPEN = 2.5


def convolution_layer(
    inputs: int, outputs: int, kernel: int, stride: int = 1, active: bool = True
) -> ConvolutionLayer:
    """Return a fresh convolution, batch normalisation and ReLU, or none."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity='relu')
    activation = nn.ReLU(inplace=True) if active else nn.Identity()
    return ConvolutionLayer(convolution, nn.BatchNorm2d(outputs), activation)


class Masker(nn.Module):
    """Scores of a block's parts: N x 2 x rows x columns of patches, or N x 2 x groups x 1."""

    def __init__(self, stage: AdaptiveStageLayout) -> None:
        super().__init__()
        self._groups = stage.middle // stage.granularity if stage.mode == CHANNELS else 1
        patches = stage.mode == PATCHES
        self.pool = nn.AvgPool2d(stage.granularity) if patches else nn.AdaptiveAvgPool2d(1)
        #: Whether a linear function of the pooled features says all.
        self.is_linear = stage.mode == LAYERS
        hidden = stage.width
        self.squeeze: nn.Module = nn.Identity()
        if stage.mode == CHANNELS:
            hidden = max(stage.width // _REDUCTION, 1)
            self.squeeze = nn.Sequential(nn.Conv2d(stage.width, hidden, 1), nn.ReLU())
        self.decide = nn.Conv2d(hidden, 2 * self._groups, 1)
        nn.init.normal_(self.decide.weight, std=0.01)
        with torch.no_grad():
            self.bias.zero_()
            self.bias[self._groups :] = _OPEN

    @property
    def bias(self) -> torch.Tensor:
        """Return what it says of features that are all zero."""
        bias = self.decide.bias
        assert bias is not None
        return bias

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the scores of features, N x width x side x side."""
        return self.scores(self.pool(features))

    def scores(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return the scores of pooled features, which are the same for all blocks of a size."""
        scores: torch.Tensor = self.decide(self.squeeze(pooled))
        if self._groups > 1:
            return scores.reshape(-1, 2, self._groups, 1)
        return scores


class ResidualBlock(nn.Module):
    """
    A bottleneck: 1x1, 3x3, 1x1, and the input added.

    :param masker: None: it always runs as a whole
    """

    def __init__(self, stage: AdaptiveStageLayout, masked: bool) -> None:
        super().__init__()
        self.mode = stage.mode
        self.granularity = stage.granularity
        self.reduce = convolution_layer(stage.width, stage.middle, 1)
        self.spatial = convolution_layer(stage.middle, stage.middle, 3)
        self.expand = convolution_layer(stage.middle, stage.width, 1, active=False)
        self.masker = Masker(stage) if masked else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Run all of it."""
        return functional.relu(features + self.expand(self.spatial(self.reduce(features))))

    def masked(self, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """
        Run all of it, and multiply by a mask what was not to run.

        :param mask: N x rows x columns of patches, or N x groups x 1; 1 runs, 0 does not
        """
        if self.mode == CHANNELS:
            wide = mask.repeat_interleave(self.granularity, 1)[..., None]
            branch = self.expand(self.spatial(self.reduce(features) * wide) * wide)
            # What `expand` says of no channels at all is its bias alone.
            runs = mask.amax((1, 2))[:, None, None, None]
            return functional.relu(features + branch * runs)
        branch = self.expand(self.spatial(self.reduce(features)))
        wide = mask[:, None]
        if self.mode == PATCHES:
            wide = wide.repeat_interleave(self.granularity, 2)
            wide = wide.repeat_interleave(self.granularity, 3)
        return functional.relu(features + branch * wide)
