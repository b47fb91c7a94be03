# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What one stage of a network hands on to the next one, and what of its gradient comes back.

A tensor is sent whole, as half floats, or as its largest elements (FusionLLM, arXiv 2410.12707,
section 5): then the gradient of these comes back, and the next stage takes the others for zero.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
from typing import Any

import torch
from torch import nn

#: Half floats hold whole numbers up to this one exactly.
_EXACT = 2048

#: Bytes of an element among the largest: a half float each for value, and place in two digits.
_BYTES_EACH = 6


@dataclasses.dataclass(frozen=True)
class Wire:
    """
    How a tensor is sent between stages.

    :param shape: of the tensor, the pictures first.
    :param ratio: how many times fewer bytes than of float32; 1: whole, up to 2: half floats.
    """

    shape: tuple[int, ...]
    ratio: float

    def __post_init__(self) -> None:
        if self.elements > _EXACT**2:
            # Places would be inexact.
            object.__setattr__(self, 'ratio', min(self.ratio, 2.0))

    @property
    def elements(self) -> int:
        """Return the number of elements of the tensor."""
        return math.prod(self.shape)

    @property
    def count(self) -> int:
        """Return how many of the largest elements are sent; all of them where none are picked."""
        if self.ratio <= 2.0:
            return self.elements
        return max(1, int(4 * self.elements / self.ratio / _BYTES_EACH))

    def bytes(self) -> int:
        """Return what is sent, one way."""
        if self.ratio <= 1.0:
            return 4 * self.elements
        return 2 * self.elements if self.ratio <= 2.0 else _BYTES_EACH * self.count


class Packed(nn.Module):
    """What a stage ends with; its output is what is sent."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """Return what is sent of a tensor."""
        if self._wire.ratio <= 2.0:
            value = value.contiguous()  # Channels may come last in it.
            return value if self._wire.ratio <= 1.0 else value.half()
        packed: torch.Tensor = _Largest.apply(value, self._wire.count)
        return packed


class Unpacked(nn.Module):
    """What a stage begins with; its input is what came."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def forward(self, came: torch.Tensor) -> torch.Tensor:
        """Return the tensor, zero where nothing was sent."""
        value: torch.Tensor
        if self._wire.ratio <= 2.0:
            value = _Received.apply(came)
        else:
            value = _Spread.apply(came, self._wire.shape)
        return value


class _Received(torch.autograd.Function):
    """What came as float32; its gradient as it is sent back."""

    @staticmethod
    def forward(context: Any, came: torch.Tensor) -> torch.Tensor:
        context.dtype = came.dtype
        return came.float()

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0].to(context.dtype).contiguous()


class _Largest(torch.autograd.Function):
    """The largest elements of a tensor and where they lie: 3 x count, half floats."""

    @staticmethod
    def forward(context: Any, value: torch.Tensor, count: int) -> torch.Tensor:
        flat = value.flatten()
        places = flat.abs().topk(count, sorted=False).indices.sort().values
        context.save_for_backward(places)
        context.shape = value.shape
        return torch.stack([flat[places].half(), *_digits(places)])

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (places,) = context.saved_tensors
        flat = torch.zeros(math.prod(context.shape))
        flat[places] = gradients[0][0].float()
        return flat.view(context.shape), None


class _Spread(torch.autograd.Function):
    """A tensor of the elements that `_Largest` gave."""

    @staticmethod
    def forward(context: Any, came: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        places = came[1].long() * _EXACT + came[2].long()
        context.save_for_backward(places)
        flat = torch.zeros(math.prod(shape))
        flat[places] = came[0].float()
        return flat.view(tuple(shape))

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (places,) = context.saved_tensors
        values = gradients[0].flatten()[places].half()
        return torch.stack([values, *torch.zeros(2, len(places)).half()]), None


def _digits(places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return (places // _EXACT).half(), (places % _EXACT).half()
