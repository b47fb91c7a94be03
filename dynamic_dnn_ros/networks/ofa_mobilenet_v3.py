# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Once-for-All MobileNetV3: elastic kernel size, width, depth and resolution.

Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment, ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
import math
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.contract import ConfigurationError, Step
from dynamic_dnn_ros.networks.cutting import run_steps
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
from dynamic_dnn_ros.networks.mobile_layers import ConvolutionLayer, MeanOverPlaces, MobileNetV3
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
        (logits,) = run_steps(self.steps(), images)
        return logits

    def places(self, configuration: MobileNetV3Configuration) -> dict[str, tuple[int, ...]]:
        """
        Return a place after each block; see the contract.

        After block 1 of stage 2 it is `stages.2.1`, and `stages.2` after the last block of it.
        """
        configuration.check(self.layout)
        found: dict[str, tuple[int, ...]] = {}
        size = shrunk(configuration.size, self.layout.stem_stride)
        size = shrunk(size, self.layout.first_block_stride)
        for plan in self._elastic_plans(configuration):
            size = shrunk(size, plan.stride)
            _, stage, block = plan.name.split('.')
            place = _place(int(stage), int(block), configuration.depth[int(stage)])
            found[place] = (plan.out_channels, size.height, size.width)
        return found

    def with_beginning(
        self,
        configuration: MobileNetV3Configuration,
        beginning: MobileNetV3Configuration,
        place: int,
    ) -> MobileNetV3Configuration:
        """
        Return a sub-network that begins as another one; see the contract.

        Of the stage that the place lies in, it is as deep as its own configuration says, and at
        least as the place is.
        """
        blocks = [(index, n) for index, d in enumerate(beginning.depth) for n in range(d)]
        if not 0 <= place < len(blocks):
            raise ConfigurationError('place', place, f'a number below {len(blocks)}')
        stage, block = blocks[place]
        shared = stage * self.layout.blocks_per_stage + block + 1
        mapping = configuration.to_mapping()
        for name, of_beginning in (
            ('kernel_size', beginning.kernel_size),
            ('expand_ratio', beginning.expand_ratio),
        ):
            mapping[name] = [*of_beginning[:shared], *mapping[name][shared:]]
        depth = [*beginning.depth[:stage], *mapping['depth'][stage:]]
        depth[stage] = max(depth[stage], block + 1)
        return self.configuration({**mapping, 'depth': depth, 'resolution': beginning.resolution})

    def steps(self) -> tuple[Step, ...]:
        """Return the steps of the active sub-network; see the contract."""
        pairs = zip(self.stages, self._active.depth)
        return _steps(self, (list(islice(stage.children(), depth)) for stage, depth in pairs))

    def extract_steps(
        self, configuration: MobileNetV3Configuration, share_weights: bool = False
    ) -> tuple[Step, ...]:
        """Return the steps of a sub-network; see the contract."""
        static = self.extract(configuration, share_weights)
        return _steps(static, (list(stage.children()) for stage in static.stages))

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


def _steps(network: Any, stages: Iterable[list[nn.Module]]) -> tuple[Step, ...]:
    """
    Return the steps of an elastic or a static network.

    :param network: Any: its layers are elastic ones or plain ones.
    :param stages: the blocks of each that run.
    """
    found = [Step(network.stem, 'stem'), Step(network.first_block, 'first_block')]
    for index, blocks in enumerate(stages):
        found += [
            Step(block, f'stages.{index}.{number}', _place(index, number, len(blocks)))
            for number, block in enumerate(blocks)
        ]
    return (
        *found,
        Step(network.final_expand, 'final_expand'),
        Step(MeanOverPlaces()),
        Step(network.feature_mix, 'feature_mix'),
        Step(network.feature_activation, 'feature_activation'),
        Step(nn.Flatten()),
        Step(network.classifier, 'classifier'),
    )


def _place(stage: int, block: int, depth: int) -> str:
    return f'stages.{stage}' if block == depth - 1 else f'stages.{stage}.{block}'
