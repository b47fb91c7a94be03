# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is trained: a whole family of sub-networks, or one of them alone."""

from __future__ import annotations

import abc
from collections.abc import Sequence
import copy
import fnmatch
import json
import random
from typing import Any, ClassVar

import torch
from torch import nn

from dynamic_dnn_ros.networks.contract import (
    Choices,
    Configuration,
    ConfigurationError,
    DynamicNetwork,
    Step,
)
from dynamic_dnn_ros.networks.decisions import Decisions
from dynamic_dnn_ros.networks.depthwise import depthwise_convolution
from dynamic_dnn_ros.networks.exits import ExitNetwork
from dynamic_dnn_ros.training.batches import use_channels_last
from dynamic_dnn_ros.training.configuration import Phase

_MOST_ASPECT = 1.8
"""Of width and height, or height and width, where a size is drawn for a step."""


class Space(abc.ABC):
    """
    The sub-networks that a training draws from, behind what the rules need of them.

    `within` maps fields of a configuration to the values that a phase trains.
    """

    module: nn.Module
    """What holds the trained parameters."""

    changes_shapes: ClassVar[bool]
    """Whether the shapes of tensors change from step to step."""

    recalibrated: bool
    """Whether batch-norm statistics of sub-networks are averaged anew before they are used."""

    @abc.abstractmethod
    def identity(self) -> dict[str, str]:
        """Return what a checkpoint must agree with."""

    @abc.abstractmethod
    def enter(self, phase: Phase, earlier: Sequence[Phase], anew: bool) -> None:
        """
        Make the module ready for a phase.

        :param earlier: the phases before it.
        :param anew: whether the phase begins, rather than being resumed.
        """

    @abc.abstractmethod
    def largest(self, within: Choices) -> Configuration:
        """Return the configuration with the most multiply-adds."""

    @abc.abstractmethod
    def smallest(self, within: Choices) -> Configuration:
        """Return the configuration with the least multiply-adds."""

    @abc.abstractmethod
    def sample(self, generator: random.Random, within: Choices) -> Configuration:
        """Return a random configuration."""

    @abc.abstractmethod
    def of_one_size(self, generator: random.Random, within: Choices) -> Choices:
        """Return `within`, of the sizes in it one that is drawn."""

    @abc.abstractmethod
    def activate(self, module: nn.Module, configuration: Configuration) -> None:
        """Make a module, that of the space or a copy of it, run a configuration."""

    @abc.abstractmethod
    def decisions(self, configuration: Configuration) -> Decisions:
        """
        Activate a configuration in the module; return how its blocks decide by the picture.

        :raises ConfigurationError: where none does.
        """

    @abc.abstractmethod
    def extract(self, configuration: Configuration) -> nn.Module:
        """Return a copy of a sub-network as a static module in eval mode."""

    def extract_steps(self, configuration: Configuration) -> tuple[Step, ...]:
        """Return a copy of a sub-network as static modules; none where it cannot be cut."""
        return ()

    def answers(self, images: Any) -> tuple[torch.Tensor, ...]:
        """Return what the active sub-network answers at each of its exits, and at last."""
        module: Any = self.module  # of a space without exits nobody asks for them
        found: tuple[torch.Tensor, ...] = module.answers(images)
        return found

    def exits(self, within: Choices) -> tuple[str, ...]:
        """Return the places of the exits that the largest sub-network has; none: it has none."""
        return ()


class SuperNetworkSpace(Space):
    """All sub-networks of a dynamic network."""

    changes_shapes = True

    def __init__(self, network: DynamicNetwork[Any]) -> None:
        use_channels_last(network)
        self.module = network
        self.recalibrated = network.statistics_per_sub_network
        self._network = network

    @property
    def network(self) -> DynamicNetwork[Any]:
        """Return the network, which is the module."""
        return self._network

    def identity(self) -> dict[str, str]:
        """Return family and layout."""
        layout = json.dumps(self._network.layout_mapping(), sort_keys=True)
        return {'family': self._network.family, 'layout': layout}

    def enter(self, phase: Phase, earlier: Sequence[Phase], anew: bool) -> None:
        """Freeze what the phase leaves as it is, and sort channels at its beginning."""
        frozen = {name: (value,) for name, value in phase.freeze.items()}
        self._network.requires_grad_(True)
        self._network.freeze(self._network.largest(frozen) if frozen else None)
        if phase.only:
            self._train_only(phase.only)
        if phase.sort_channels and anew:
            self._network.sort_channels(self._trained(earlier))

    def largest(self, within: Choices) -> Configuration:
        """Return the network's largest."""
        return self._network.largest(within)

    def smallest(self, within: Choices) -> Configuration:
        """Return the network's smallest."""
        return self._network.smallest(within)

    def sample(self, generator: random.Random, within: Choices) -> Configuration:
        """Return one of the network's."""
        return self._network.sample(generator, within)

    def of_one_size(self, generator: random.Random, within: Choices) -> Choices:
        """Draw height and width, alike in ratio to what cameras have."""
        choices = self._network.choices_within(within)
        height = generator.choice(choices['height'])
        near = [
            width
            for width in choices['width']
            if 1 / _MOST_ASPECT <= width / height <= _MOST_ASPECT
        ]
        width = generator.choice(near or choices['width'])
        return {**within, 'height': (height,), 'width': (width,)}

    def exits(self, within: Choices) -> tuple[str, ...]:
        """Return those of the network's largest."""
        if not isinstance(self._network, ExitNetwork):
            return ()
        return tuple(self._network.exits_of(self._network.largest(within)))

    def activate(self, module: nn.Module, configuration: Configuration) -> None:
        """Activate a configuration."""
        assert isinstance(module, DynamicNetwork)
        module.activate(configuration)

    def decisions(self, configuration: Configuration) -> Decisions:
        """Return the network's."""
        self._network.activate(configuration)
        found = self._network.decisions()
        if found is None:
            raise ConfigurationError(
                'rule',
                'adaptive',
                f'another one: no block of {configuration.to_mapping()} decides by the picture',
            )
        return found

    def extract(self, configuration: Configuration) -> nn.Module:
        """Return the extracted sub-network."""
        module = self._network.extract(configuration)
        use_channels_last(module)
        return module

    def extract_steps(self, configuration: Configuration) -> tuple[Step, ...]:
        """Return the steps of the extracted sub-network, which take gradients."""
        steps = self._network.extract_steps(configuration)
        for step in steps:
            use_channels_last(step.module.requires_grad_(True))
        return steps

    def _train_only(self, parts: Sequence[str]) -> None:
        """
        Let no other parameters take a gradient; batch norm goes on to normalise by the batch.

        :raises ConfigurationError: if the network has no such part.
        """
        names = [name for name, _ in self._network.named_parameters()]
        chosen: set[str] = set()
        for part in parts:
            found = fnmatch.filter(names, part) + fnmatch.filter(names, f'{part}.*')
            if not found:
                known = ', '.join(dict(self._network.named_children()))
                raise ConfigurationError('only', part, f'parts of the network, as {known}')
            chosen.update(found)
        for name, parameter in self._network.named_parameters():
            if name not in chosen:
                parameter.requires_grad_(False)

    def _trained(self, phases: Sequence[Phase]) -> dict[str, tuple[int, ...]]:
        """Return the values of each field that phases have trained."""
        trained: dict[str, set[int]] = {name: set() for name in self._network.choices()}
        for phase in phases:
            for name, values in self._network.choices_within(phase.within).items():
                trained[name].update(values[-1:] if phase.rule.trains_largest_alone else values)
        return {name: tuple(sorted(values)) for name, values in trained.items()}


class OneSpace(Space):
    """One sub-network, whatever a rule asks for; subclasses say what of it trains."""

    changes_shapes = False

    def __init__(self, network: DynamicNetwork[Any], configuration: Configuration) -> None:
        self._network = network
        self._configuration = configuration

    def identity(self) -> dict[str, str]:
        """Return family, layout and configuration."""
        layout = json.dumps(self._network.layout_mapping(), sort_keys=True)
        configuration = json.dumps(self._configuration.to_mapping(), sort_keys=True)
        return {'family': self._network.family, 'layout': layout, 'configuration': configuration}

    def enter(self, phase: Phase, earlier: Sequence[Phase], anew: bool) -> None:
        """Do nothing: a static network has nothing to freeze or sort."""

    def largest(self, within: Choices) -> Configuration:
        """Return the one configuration."""
        return self._configuration

    def smallest(self, within: Choices) -> Configuration:
        """Return the one configuration."""
        return self._configuration

    def sample(self, generator: random.Random, within: Choices) -> Configuration:
        """Return the one configuration."""
        return self._configuration

    def of_one_size(self, generator: random.Random, within: Choices) -> Choices:
        """Return what was given: the one configuration has its size."""
        return within

    def activate(self, module: nn.Module, configuration: Configuration) -> None:
        """Do nothing: the module runs nothing else."""


class AloneSpace(OneSpace):
    """One sub-network, trained alone: the plain static network of its architecture."""

    def __init__(self, network: DynamicNetwork[Any], configuration: Configuration) -> None:
        super().__init__(network, configuration)
        self.recalibrated = True
        self.module = network.extract(configuration).requires_grad_(True)
        _train_depthwise_fast(self.module)
        use_channels_last(self.module)

    def decisions(self, configuration: Configuration) -> Decisions:
        """Refuse: what is trained alone learns from labels only."""
        raise ConfigurationError('rule', 'adaptive', 'another one for a network trained alone')

    def extract(self, configuration: Configuration) -> nn.Module:
        """Return a copy of the module."""
        return copy.deepcopy(self.module).eval()


class _DepthwiseConvolution(nn.Conv2d):
    """A depthwise convolution of the same weights, trained as the dynamic network trains its."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return depthwise_convolution(inputs, self.weight, self.stride[0])


def _train_depthwise_fast(module: nn.Module) -> None:
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if (
                isinstance(child, nn.Conv2d)
                and child.groups == child.out_channels == child.in_channels > 1
                and child.bias is None
                and child.dilation == (1, 1)
                and child.kernel_size == (child.kernel_size[0],) * 2
                and child.padding == (child.kernel_size[0] // 2,) * 2
            ):
                fast = _DepthwiseConvolution(
                    child.in_channels,
                    child.out_channels,
                    child.kernel_size[0],
                    child.stride[0],
                    child.padding[0],
                    groups=child.groups,
                    bias=False,
                )
                fast.weight = child.weight
                setattr(parent, name, fast)
