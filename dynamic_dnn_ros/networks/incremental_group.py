# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Incremental training and group convolution pruning: groups of channels, trained one by one.

Xun et al., Incremental Training and Group Convolution Pruning for Runtime DNN Performance Scaling
on Heterogeneous Embedded Platforms, MLCAD 2019 (arXiv 2105.03600). The channels of every layer
lie in groups of equal width, and the classifier adds what each group says. Configuration k runs
the first k groups. No group reads a later one, so each channel sees the same inputs in every
configuration that has it: one copy of weights *and* of batch-norm statistics serves all, and a
configuration stays bit for bit what it was while later groups are trained.

In the published networks groups read nothing but themselves (`connections: independent`), so each
starts from the pixels again and configuration k is a sum of k narrow networks. The layouts here
let a group read the earlier ones too (`earlier`). With groups of width w, layers then cost
w * w * k * (k + 1) / 2 instead of w * w * k: all four groups use the features of all before, and
the smallest configuration is a tenth of the largest instead of a quarter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
import dataclasses
from itertools import islice
import math
import random
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.checks import (
    ConfigurationError,
    one_of,
    parts_of,
    require_choice,
    require_fields,
    require_positive,
)
from dynamic_dnn_ros.networks.contract import Choices, DynamicNetwork, Step
from dynamic_dnn_ros.networks.cutting import run_steps
from dynamic_dnn_ros.networks.mobile_layers import ConvolutionLayer
from dynamic_dnn_ros.pictures.placement import Size

_COLOURS = 3
_KERNEL_SIZE = 3


@dataclasses.dataclass(frozen=True)
class LayerLayout:
    """A 3x3 convolution: the output channels of each group, and by how much it shrinks."""

    width: int
    stride: int


@dataclasses.dataclass(frozen=True)
class IncrementalGroupLayout:
    """
    What is fixed for a network.

    There is one resolution, since another would need batch-norm statistics of its own.

    :param connections: 'independent', groups read only themselves; 'earlier', also those before.
    :raises ConfigurationError: naming the field that is illegal.
    """

    groups: int
    connections: str
    layers: tuple[LayerLayout, ...]
    resolution: int
    classes: int

    def __post_init__(self) -> None:
        for name in ('groups', 'resolution', 'classes'):
            require_positive(name, getattr(self, name))
        require_choice('connections', self.connections, ('independent', 'earlier'))
        if not self.layers:
            raise ConfigurationError('layers', self.layers, 'at least one layer')
        for index, layer in enumerate(self.layers):
            require_positive(f'layers[{index}].width', layer.width)
            require_choice(f'layers[{index}].stride', layer.stride, (1, 2))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> IncrementalGroupLayout:
        """
        Return the layout that a mapping describes.

        :raises ConfigurationError: for a missing, unknown or illegal field.
        """
        require_fields('layout', cls, mapping)
        layers = parts_of('layers', mapping['layers'], LayerLayout)
        return cls(**{**mapping, 'layers': layers})

    def to_mapping(self) -> dict[str, Any]:
        """Return the layout as plain lists and numbers."""
        return {**dataclasses.asdict(self), 'layers': [vars(layer) for layer in self.layers]}

    @property
    def reads_earlier(self) -> bool:
        """Return whether a group reads the groups before it."""
        return self.connections == 'earlier'

    def in_channels(self, group: int, layer: int) -> int:
        """Return how many channels a layer of a group reads; both count from 0."""
        if layer == 0:
            return _COLOURS
        return self.layers[layer - 1].width * (group + 1 if self.reads_earlier else 1)


@dataclasses.dataclass(frozen=True)
class IncrementalGroupConfiguration:
    """One sub-network: how many groups run, counted from the first."""

    groups: int
    resolution: int

    @property
    def size(self) -> Size:
        """Return height and width of the input, pixels."""
        return Size(self.resolution, self.resolution)

    def check(self, layout: IncrementalGroupLayout) -> None:
        """
        Check the configuration against a layout.

        :raises ConfigurationError: naming the field, its value and the allowed values.
        """
        require_choice('groups', self.groups, tuple(range(1, layout.groups + 1)))
        require_choice('resolution', self.resolution, (layout.resolution,))

    def to_mapping(self) -> dict[str, Any]:
        """Return the configuration as plain numbers."""
        return dataclasses.asdict(self)


LAYOUTS: dict[str, IncrementalGroupLayout] = {
    'incremental_group_32x32': IncrementalGroupLayout(
        groups=4,
        connections='earlier',
        layers=(
            LayerLayout(16, 1),
            LayerLayout(16, 2),
            LayerLayout(16, 1),
            LayerLayout(32, 2),
            LayerLayout(32, 1),
            LayerLayout(64, 2),
            LayerLayout(64, 1),
        ),
        resolution=32,
        classes=10,
    ),
}
"""Layouts by name."""


class ChannelGroup(nn.Module):
    """One group of channels: its part of every convolution, and of the classifier."""

    def __init__(
        self, layers: Iterable[ConvolutionLayer], classifier: nn.Linear, reads_earlier: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.classifier = classifier
        self._reads_earlier = reads_earlier

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """
        Add this group's share to the logits of the groups before it.

        :param values: the images for the first group; for another one what the group before gave.
        :return: the logits, N x classes, the images, and what the next group may read: of every
            layer but the last the channels of this and all earlier groups; none where groups are
            independent.
        """
        logits: torch.Tensor | None = None
        images, *earlier = values
        if len(values) > 1:
            logits, images, *earlier = values
        features = images
        readable = []
        # A convolution for each group, instead of one for all: its shapes, and so the order of
        # its sums, are the same whichever later groups run.
        for index, layer in enumerate(self.layers):
            if index > 0 and self._reads_earlier:
                if earlier:
                    features = torch.cat((earlier[index - 1], features), 1)
                readable.append(features)
            features = layer(features)
        share: torch.Tensor = self.classifier(features.mean((2, 3)))
        return share if logits is None else logits + share, images, *readable


class GroupNetwork(nn.Module):
    """A static network of the first groups."""

    def __init__(self, groups: Iterable[ChannelGroup]) -> None:
        super().__init__()
        self.groups = nn.ModuleList(groups)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, N x classes."""
        (logits,) = run_steps(_steps(self.groups), images)
        return logits


class IncrementalGroup(DynamicNetwork[IncrementalGroupConfiguration]):
    """The network of all groups; a fresh one runs them all."""

    family = 'incremental_group'
    last_layers = ('groups.*.classifier',)
    statistics_per_sub_network = False

    def __init__(self, layout: IncrementalGroupLayout) -> None:
        super().__init__()
        self.layout = layout
        self.groups = nn.ModuleList(_channel_group(layout, k) for k in range(layout.groups))
        self._frozen_groups = 0
        self.activate(self.largest())

    @classmethod
    def from_layout(cls, layout: str | Mapping[str, Any]) -> IncrementalGroup:
        """Create the network of a layout; see the contract."""
        if isinstance(layout, str):
            if layout not in LAYOUTS:
                raise ConfigurationError('layout', layout, one_of(tuple(LAYOUTS)))
            return cls(LAYOUTS[layout])
        return cls(IncrementalGroupLayout.from_mapping(layout))

    def layout_mapping(self) -> dict[str, Any]:
        """Return the layout as plain values."""
        return self.layout.to_mapping()

    def configuration(self, mapping: Mapping[str, Any]) -> IncrementalGroupConfiguration:
        """Return the legal configuration that a mapping describes; see the contract."""
        require_fields('configuration', IncrementalGroupConfiguration, mapping)
        configuration = IncrementalGroupConfiguration(**mapping)
        configuration.check(self.layout)
        return configuration

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Return the choices: all numbers of groups at the one resolution."""
        return {
            'groups': tuple(range(1, self.layout.groups + 1)),
            'resolution': (self.layout.resolution,),
        }

    def uniform(self, values: Mapping[str, int]) -> IncrementalGroupConfiguration:
        """Return the configuration of the given values; see the contract."""
        return self.configuration(values)

    def sample(
        self, generator: random.Random, within: Choices | None = None
    ) -> IncrementalGroupConfiguration:
        """Return a random configuration; see the contract."""
        choices = self.choices_within(within)
        return self.configuration(
            {name: generator.choice(values) for name, values in choices.items()}
        )

    def landmarks(self) -> tuple[IncrementalGroupConfiguration, ...]:
        """Return every configuration."""
        return tuple(
            IncrementalGroupConfiguration(groups, self.layout.resolution)
            for groups in self.choices()['groups']
        )

    def activate(self, configuration: IncrementalGroupConfiguration) -> None:
        """Make forward run the first groups: sets a number, moves no weight."""
        configuration.check(self.layout)
        self._active = configuration

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of the active sub-network, N x classes."""
        (logits,) = run_steps(self.steps(), images)
        return logits

    def places(self, configuration: IncrementalGroupConfiguration) -> dict[str, tuple[int, ...]]:
        """Return a place after each group but the last: the logits so far are an answer."""
        configuration.check(self.layout)
        shape = (self.layout.classes,)
        return {f'groups.{index}': shape for index in range(configuration.groups - 1)}

    def steps(self) -> tuple[Step, ...]:
        """Return the groups of the active sub-network; see the contract."""
        return _steps(islice(self.groups, self._active.groups))

    def extract_steps(
        self, configuration: IncrementalGroupConfiguration, share_weights: bool = False
    ) -> tuple[Step, ...]:
        """Return the groups of a sub-network; see the contract."""
        return _steps(self.extract(configuration, share_weights).groups)

    def freeze(self, configuration: IncrementalGroupConfiguration | None) -> None:
        """Keep the groups of a sub-network as they are while later ones train."""
        if configuration is not None:
            configuration.check(self.layout)
        self._frozen_groups = 0 if configuration is None else configuration.groups
        for index, group in enumerate(self.groups):
            group.requires_grad_(index >= self._frozen_groups)
            if index < self._frozen_groups:
                group.zero_grad(set_to_none=True)
        self.train(self.training)

    def train(self, mode: bool = True) -> IncrementalGroup:
        """Set the mode of all modules but the frozen ones, which stay in eval mode."""
        super().train(mode)
        for group in islice(self.groups, self._frozen_groups):
            group.eval()
        return self

    @torch.no_grad()
    def extract(
        self, configuration: IncrementalGroupConfiguration, share_weights: bool = False
    ) -> GroupNetwork:
        """Return one sub-network as a static module; see the contract."""
        configuration.check(self.layout)
        groups = []
        for index in range(configuration.groups):
            group = _channel_group(self.layout, index, device='meta')
            source = self.groups[index]
            statistics = {name: buffer.clone() for name, buffer in source.named_buffers()}
            weights = {
                name: parameter.detach() if share_weights else parameter.detach().clone()
                for name, parameter in source.named_parameters()
            }
            group.load_state_dict({**statistics, **weights}, assign=True)
            groups.append(group.requires_grad_(False))
        return GroupNetwork(groups).eval()

    def multiply_adds(self, configuration: IncrementalGroupConfiguration) -> int:
        """Return the multiply-adds of one picture, from the layout alone."""
        configuration.check(self.layout)
        return (
            sum(weights * side * side for weights, side in self._layers(configuration))
            + configuration.groups * self._classifier_weights
        )

    def parameter_count(self, configuration: IncrementalGroupConfiguration) -> int:
        """Return the number of trainable parameters, from the layout alone."""
        configuration.check(self.layout)
        batch_norms = 2 * sum(layer.width for layer in self.layout.layers)
        of_each_group = batch_norms + self._classifier_weights + self.layout.classes
        filters = sum(weights for weights, _ in self._layers(configuration))
        return filters + configuration.groups * of_each_group

    def layer_count(self, configuration: IncrementalGroupConfiguration) -> int:
        """Return the number of convolutions and linear layers."""
        configuration.check(self.layout)
        return configuration.groups * (len(self.layout.layers) + 1)

    def active_batch_norms(self) -> Iterator[tuple[str, nn.BatchNorm2d, int]]:
        """Yield nothing: all sub-networks have the same statistics, which are weights here."""
        return iter(())

    @property
    def _classifier_weights(self) -> int:
        return self.layout.layers[-1].width * self.layout.classes

    def _layers(self, configuration: IncrementalGroupConfiguration) -> Iterator[tuple[int, int]]:
        """Yield the number of weights and the side of the output of each convolution."""
        for group in range(configuration.groups):
            side = self.layout.resolution
            for index, layer in enumerate(self.layout.layers):
                side = math.ceil(side / layer.stride)
                in_channels = self.layout.in_channels(group, index)
                yield in_channels * layer.width * _KERNEL_SIZE**2, side


class _Answer(nn.Module):
    """What the last group says, without what another one would read."""

    def forward(self, logits: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return logits


def _steps(groups: Iterable[nn.Module]) -> tuple[Step, ...]:
    """Return groups one after the other, the first group's first, and the sum of their logits."""
    found = [
        Step(group, f'groups.{index}', f'groups.{index}') for index, group in enumerate(groups)
    ]
    # After the last group nothing is left to be cut off.
    return (*found[:-1], found[-1]._replace(place=''), Step(_Answer()))


def _channel_group(
    layout: IncrementalGroupLayout, group: int, device: str | None = None
) -> ChannelGroup:
    layers = []
    for index, layer in enumerate(layout.layers):
        convolution = nn.Conv2d(
            layout.in_channels(group, index),
            layer.width,
            _KERNEL_SIZE,
            layer.stride,
            _KERNEL_SIZE // 2,
            bias=False,
            device=device,
        )
        # He et al., 2015: the deviation of the outputs is that of the inputs.
        nn.init.kaiming_normal_(convolution.weight, nonlinearity='relu')
        batch_norm = nn.BatchNorm2d(layer.width, device=device)
        layers.append(ConvolutionLayer(convolution, batch_norm, nn.ReLU(inplace=True)))
    classifier = nn.Linear(layout.layers[-1].width, layout.classes, device=device)
    return ChannelGroup(layers, classifier, layout.reads_earlier)
