# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cut a sub-network where its family says that it can be cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dynamic_dnn_ros.networks.contract import (
    ConfigurationError,
    DynamicNetwork,
    Section,
    Step,
)

Tensors = tuple[torch.Tensor, ...]


def run_steps(steps: Sequence[Step], *values: torch.Tensor) -> Tensors:
    """Run steps one after the other; return what the last one gives, as a tuple."""
    for step in steps:
        values = as_tuple(step.module(*values))
    return values


def as_tuple(found: torch.Tensor | Tensors) -> Tensors:
    """Return what a module gives as a tuple."""
    return found if isinstance(found, tuple) else (found,)


class Part(nn.Module):
    """
    Steps as one static module, in which each bears its name in the dynamic network.

    It takes and gives tensors one by one, as stages do.
    """

    decides: ClassVar[bool] = False
    """Whether an answer or the scores of a gate come first of what it gives, and go no further."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__()
        # No children of this one: their layers are, under their full names.
        self._steps: list[str | Section] = []
        for number, step in enumerate(steps):
            if isinstance(step.module, Section):
                step.module.mount(self)
                self._steps.append(step.module)
            else:
                name = step.name or f'step_{number}'
                self.mount(name, step.module)
                self._steps.append(name)

    def mount(self, name: str, module: nn.Module) -> None:
        """Have a module under a name with points in it."""
        *above, last = name.split('.')
        parent: nn.Module = self
        for each in above:
            if not hasattr(parent, each):
                parent.add_module(each, nn.Module())
            parent = parent.get_submodule(each)
        parent.add_module(last, module)

    def forward(self, *values: torch.Tensor) -> Tensors:
        """Run all steps; return what the last one gives."""
        for number in range(len(self._steps)):
            values = self.run_step(number, *values)
        return values

    def run_step(self, number: int, *values: torch.Tensor) -> Tensors:
        """Run one step; return what it gives."""
        step = self._steps[number]
        # By its name: who folds or exchanges a module does so in the tree.
        if isinstance(step, Section):
            return as_tuple(step.run(self, *values))
        return as_tuple(self.get_submodule(step)(*values))


def part(
    network: DynamicNetwork[Any],
    configuration: Any,
    begin: str = '',
    end: str = '',
    share_weights: bool = False,
) -> Part:
    """
    Return the part of a sub-network between two places, a static module in eval mode.

    :param begin: where it begins; empty: it takes the batch
    :param end: where it ends; empty: with the answer
    :param share_weights: as of `extract`
    :raises ConfigurationError: naming the places, if it cannot be cut there, or nothing is between
    """
    steps = network.extract_steps(configuration, share_weights)
    places = ['', *(step.place for step in steps if step.place)]
    for field, name in (('begin', begin), ('end', end)):
        if name not in places:
            raise ConfigurationError(field, name, _known(network, places[1:]))
    first = 0 if not begin else _index(steps, begin) + 1
    last = len(steps) if not end else _index(steps, end) + 1
    if first >= last:
        raise ConfigurationError('end', end, f'a place after {begin!r}')
    return Part(steps[first:last]).eval()


def parts_between(steps: Sequence[Step], places: Sequence[str]) -> list[list[Step]]:
    """
    Return steps cut at places.

    :param places: of the steps, in their order
    """
    before = 0
    numbers = []
    for step in steps:
        numbers.append(before)
        before += step.place != '' and step.place in places
    pairs = zip(numbers, steps)
    return [[step for _, step in some] for _, some in groupby(pairs, lambda pair: pair[0])]


class PartCost(NamedTuple):
    """What a sub-network costs up to a place, of one picture."""

    multiply_adds: int
    parameters: int
    layers: int


@torch.no_grad()
def costs_at(network: DynamicNetwork[Any], configuration: Any) -> dict[str, PartCost]:
    """Return what a sub-network costs up to each place, without heads; in order."""
    found: dict[str, PartCost] = {}
    values: Tensors = (torch.zeros(1, 3, *configuration.size),)
    multiply_adds = parameters = layers = 0
    for step in network.extract_steps(configuration, share_weights=True):
        with FlopCounterMode(display=False) as counter:
            values = run_steps([step], *values)
        # PyTorch counts a multiplication and an addition as two.
        multiply_adds += counter.get_total_flops() // 2
        parameters += sum(each.numel() for each in step.module.parameters())
        layers += sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in step.module.modules())
        if step.place:
            found[step.place] = PartCost(multiply_adds, parameters, layers)
    return found


def _index(steps: Sequence[Step], place: str) -> int:
    return next(index for index, step in enumerate(steps) if step.place == place)


def _known(network: DynamicNetwork[Any], places: Sequence[str]) -> str:
    if not places:
        return f'none: family {network.family!r} does not say where its networks can be cut'
    return f'one of {", ".join(places)}, or nothing'
