# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Once-for-All MobileNetV3: elastic kernel size, width, depth and resolution.

Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment, ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
import math

import torch
from torch import nn

from dynamic_dnn_ros.networks.elastic_layers import (
    ElasticBatchNorm2d,
    ElasticConvolution,
    parameter_from,
)
from dynamic_dnn_ros.networks.elastic_mobile import Beginning, ElasticMobileNetwork
from dynamic_dnn_ros.networks.mobile_blocks import (
    Costs,
    convolution_costs,
    initialise_convolutions,
    shrunk,
)
from dynamic_dnn_ros.networks.mobile_layers import ConvolutionLayer, MobileNetV3
from dynamic_dnn_ros.networks.ofa_layouts import (
    LAYOUTS,
    MobileNetV3Configuration,
    MobileNetV3Layout,
)
from dynamic_dnn_ros.pictures.placement import Size


class OfaMobileNetV3(ElasticMobileNetwork[MobileNetV3Layout, MobileNetV3Configuration]):
    """The super-network; a fresh one runs its largest sub-network."""

    family = 'ofa_mobilenet_v3'
    last_layers = ('classifier',)
    layouts = LAYOUTS
    layout_class = MobileNetV3Layout
    configuration_class = MobileNetV3Configuration

    def __init__(self, layout: MobileNetV3Layout) -> None:
        super().__init__(
            layout,
            Beginning(
                layout.stem_stride,
                'h_swish',
                layout.first_block_stride,
                layout.first_block_activation,
            ),
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
        trunk = self._extract_trunk(configuration, share_weights)
        layout = self.layout
        final_expand = self._part('final_expand')
        classifier = nn.Linear(layout.feature_width, layout.classes, device='meta')
        classifier.weight = parameter_from(self.classifier.weight, share_weights)
        classifier.bias = parameter_from(self.classifier.bias, share_weights)
        static = MobileNetV3(
            stem=trunk.stem,
            first_block=trunk.first_block,
            stages=trunk.stages,
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

    def _initialise(self) -> None:
        """Draw fan-out normal weights (He et al., 2015), as the published networks do."""
        initialise_convolutions(self)
        nn.init.normal_(self.classifier.weight, 0.0, 1.0 / math.sqrt(self.layout.feature_width))
        nn.init.zeros_(self.classifier.bias)

    def _batch_norms(self, configuration: MobileNetV3Configuration) -> Iterator[tuple[str, int]]:
        yield from self._trunk_batch_norms(configuration)
        yield 'final_expand.batch_norm', self.layout.final_expand_width

    def _costs(self, configuration: MobileNetV3Configuration) -> Iterator[Costs]:
        configuration.check(self.layout)
        layout = self.layout
        yield from self._trunk_costs(configuration)
        size = shrunk(configuration.size, layout.stem_stride)
        for plan in self._plans(configuration):
            size = shrunk(size, plan.stride)
        yield convolution_costs(layout.stages[-1].width * layout.final_expand_width, size)
        yield convolution_costs(layout.final_expand_width * layout.feature_width, Size(1, 1))
        weights = layout.feature_width * layout.classes
        yield weights, weights + layout.classes
