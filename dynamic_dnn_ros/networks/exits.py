# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Early exits for any family that says where its networks can be cut.

The layout of such a network is that of its family with a field `exits`, a list of heads; a
configuration has a field `exits` besides, a flag for each head. Heads are read from the layout,
and their weights lie with those of the family, so that sub-networks with exits are sub-networks as
all others are. Two backbones may have heads of their own at one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import functools
import random
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.checks import as_sequence, require_choice
from dynamic_dnn_ros.networks.contract import (
    Choices,
    Configuration,
    ConfigurationError,
    DynamicNetwork,
    Step,
)
from dynamic_dnn_ros.networks.cutting import Part, parts_between, run_steps
from dynamic_dnn_ros.networks.detector_layers import copied
from dynamic_dnn_ros.networks.exit_heads import ANSWER, Head, HeadLayout
from dynamic_dnn_ros.networks.wrapped import WrappedNetwork
from dynamic_dnn_ros.pictures.placement import Size

EXITS = 'exits'
"""The field of a layout that holds the heads, and of a configuration that chooses of them."""


@dataclasses.dataclass(frozen=True)
class ExitConfiguration:
    """
    A sub-network of a family, and the exits that it has.

    :param exits: 1 or 0 for each head of the layout
    """

    network: Configuration
    exits: tuple[int, ...]

    @property
    def size(self) -> Size:
        """Return the size of the input."""
        return self.network.size

    def to_mapping(self) -> dict[str, Any]:
        """Return the configuration as plain lists and numbers."""
        return {**self.network.to_mapping(), EXITS: list(self.exits)}


class ExitNetwork(WrappedNetwork[ExitConfiguration]):
    """
    A network of a family and the heads of its exits.

    All tensors keep the names that they have in the family's network; those of the heads begin
    with `exits.` and the number of the head.
    """

    fields_that_fall_back = frozenset({EXITS})

    def __init__(self, network: DynamicNetwork[Any], heads: Sequence[HeadLayout]) -> None:
        """
        Give a network heads with fresh weights.

        :raises ConfigurationError: where the family cannot have these
        """
        super().__init__(network)
        self.heads = tuple(heads)
        self._check_heads()
        classes = network.layout_mapping().get('classes', 0)
        self.exits = nn.ModuleList(Head(layout, classes) for layout in self.heads)
        self._classes = classes
        self.activate(self.largest())

    def _check_heads(self) -> None:
        family = self.backbone.family
        known = self.backbone.places(self.backbone.largest())
        if not known:
            raise ConfigurationError(
                EXITS,
                [head.after for head in self.heads],
                f'none: family {family!r} does not say where its networks can be cut. A cascade '
                'of whole sub-networks needs no exits: dynamic-dnn cascade',
            )
        if self.backbone.task != 'classification' and any(
            head.reads != ANSWER for head in self.heads
        ):
            raise ConfigurationError(
                EXITS,
                [head.after for head in self.heads],
                f'none: a head gives scores of classes, and family {family!r} is for '
                f'{self.backbone.task}. A cascade works for every task: dynamic-dnn cascade',
            )

    @classmethod
    def from_layout(cls, layout: str | Mapping[str, Any]) -> ExitNetwork:
        """Create the network of a layout with exits; see the contract."""
        if isinstance(layout, str):
            raise ConfigurationError('layout', layout, 'a mapping with the field exits')
        rest = {name: value for name, value in layout.items() if name != EXITS}
        network = cls.base.from_layout(rest)
        return cls(network, heads_of(layout.get(EXITS)))

    def layout_mapping(self) -> dict[str, Any]:
        """Return the layout as plain values."""
        heads = [head.to_mapping() for head in self.heads]
        return {**self.backbone.layout_mapping(), EXITS: heads}

    def configuration(self, mapping: Mapping[str, Any]) -> ExitConfiguration:
        """Return the legal configuration that a mapping describes; see the contract."""
        if EXITS not in mapping:
            raise ConfigurationError(
                'configuration', sorted(map(str, mapping)), f'also the field {EXITS}'
            )
        rest = {name: value for name, value in mapping.items() if name != EXITS}
        configuration = ExitConfiguration(
            self.backbone.configuration(rest), as_sequence(EXITS, mapping[EXITS])
        )
        self._check(configuration)
        return configuration

    def _check(self, configuration: ExitConfiguration) -> None:
        flags = configuration.exits
        if len(flags) != len(self.heads):
            raise ConfigurationError(EXITS, list(flags), f'a list of {len(self.heads)} flags')
        for index, flag in enumerate(flags):
            require_choice(f'{EXITS}[{index}]', flag, (0, 1))
        possible = self.possible(configuration.network, flags)
        for index, (asked, found) in enumerate(zip(flags, possible)):
            if asked > found:
                head = self.heads[index]
                shapes = self.backbone.places(configuration.network)
                raise ConfigurationError(
                    f'{EXITS}[{index}]',
                    asked,
                    f'0: its head reads {head.channels} channels ({head.reads}) after '
                    f'{head.after}, where this sub-network has '
                    f'{shapes.get(head.after, "no place")}, or another exit',
                )

    def possible(self, configuration: Configuration, flags: Sequence[int]) -> tuple[int, ...]:
        """Return flags without exits that a sub-network cannot have; a place has one exit."""
        places = self.backbone.places(configuration)
        found = []
        for head, flag in zip(self.heads, flags):
            shape = places.get(head.after, ())
            fits = flag and len(shape) > 0 and head.fits(shape)
            found.append(int(fits))
            if fits:
                del places[head.after]
        return tuple(found)

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Return the choices of the family, and whether there is an exit."""
        return {**self.backbone.choices(), EXITS: (0, 1)}

    def uniform(self, values: Mapping[str, int]) -> ExitConfiguration:
        """Return the configuration with all exits that it can have, or none; see the contract."""
        if EXITS not in values:
            raise ConfigurationError('values', sorted(values), f'also a value for {EXITS}')
        require_choice(EXITS, values[EXITS], (0, 1))
        rest = {name: value for name, value in values.items() if name != EXITS}
        return self._with_flags(self.backbone.uniform(rest), (values[EXITS],) * len(self.heads))

    def sample(self, generator: random.Random, within: Choices | None = None) -> ExitConfiguration:
        """Return a random configuration; see the contract."""
        choices = self.choices_within(within)
        rest = {name: values for name, values in (within or {}).items() if name != EXITS}
        configuration = self.backbone.sample(generator, rest)
        flags = [generator.choice(choices[EXITS]) for _ in self.heads]
        return self._with_flags(configuration, flags)

    def landmarks(self) -> tuple[ExitConfiguration, ...]:
        """Return those of the family, with all exits that each can have."""
        return tuple(
            self._with_flags(each, (1,) * len(self.heads)) for each in self.backbone.landmarks()
        )

    def _with_flags(self, configuration: Configuration, flags: Sequence[int]) -> ExitConfiguration:
        return ExitConfiguration(configuration, self.possible(configuration, flags))

    def whole(self, configuration: ExitConfiguration) -> ExitConfiguration:
        """Return the configuration without exits."""
        return ExitConfiguration(configuration.network, (0,) * len(self.heads))

    def activate(self, configuration: ExitConfiguration) -> None:
        """Make the following calls run this sub-network; see the contract."""
        self._check(configuration)
        self.backbone.activate(configuration.network)
        self._active = configuration

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the answer of the whole active sub-network."""
        logits: torch.Tensor = self.backbone(images)
        return logits

    def answers(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the answer at each exit of the active sub-network, and the last one."""
        heads = self.exits_of(self._active)
        found = []
        values: tuple[torch.Tensor, ...] = (images,)
        for step in self.backbone.steps():
            values = run_steps([step], *values)
            if step.place in heads:
                found.append(self.exits[heads[step.place]](values[0]))
        return (*found, values[0])

    def exits_of(self, configuration: ExitConfiguration) -> dict[str, int]:
        """Return the place of each exit of a sub-network, in order, and the number of its head."""
        numbers = {
            head.after: number
            for number, (head, flag) in enumerate(zip(self.heads, configuration.exits))
            if flag
        }
        places = self.backbone.places(configuration.network)
        return {place: numbers[place] for place in places if place in numbers}

    def extract(self, configuration: ExitConfiguration, share_weights: bool = False) -> nn.Module:
        """Return the sub-network without its exits; see the contract."""
        self._check(configuration)
        return self.backbone.extract(configuration.network, share_weights)

    def extract_stages(
        self, configuration: ExitConfiguration, share_weights: bool = False
    ) -> tuple[nn.Module, ...]:
        """Return a stage up to each exit with its head, and the rest; see the contract."""
        self._check(configuration)
        heads = self.exits_of(configuration)
        if not heads:
            return ()
        steps = self.backbone.extract_steps(configuration.network, share_weights)
        *parts, rest = parts_between(steps, list(heads))
        stages = [
            ExitStage(part, number, copied(self.exits[number], share_weights))
            for part, number in zip(parts, heads.values())
        ]
        return (*(stage.eval() for stage in stages), Part(rest).eval())

    def places(self, configuration: ExitConfiguration) -> dict[str, tuple[int, ...]]:
        """Return those of the family."""
        return self.backbone.places(configuration.network)

    def steps(self) -> tuple[Step, ...]:
        """Return those of the family, without exits."""
        return self.backbone.steps()

    def extract_steps(
        self, configuration: ExitConfiguration, share_weights: bool = False
    ) -> tuple[Step, ...]:
        """Return those of the family, without exits."""
        return self.backbone.extract_steps(configuration.network, share_weights)

    def multiply_adds(self, configuration: ExitConfiguration) -> int:
        """Return the multiply-adds of the sub-network and its heads."""
        return self.backbone.multiply_adds(configuration.network) + sum(
            cost for cost, _ in self._head_costs(configuration)
        )

    def parameter_count(self, configuration: ExitConfiguration) -> int:
        """Return the parameters of the sub-network and its heads."""
        return self.backbone.parameter_count(configuration.network) + sum(
            count for _, count in self._head_costs(configuration)
        )

    def layer_count(self, configuration: ExitConfiguration) -> int:
        """Return the layers of the sub-network and its heads."""
        return self.backbone.layer_count(configuration.network) + sum(
            1 for _ in self._head_costs(configuration)
        )

    def _head_costs(self, configuration: ExitConfiguration) -> Iterator[tuple[int, int]]:
        self._check(configuration)
        shapes = self.backbone.places(configuration.network)
        for place, number in self.exits_of(configuration).items():
            yield from self.heads[number].costs(shapes[place], self._classes)

    def active_batch_norms(self) -> Iterator[tuple[str, nn.BatchNorm2d, int]]:
        """Yield those of the family: heads have none."""
        return self.backbone.active_batch_norms()

    def sort_channels(self, trained: Choices | None = None) -> None:
        """Sort those of the family, which leaves what heads read as it is."""
        rest = {name: values for name, values in (trained or {}).items() if name != EXITS}
        self.backbone.sort_channels(rest)

    def freeze(self, configuration: ExitConfiguration | None) -> None:
        """Freeze a sub-network of the family; its heads train on."""
        self.backbone.freeze(None if configuration is None else configuration.network)

    def train(self, mode: bool = True) -> ExitNetwork:
        """Set the mode of all modules as the family does."""
        super().train(mode)
        self.backbone.train(mode)
        return self


class ExitStage(Part):
    """Steps up to an exit, and its head."""

    decides = True

    def __init__(self, steps: Sequence[Step], number: int, head: nn.Module) -> None:
        super().__init__(steps)
        self._head = f'{EXITS}.{number}'
        self.mount(self._head, head)

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the answer of the head, and what the steps hand on."""
        handed = super().forward(*values)
        return (self.get_submodule(self._head)(handed[0]), *handed)


def heads_of(value: object) -> tuple[HeadLayout, ...]:
    """
    Return the heads that the field `exits` of a layout describes.

    :raises ConfigurationError: naming the head and its field
    """
    heads = []
    for index, each in enumerate(as_sequence(EXITS, value)):
        if not isinstance(each, Mapping):
            raise ConfigurationError(f'{EXITS}[{index}]', each, 'a mapping')
        try:
            heads.append(HeadLayout.from_mapping(each))
        except ConfigurationError as error:
            raise ConfigurationError(
                f'{EXITS}[{index}].{error.field}', error.value, error.allowed
            ) from error
    if not heads:
        raise ConfigurationError(EXITS, value, 'at least one head, or no such field')
    return tuple(heads)


@functools.cache
def with_exits(family: type[DynamicNetwork[Any]]) -> type[ExitNetwork]:
    """Return the class of a family's networks with exits."""
    return type(
        f'{family.__name__}WithExits',
        (ExitNetwork,),
        {
            '__module__': __name__,
            'base': family,
            'family': family.family,
            'task': family.task,
            'output_name': family.output_name,
            'last_layers': (*family.last_layers, EXITS),
            'statistics_per_sub_network': family.statistics_per_sub_network,
        },
    )
