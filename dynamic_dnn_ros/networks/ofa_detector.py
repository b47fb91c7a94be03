# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Once-for-All detector: elastic kernel size, width, depth, and height and width of the input.

The backbone is that of a Once-for-All MobileNetV3 (Cai et al., ICLR 2020); pyramid and head are
the same for all sub-networks. It answers as NanoDet-Plus does: N x points x (classes + 4 x steps).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
import random
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.checks import one_of, require_fields
from dynamic_dnn_ros.networks.contract import Choices, ConfigurationError, DynamicNetwork
from dynamic_dnn_ros.networks.detector_layers import (
    Detector,
    Head,
    Pyramid,
    copied,
    layer_costs,
)
from dynamic_dnn_ros.networks.detector_layouts import (
    LAYOUTS,
    STRIDES,
    DetectorConfiguration,
    DetectorLayout,
)
from dynamic_dnn_ros.networks.elastic_layers import ElasticBatchNorm2d, plain_convolution
from dynamic_dnn_ros.networks.mobile_blocks import (
    COLOURS,
    FIRST_KERNEL_SIZE,
    BlockPlan,
    Costs,
    activate_block,
    convolution_costs,
    elastic_block,
    elastic_stages,
    extract_block,
    initialise_convolutions,
    shrunk,
    sort_block_channels,
    stage_plans,
)
from dynamic_dnn_ros.networks.mobile_layers import ConvolutionLayer, activation_named

_STEM_STRIDE = 2


class OfaDetector(DynamicNetwork[DetectorConfiguration]):
    """
    The super-network; a fresh one runs its largest sub-network.

    In training mode it answers logits in place of scores, as its sub-networks do.
    """

    family = 'ofa_detector'
    task = 'detection'
    output_name = 'output'

    def __init__(self, layout: DetectorLayout) -> None:
        super().__init__()
        self.layout = layout
        self.stem = ConvolutionLayer(
            nn.Conv2d(
                COLOURS,
                layout.stem_width,
                FIRST_KERNEL_SIZE,
                _STEM_STRIDE,
                FIRST_KERNEL_SIZE // 2,
                bias=False,
            ),
            ElasticBatchNorm2d(layout.stem_width),
            activation_named(layout.activation),
        )
        self.first_block = elastic_block(
            layout.stem_width,
            layout.stem_width,
            layout.first_block_width,
            (FIRST_KERNEL_SIZE,),
            1,
            layout.activation,
            squeeze_excitation=False,
            expands=False,
        )
        self.stages = elastic_stages(
            layout.stages,
            layout.blocks_per_stage,
            layout.first_block_width,
            layout.expand_ratios[-1],
            layout.kernel_sizes,
        )
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

    @classmethod
    def from_layout(cls, layout: str | Mapping[str, Any]) -> OfaDetector:
        """Create the network of a layout; see the contract."""
        if isinstance(layout, str):
            if layout not in LAYOUTS:
                raise ConfigurationError('layout', layout, one_of(tuple(LAYOUTS)))
            return cls(LAYOUTS[layout])
        return cls(DetectorLayout.from_mapping(layout))

    def layout_mapping(self) -> dict[str, Any]:
        """Return the layout as plain values."""
        return self.layout.to_mapping()

    def configuration(self, mapping: Mapping[str, Any]) -> DetectorConfiguration:
        """Return the legal configuration that a mapping describes; see the contract."""
        return DetectorConfiguration.from_mapping(mapping, self.layout)

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Return the choices; each of a list's entries has those of its field."""
        return {
            'kernel_size': self.layout.kernel_sizes,
            'expand_ratio': self.layout.expand_ratios,
            'depth': self.layout.depths,
            'height': self.layout.heights,
            'width': self.layout.widths,
        }

    def uniform(self, values: Mapping[str, int]) -> DetectorConfiguration:
        """Return the configuration whose blocks, and stages, are all alike; see the contract."""
        require_fields('values', DetectorConfiguration, values)
        configuration = DetectorConfiguration(
            kernel_size=(values['kernel_size'],) * self.layout.blocks,
            expand_ratio=(values['expand_ratio'],) * self.layout.blocks,
            depth=(values['depth'],) * len(self.layout.stages),
            height=values['height'],
            width=values['width'],
        )
        configuration.check(self.layout)
        return configuration

    def sample(
        self, generator: random.Random, within: Choices | None = None
    ) -> DetectorConfiguration:
        """Return a random configuration; see the contract."""
        choices = self.choices_within(within)
        blocks = self.layout.blocks
        return DetectorConfiguration(
            kernel_size=tuple(generator.choices(choices['kernel_size'], k=blocks)),
            expand_ratio=tuple(generator.choices(choices['expand_ratio'], k=blocks)),
            depth=tuple(generator.choices(choices['depth'], k=len(self.layout.stages))),
            height=generator.choice(choices['height']),
            width=generator.choice(choices['width']),
        )

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

    def activate(self, configuration: DetectorConfiguration) -> None:
        """Make forward run this sub-network: sets numbers, moves no weight."""
        configuration.check(self.layout)
        self._active = configuration
        for plan in self._elastic_plans(configuration):
            activate_block(self.get_submodule(plan.name), plan)

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
        configuration.check(self.layout)
        stages = [nn.Sequential() for _ in self.layout.stages]
        for plan in self._elastic_plans(configuration):
            stage = stages[int(plan.name.split('.')[1])]
            stage.append(extract_block(self.get_submodule(plan.name), plan, share_weights))
        stem: Any = self.stem
        static = Detector(
            stem=ConvolutionLayer(
                plain_convolution(
                    stem.convolution.weight, stride=_STEM_STRIDE, share_weights=share_weights
                ),
                stem.batch_norm.extract(self.layout.stem_width, share_weights),
                activation_named(self.layout.activation),
            ),
            first_block=extract_block(self.first_block, self._first_block_plan(), share_weights),
            stages=nn.Sequential(*stages),
            pyramid=copied(self.pyramid, share_weights),
            head=copied(self.head, share_weights),
            taps=self.layout.taps,
        )
        return static.eval()

    def multiply_adds(self, configuration: DetectorConfiguration) -> int:
        """Return the multiply-adds of one picture, from the plan alone."""
        return sum(multiply_adds for multiply_adds, _ in self._costs(configuration))

    def parameter_count(self, configuration: DetectorConfiguration) -> int:
        """Return the number of trainable parameters, from the plan alone."""
        layers = sum(parameters for _, parameters in self._costs(configuration))
        return layers + sum(2 * channels for _, channels in self._batch_norms(configuration))

    def layer_count(self, configuration: DetectorConfiguration) -> int:
        """Return the number of convolutions."""
        return sum(1 for _ in self._costs(configuration))

    def active_batch_norms(self) -> Iterator[tuple[str, nn.BatchNorm2d, int]]:
        """Yield name, module and number of channels of each active batch-norm layer."""
        for name, channels in self._batch_norms(self._active):
            module = self.get_submodule(name)
            assert isinstance(module, nn.BatchNorm2d)
            yield name, module, channels

    def sort_channels(self, trained: Choices | None = None) -> None:
        """Sort the channels inside each bottleneck, the most important first."""
        ratios = (trained or {}).get('expand_ratio', ())
        for plan in self._elastic_plans(self.largest()):
            sort_block_channels(self.get_submodule(plan.name), plan.in_channels, ratios)

    def _first_block_plan(self) -> BlockPlan:
        return BlockPlan(
            name='first_block',
            in_channels=self.layout.stem_width,
            hidden_channels=self.layout.stem_width,
            out_channels=self.layout.first_block_width,
            kernel_size=FIRST_KERNEL_SIZE,
            stride=1,
            expands=False,
            squeeze_excitation=False,
        )

    def _elastic_plans(self, configuration: DetectorConfiguration) -> Iterator[BlockPlan]:
        return stage_plans(
            self.layout.stages,
            self.layout.blocks_per_stage,
            self.layout.first_block_width,
            configuration.depth,
            configuration.expand_ratio,
            configuration.kernel_size,
        )

    def _batch_norms(self, configuration: DetectorConfiguration) -> Iterator[tuple[str, int]]:
        yield 'stem.batch_norm', self.layout.stem_width
        yield from self._first_block_plan().batch_norms()
        for plan in self._elastic_plans(configuration):
            yield from plan.batch_norms()
        for part in ('pyramid', 'head'):
            for name, module in self.get_submodule(part).named_modules(prefix=part):
                if isinstance(module, nn.BatchNorm2d):
                    yield name, module.num_features

    def _costs(self, configuration: DetectorConfiguration) -> Iterator[Costs]:
        """Yield multiply-adds and parameters of each convolution."""
        configuration.check(self.layout)
        layout = self.layout
        size = shrunk(configuration.size, _STEM_STRIDE)
        yield convolution_costs(COLOURS * layout.stem_width * FIRST_KERNEL_SIZE**2, size)
        yield from self._first_block_plan().costs(size)
        for plan in self._elastic_plans(configuration):
            yield from plan.costs(size)
            size = shrunk(size, plan.stride)
        sizes = [shrunk(configuration.size, stride) for stride in STRIDES]
        yield from layer_costs(self.pyramid, self.head, sizes)
