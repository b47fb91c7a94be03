# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The steps of one sub-network, and how they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

import torch

from dynamic_dnn_ros.networks.slimmable.layout import BATCH, INPUT, SlimmableLayout
from dynamic_dnn_ros.networks.slimmable.operators import LAYERS, OPERATORS, PARAMETER
from dynamic_dnn_ros.networks.slimmable.steps import Step


def live_steps(layout: SlimmableLayout, depth: Sequence[int]) -> tuple[Step, ...]:
    """
    Return the steps that run where stages have a depth, without those that nothing reads.

    :param depth: active share of each stage, percent.
    """
    stand_ins: dict[str, str] = {}
    for stage, percent in zip(layout.stages, depth):
        for block in stage.blocks[stage.active(percent) :]:
            stand_ins.update(block)

    def final(name: str) -> str:
        while name in stand_ins:
            name = stand_ins[name]
        return name

    steps = [
        dataclasses.replace(step, arguments=_renamed(step.arguments, final))
        for step in layout.steps
        if step.name not in stand_ins
    ]
    wanted = {final(layout.steps[-1].name)}
    kept = []
    for step in reversed(steps):
        if step.name in wanted:
            kept.append(step)
            wanted.update(values_of(step.arguments))
    return tuple(reversed(kept))


def values_of(argument: Any) -> list[str]:
    """Return the names of the values in an argument."""
    if isinstance(argument, (list, tuple)):
        return [name for each in argument for name in values_of(each)]
    if isinstance(argument, Mapping) and 'value' in argument:
        return [argument['value']]
    return []


def _renamed(argument: Any, final: Callable[[str], str]) -> Any:
    if isinstance(argument, (list, tuple)):
        return type(argument)(_renamed(each, final) for each in argument)
    if isinstance(argument, Mapping) and 'value' in argument:
        return {'value': final(argument['value'])}
    return argument


@dataclasses.dataclass(frozen=True)
class _Value:
    name: str


@dataclasses.dataclass(frozen=True)
class _OfBatch:
    """A size that is so many times that of the batch."""

    times: int


class Program:
    """
    The steps of one sub-network, or of a part of it, sizes filled in.

    :param active: widths of all axes.
    :param given: name of the value that it is given; its first dimension is the batch.
    """

    def __init__(
        self,
        steps: tuple[Step, ...],
        layout: SlimmableLayout,
        active: Sequence[int],
        given: str = INPUT,
    ) -> None:
        self.steps = steps
        self._given = given
        last_use: dict[str, int] = {}
        for index, step in enumerate(steps):
            for name in values_of(step.arguments):
                last_use[name] = index
        self._rows = []
        for index, step in enumerate(steps):
            arguments = [_filled(each, layout, active) for each in step.arguments]
            done = [n for n in dict.fromkeys(values_of(step.arguments)) if last_use[n] == index]
            self._rows.append((step, arguments, done))

    def run(
        self,
        inputs: torch.Tensor,
        layer: Callable[[str, torch.Tensor], torch.Tensor],
        parameter: Callable[[str], torch.Tensor],
        watch: Callable[[str, Any], None] = lambda name, value: None,
    ) -> torch.Tensor:
        """
        Run all steps.

        :param inputs: the value that it is given: of a whole network pictures, N x 3 x H x W.
        :param layer: runs a layer by name.
        :param parameter: gives a parameter by name.
        :param watch: is told the name and value of each step.
        """
        values: dict[str, Any] = {self._given: inputs}
        found: Any = inputs
        for step, arguments, done in self._rows:
            given = [_given(each, values, inputs) for each in arguments]
            if step.operator in LAYERS:
                found = layer(step.layer, given[0])
            elif step.operator == PARAMETER:
                found = parameter(step.layer)
            else:
                found = OPERATORS[step.operator](*given)
            values[step.name] = found
            watch(step.name, found)
            for name in done:
                del values[name]
        return found


def _filled(argument: Any, layout: SlimmableLayout, active: Sequence[int]) -> Any:
    if isinstance(argument, (list, tuple)):
        return [_filled(each, layout, active) for each in argument]
    if isinstance(argument, Mapping):
        if 'value' in argument:
            return _Value(argument['value'])
        factors = argument['size']
        size = layout.size([factor for factor in factors if factor != BATCH], active)
        return _OfBatch(size) if BATCH in factors else size
    return argument


def _given(argument: Any, values: Mapping[str, Any], inputs: torch.Tensor) -> Any:
    if isinstance(argument, _Value):
        return values[argument.name]
    if isinstance(argument, list):
        return [_given(each, values, inputs) for each in argument]
    if isinstance(argument, _OfBatch):
        return argument.times * inputs.shape[0]
    return argument
