# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Once-for-All detector: elastic kernel size, width, depth, and height and width of the input.

The backbone is that of a Once-for-All MobileNetV3 (Cai et al., ICLR 2020); pyramid and head are
the same for all sub-networks. It answers as NanoDet-Plus does: N x points x (classes + 4 x steps).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import nn

from dynamic_dnn_ros.networks.detector_layers import (
    Detector,
    Head,
    Pyramid,
    copied,
    layer_costs,
)
from dynamic_dnn_ros.networks.detector_layouts import (
    LAYOUTS,
    STEM_STRIDE,
    STRIDES,
    DetectorConfiguration,
    DetectorLayout,
)
from dynamic_dnn_ros.networks.elastic_mobile import Beginning, ElasticMobileNetwork
from dynamic_dnn_ros.networks.mobile_blocks import Costs, initialise_convolutions, shrunk


class OfaDetector(ElasticMobileNetwork[DetectorLayout, DetectorConfiguration]):
    """
    The super-network; a fresh one runs its largest sub-network.

    In training mode it answers logits in place of scores, as its sub-networks do.
    """

    family = 'ofa_detector'
    task = 'detection'
    output_name = 'output'
    last_layers = ('head',)
    layouts = LAYOUTS
    layout_class = DetectorLayout
    configuration_class = DetectorConfiguration

    def __init__(self, layout: DetectorLayout) -> None:
        super().__init__(layout, Beginning(STEM_STRIDE, layout.activation, 1, layout.activation))
        self.pyramid = Pyramid(
            [layout.stages[tap].width for tap in layout.taps],
            layout.pyramid_width,
            layout.pyramid_kernel_size,
            layout.activation,
        )
        self.head = Head(
            len(STRIDES),
            layout.pyramid_width,
            layout.head_blocks,
            layout.pyramid_kernel_size,
            layout.activation,
            layout.classes,
            layout.outputs,
        )
        initialise_convolutions(self)
        self.head.initialise()
        self.activate(self.largest())

    def landmarks(self) -> tuple[DetectorConfiguration, ...]:
        """
        Return the smallest, and the largest architecture at some sizes, up to the largest.

        Of all that a detector can do without, pixels cost it least for what they save.
        """
        sides = sorted(set(self.layout.heights) & set(self.layout.widths))
        middle = {sides[round(share * (len(sides) - 1))] for share in (0.25, 0.5)} if sides else ()
        squares = [self.largest({'height': (side,), 'width': (side,)}) for side in middle]
        found = {
            self.multiply_adds(each): each for each in (self.smallest(), *squares, self.largest())
        }
        return tuple(found[cost] for cost in sorted(found))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the active sub-network answers, N x points x outputs."""
        features = self.first_block(self.stem(images))
        tapped = []
        for index, (stage, depth) in enumerate(zip(self.stages, self._active.depth)):
            for block in islice(stage.children(), depth):
                features = block(features)
            if index in self.layout.taps:
                tapped.append(features)
        outputs: torch.Tensor = self.head(self.pyramid(tapped))
        return outputs

    @torch.no_grad()
    def extract(
        self, configuration: DetectorConfiguration, share_weights: bool = False
    ) -> Detector:
        """Return one sub-network as a static module; see the contract."""
        trunk = self._extract_trunk(configuration, share_weights)
        static = Detector(
            stem=trunk.stem,
            first_block=trunk.first_block,
            stages=trunk.stages,
            pyramid=copied(self.pyramid, share_weights),
            head=copied(self.head, share_weights),
            taps=self.layout.taps,
        )
        return static.eval()

    def _batch_norms(self, configuration: DetectorConfiguration) -> Iterator[tuple[str, int]]:
        yield from self._trunk_batch_norms(configuration)
        for part in ('pyramid', 'head'):
            for name, module in self.get_submodule(part).named_modules(prefix=part):
                if isinstance(module, nn.BatchNorm2d):
                    yield name, module.num_features

    def _costs(self, configuration: DetectorConfiguration) -> Iterator[Costs]:
        configuration.check(self.layout)
        yield from self._trunk_costs(configuration)
        sizes = [shrunk(configuration.size, stride) for stride in STRIDES]
        yield from layer_costs(self.pyramid, self.head, sizes)
