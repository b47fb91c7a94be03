# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The modules of a network behind a gate: the beginning with the gate, and the rests."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from dynamic_dnn_ros.networks.contract import ConfigurationError, Step
from dynamic_dnn_ros.networks.cutting import Part
from dynamic_dnn_ros.networks.elastic_layers import parameter_from


class Gate(nn.Module):
    """Squeeze features to means and maxima of their channels, reduce these, score each choice."""

    def __init__(self, channels: int, squeeze: int, choices: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(2 * channels, squeeze)
        self.activation = nn.ReLU()
        self.score = nn.Linear(squeeze, choices)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """
        Return scores, N x choices.

        :param features: N x channels x height x width, or N x tokens x channels
        """
        scores: torch.Tensor = self.scored(squeezed(features))
        return scores

    def scored(self, channels: torch.Tensor) -> torch.Tensor:
        """Return scores, N x choices, of what `squeezed` gives of features."""
        scores: torch.Tensor = self.score(self.activation(self.reduce(channels)))
        return scores


def squeezed(features: torch.Tensor) -> torch.Tensor:
    """
    Return means and maxima of the channels, N x twice the channels.

    :param features: N x channels x height x width, or N x tokens x channels
    """
    axes = (2, 3) if features.ndim == 4 else (1,)
    return torch.cat((features.mean(axes), features.amax(axes)), 1)


class Beginning(Part):
    """The first choice up to the gate, and the gate; without a gate all of it."""

    decides = True

    def __init__(
        self, steps: Sequence[Step], handed: Sequence[str], name: str, gate: Gate | None
    ) -> None:
        super().__init__(steps)
        self._places = [step.place for step in steps]
        self._handed = tuple(handed)
        self._gate = '' if gate is None else name
        if gate is not None:
            self.mount(name, gate)

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return scores or the answer, and the features that choices go on with."""
        found: dict[str, torch.Tensor] = {}
        for number, place in enumerate(self._places):
            values = self.run_step(number, *values)
            if place:
                found[place] = values[0]
        told = self.get_submodule(self._gate)(values[0]) if self._gate else values[0]
        return (told, *(found[place] for place in self._handed))


class Rest(Part):
    """A choice from the place on where it departs."""

    def __init__(self, steps: Sequence[Step], takes: int, statistics_prefix: str) -> None:
        super().__init__(steps)
        # Two choices may run one layer, each with statistics of its own.
        self.statistics_prefix = statistics_prefix
        self._takes = takes

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the answer."""
        return super().forward(values[self._takes])


class RestWithExit(Rest):
    """A choice whose answer is an exit; it hands on what later ones depart from."""

    decides = True

    def __init__(
        self, steps: Sequence[Step], takes: int, statistics_prefix: str, hands_on: Sequence[int]
    ) -> None:
        super().__init__(steps, takes, statistics_prefix)
        self._hands_on = tuple(hands_on)

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the answer, and what is handed on."""
        return (*super().forward(*values), *(values[index] for index in self._hands_on))


def static_gate(gate: nn.Module, share_weights: bool) -> Gate:
    """Return a gate as a static module; see `extract`."""
    assert isinstance(gate, Gate)
    static = Gate(gate.reduce.in_features // 2, gate.reduce.out_features, gate.score.out_features)
    for own, other in ((static.reduce, gate.reduce), (static.score, gate.score)):
        own.weight = parameter_from(other.weight, share_weights)
        own.bias = parameter_from(other.bias, share_weights)
    return static


def end_of(steps: Sequence[Step], place: int) -> int:
    """Return how many steps there are up to a place, by its number."""
    passed = -1
    for index, step in enumerate(steps):
        passed += bool(step.place)
        if passed == place:
            return index + 1
    raise ConfigurationError('place', place, f'a number up to {passed}')


def prefix_of(index: int) -> str:
    """Return what stands before the names of the statistics of a choice."""
    return f'choice_{index}.'
