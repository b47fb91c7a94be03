# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A residual network whose blocks decide by the picture.

Han et al., Latency-aware Unified Dynamic Networks, TPAMI 2024 (arXiv 2308.15949). The published
networks compute everything and multiply by masks. Here `extract` gives that, to compare with, and
`extract_stages` what is served: a block that nothing of a picture needs is a stage that is not
run; of one that runs for some patches these are gathered with their halo, computed as a batch and
scattered back; of one that runs for some groups of channels only their filters are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import random
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.adaptive_layers import (
    ResidualBlock,
    convolution_layer,
)
from dynamic_dnn_ros.networks.adaptive_layouts import (
    CHANNELS,
    LAYOUTS,
    PATCHES,
    AdaptiveConfiguration,
    AdaptiveLayout,
    AdaptiveStageLayout,
)
from dynamic_dnn_ros.networks.adaptive_stages import extracted_parts, parts_of, routes_of
from dynamic_dnn_ros.networks.checks import (
    ConfigurationError,
    one_of,
    require_choice,
    require_fields,
)
from dynamic_dnn_ros.networks.contract import Choices, DynamicNetwork
from dynamic_dnn_ros.networks.decisions import Decisions

_COLOURS = 3

#: Choices of `threshold`, percent, the cheapest first.
_THRESHOLDS = (80, 65, 50)

_BUFFERS = ('running_mean', 'running_var', 'num_batches_tracked')


class AdaptiveStage(nn.Module):
    """A convolution of stride 2, and blocks."""

    def __init__(self, inputs: int, stage: AdaptiveStageLayout, masked: bool) -> None:
        super().__init__()
        self.shrink = convolution_layer(inputs, stage.width, 3, 2)
        self.blocks = nn.ModuleList(ResidualBlock(stage, masked) for _ in range(stage.blocks))


class AdaptiveLayers(nn.Module):
    """A static network; without maskers it is undivided, with them it is masked."""

    def __init__(self, layout: AdaptiveLayout, decisions: Decisions | None) -> None:
        super().__init__()
        _add_layers(self, layout, masked=decisions is not None)
        self._decisions = decisions

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, N x classes."""
        return _run(self, images, self._decisions)


def _add_layers(network: nn.Module, layout: AdaptiveLayout, masked: bool) -> None:
    network.stem = convolution_layer(_COLOURS, layout.stem, 3, 2)
    widths = [layout.stem, *(stage.width for stage in layout.stages)]
    network.stages = nn.ModuleList(
        AdaptiveStage(inputs, stage, masked) for inputs, stage in zip(widths, layout.stages)
    )
    network.classifier = nn.Linear(widths[-1], layout.classes)


def _run(network: Any, images: torch.Tensor, decisions: Decisions | None) -> torch.Tensor:
    """Return logits, N x classes, with every block computed."""
    if decisions is not None:
        decisions.begin()
    features = network.stem(images)
    for stage in network.stages:
        features = begun = stage.shrink(features)
        for block in stage.blocks:
            if decisions is None:
                features = block(features)
            else:
                features = block.masked(features, decisions.mask(block.masker(begun)))
    logits: torch.Tensor = network.classifier(features.mean((2, 3)))
    return logits


class BlockDecisions(Decisions):
    """Decisions whose work is counted in multiply-adds."""

    def __init__(self, layout: AdaptiveLayout) -> None:
        super().__init__()
        self._blocks = [
            (stage, layout.side(group) ** 2)
            for group, stage in enumerate(layout.stages)
            for _ in range(stage.blocks)
        ]

    def work(self) -> torch.Tensor:
        """Return the multiply-adds that ran, as a share of those that are decided on."""
        ran, all_of_them = torch.zeros(()), 0
        for (stage, places), rate in zip(self._blocks, self.rates):
            outer, inner = (places * part for part in _block_parts(stage))
            of_inner = rate.square() if stage.mode == CHANNELS else rate
            ran = ran + outer * rate + inner * of_inner
            all_of_them += outer + inner
        return ran / all_of_them


class AdaptiveResNet(DynamicNetwork[AdaptiveConfiguration]):
    """The network with all of its maskers; a fresh one decides by the picture."""

    family = 'adaptive_resnet'
    last_layers = ('classifier',)
    statistics_per_sub_network = False

    def __init__(self, layout: AdaptiveLayout) -> None:
        super().__init__()
        self.layout = layout
        _add_layers(self, layout, masked=True)
        self._decisions = BlockDecisions(layout)
        self.activate(self.largest())

    @classmethod
    def from_layout(cls, layout: str | Mapping[str, Any]) -> AdaptiveResNet:
        """Create the network of a layout; see the contract."""
        if isinstance(layout, str):
            if layout not in LAYOUTS:
                raise ConfigurationError('layout', layout, one_of(tuple(LAYOUTS)))
            return cls(LAYOUTS[layout])
        return cls(AdaptiveLayout.from_mapping(layout))

    def layout_mapping(self) -> dict[str, Any]:
        """Return the layout as plain values."""
        return self.layout.to_mapping()

    def configuration(self, mapping: Mapping[str, Any]) -> AdaptiveConfiguration:
        """Return the legal configuration that a mapping describes; see the contract."""
        require_fields('configuration', AdaptiveConfiguration, mapping)
        for name, allowed in self.choices().items():
            require_choice(name, mapping[name], allowed)
        return AdaptiveConfiguration(**mapping)

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Return the choices."""
        return {
            'ways': (1, 2),
            'threshold': _THRESHOLDS,
            'resolution': (self.layout.resolution,),
        }

    def uniform(self, values: Mapping[str, int]) -> AdaptiveConfiguration:
        """Return the configuration of the given values; see the contract."""
        return self.configuration(values)

    def sample(
        self, generator: random.Random, within: Choices | None = None
    ) -> AdaptiveConfiguration:
        """Return a random configuration; see the contract."""
        choices = self.choices_within(within)
        return self.configuration(
            {name: generator.choice(values) for name, values in choices.items()}
        )

    def landmarks(self) -> tuple[AdaptiveConfiguration, ...]:
        """Return the undivided one, and the one that decides as it was trained to."""
        return self.largest({'ways': (1,)}), self.largest()

    def decisions(self) -> Decisions | None:
        """Return how the active sub-network decides; None: it is undivided."""
        return self._decisions if self._active.ways > 1 else None

    def activate(self, configuration: AdaptiveConfiguration) -> None:
        """Make forward run a sub-network: sets numbers, moves no weight."""
        self.configuration(configuration.to_mapping())
        self._active = configuration
        self._decisions.threshold = configuration.threshold / 100

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of the active sub-network, N x classes; nothing is left out."""
        return _run(self, images, self.decisions())

    @torch.no_grad()
    def extract(
        self, configuration: AdaptiveConfiguration, share_weights: bool = False
    ) -> AdaptiveLayers:
        """Return one sub-network as a static module, masked where it is adaptive."""
        self.configuration(configuration.to_mapping())
        decisions = BlockDecisions(self.layout) if configuration.ways > 1 else None
        if decisions is not None:
            decisions.threshold = configuration.threshold / 100
        with torch.device('meta'):
            static = AdaptiveLayers(self.layout, decisions)
        wanted = static.state_dict().keys()
        tensors = {
            name: tensor.detach()
            if share_weights and not name.endswith(_BUFFERS)
            else tensor.detach().clone()
            for name, tensor in self.state_dict().items()
            if name in wanted
        }
        static.load_state_dict(tensors, assign=True)
        return static.requires_grad_(False).eval()

    def extract_stages(
        self, configuration: AdaptiveConfiguration, share_weights: bool = False
    ) -> tuple[nn.Module, ...]:
        """Return the parts of an adaptive sub-network; the undivided one is one piece."""
        static = self.extract(configuration, share_weights)
        if configuration.ways == 1:
            return ()
        return tuple(extracted_parts(static, self.layout, configuration.threshold / 100))

    def stage_routes(self, configuration: AdaptiveConfiguration) -> tuple[tuple[int, ...], ...]:
        """Return what may run after each stage; see the contract."""
        return routes_of(self.layout) if configuration.ways > 1 else ()

    def stage_names(self, configuration: AdaptiveConfiguration) -> tuple[str, ...]:
        """Return the names of the stages of an adaptive sub-network."""
        if configuration.ways == 1:
            return ()
        return tuple(part.name for part in parts_of(self.layout))

    def multiply_adds(self, configuration: AdaptiveConfiguration) -> int:
        """Return the multiply-adds of one picture, none left out, from the layout alone."""
        self.configuration(configuration.to_mapping())
        whole = _undivided(self.layout)
        if configuration.ways == 1:
            return whole
        return whole + sum(
            each.weight.numel() * _places_of_masker(self.layout, int(name.split('.')[1]))
            for name, each in self.named_modules()
            if '.masker.' in name and isinstance(each, nn.Conv2d)
        )

    def parameter_count(self, configuration: AdaptiveConfiguration) -> int:
        """Return the number of trainable parameters."""
        self.configuration(configuration.to_mapping())
        return sum(
            each.numel()
            for name, each in self.named_parameters()
            if configuration.ways > 1 or '.masker.' not in name
        )

    def layer_count(self, configuration: AdaptiveConfiguration) -> int:
        """Return the number of convolutions and linear layers."""
        self.configuration(configuration.to_mapping())
        return sum(
            1
            for name, each in self.named_modules()
            if isinstance(each, (nn.Conv2d, nn.Linear))
            and (configuration.ways > 1 or '.masker.' not in name)
        )

    def active_batch_norms(self) -> Iterator[tuple[str, nn.BatchNorm2d, int]]:
        """Yield nothing: all sub-networks have the same statistics, which are weights here."""
        return iter(())


def _places_of_masker(layout: AdaptiveLayout, group: int) -> int:
    """Return in how many places the maskers of a group look."""
    stage = layout.stages[group]
    return (layout.side(group) // stage.granularity) ** 2 if stage.mode == PATCHES else 1


def _block_parts(stage: AdaptiveStageLayout) -> tuple[int, int]:
    """Return the multiply-adds in one place of a block's 1x1 convolutions, and of its 3x3 one."""
    return 2 * stage.width * stage.middle, 9 * stage.middle**2


def _undivided(layout: AdaptiveLayout) -> int:
    """Return the multiply-adds of one picture without decisions."""
    total = 9 * _COLOURS * layout.stem * (layout.resolution // 2) ** 2
    inputs = layout.stem
    for index, stage in enumerate(layout.stages):
        block = sum(_block_parts(stage))
        total += (9 * inputs * stage.width + stage.blocks * block) * layout.side(index) ** 2
        inputs = stage.width
    return total + inputs * layout.classes
