# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Heads of early exits: what turns the features at a place of a classifier into an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import math
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.checks import (
    ConfigurationError,
    as_sequence,
    require_choice,
    require_fields,
    require_positive,
)
from dynamic_dnn_ros.networks.mobile_layers import MeanOverPlaces

MAP, TOKENS, ANSWER = 'map', 'tokens', 'answer'
_KINDS = {3: MAP, 2: TOKENS, 1: ANSWER}
_KERNEL_SIZE = 3
_STRIDE = 2


@dataclasses.dataclass(frozen=True)
class HeadLayout:
    """
    Where a head is, and what it is made of.

    :param after: the name of the place
    :param reads: 'map', channels x height x width; 'tokens', tokens x channels; 'answer', what is
        an answer already and needs no head
    :param channels: of what it reads; of an answer the classes
    :param widths: of its layers before the classifier: of a map, 3x3 convolutions that each halve
        its sides; of tokens, linear layers on their mean
    :raises ConfigurationError: naming the field that is illegal
    """

    after: str
    reads: str
    channels: int
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.after, str) or not self.after:
            raise ConfigurationError('after', self.after, 'the name of a place')
        require_choice('reads', self.reads, (MAP, TOKENS, ANSWER))
        require_positive('channels', self.channels)
        for index, width in enumerate(self.widths):
            require_positive(f'widths[{index}]', width)
        if self.reads == ANSWER and self.widths:
            raise ConfigurationError('widths', self.widths, 'none: an answer needs no layers')

    @classmethod
    def at(cls, place: str, shape: Sequence[int], widths: Sequence[int]) -> HeadLayout:
        """
        Return the layout of a head at a place.

        :param shape: of what is handed on there, as `DynamicNetwork.places` says
        :param widths: of its layers; an answer takes none
        """
        kind = _KINDS[len(shape)]
        channels = shape[-1] if kind == TOKENS else shape[0]
        return cls(place, kind, channels, () if kind == ANSWER else tuple(widths))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> HeadLayout:
        """
        Return the layout that a mapping describes.

        :raises ConfigurationError: for a missing, unknown or illegal field
        """
        require_fields('exit', cls, mapping)
        return cls(**{**mapping, 'widths': as_sequence('widths', mapping['widths'])})

    def to_mapping(self) -> dict[str, Any]:
        """Return the layout as plain values."""
        return {**dataclasses.asdict(self), 'widths': list(self.widths)}

    def fits(self, shape: Sequence[int]) -> bool:
        """Tell whether a head can read what is handed on at a place, of this shape."""
        return HeadLayout.at(self.after, shape, self.widths) == self

    def costs(self, shape: Sequence[int], classes: int) -> Iterator[tuple[int, int]]:
        """Yield multiply-adds and parameters of each layer, biases counted among the latter."""
        if self.reads == ANSWER:
            return
        channels = self.channels
        sides = tuple(shape[1:]) if self.reads == MAP else ()
        for width in self.widths:
            weights = channels * width
            if self.reads == MAP:
                sides = tuple(math.ceil(side / _STRIDE) for side in sides)
                weights *= _KERNEL_SIZE**2
            yield weights * math.prod(sides), weights + width
            channels = width
        yield channels * classes, channels * classes + classes


class Head(nn.Sequential):
    """
    Layers on the features, their mean, and a classifier.

    Without batch normalisation: a head has no statistics that a sub-network would have to keep.
    """

    def __init__(self, layout: HeadLayout, classes: int) -> None:
        layers: list[nn.Module] = []
        channels = layout.channels
        if layout.reads == TOKENS:
            layers.append(MeanOfTokens())
        for width in layout.widths:
            if layout.reads == MAP:
                layers.append(nn.Conv2d(channels, width, _KERNEL_SIZE, _STRIDE, _KERNEL_SIZE // 2))
            else:
                layers.append(nn.Linear(channels, width))
            layers.append(nn.Hardswish())
            channels = width
        if layout.reads == MAP:
            layers += [MeanOverPlaces(), nn.Flatten()]
        if layout.reads != ANSWER:
            layers.append(nn.Linear(channels, classes))
        super().__init__(*layers)
        for layer in layers:
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)


class MeanOfTokens(nn.Module):
    """The mean of all tokens."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return N x C of N x tokens x C."""
        return tokens.mean(1)
