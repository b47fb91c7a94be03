# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The operators that a network in a bundle may consist of; there are no others, and none runs code.

Each takes tensors, and plain values as the layout holds them. Layers with weights are apart, see
`LAYERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

LAYERS = ('batch_norm', 'convolution', 'layer_norm', 'linear')
"""Operators with weights: layers, which have a name."""

PARAMETER = 'parameter'
"""The operator that gives a parameter which is no layer's."""


def _index(value: Sequence[torch.Tensor], position: int) -> torch.Tensor:
    return value[position]


def _mean(value: torch.Tensor, dimensions: Sequence[int], keep: bool) -> torch.Tensor:
    return value.mean(list(dimensions), keep)


def _pad(value: torch.Tensor, margins: Sequence[int], constant: float) -> torch.Tensor:
    return functional.pad(value, list(margins), value=constant)


def _slice(
    value: torch.Tensor, dimension: int, start: int | None, end: int | None, step: int
) -> torch.Tensor:
    index = [slice(None)] * value.ndim
    index[dimension] = slice(start, end, step)
    return value[tuple(index)]


OPERATORS: Mapping[str, Callable[..., Any]] = {
    'adaptive_average_pool': functional.adaptive_avg_pool2d,
    'add': torch.add,
    'average_pool': functional.avg_pool2d,
    'concatenate': torch.cat,
    'divide': torch.div,
    'elu': functional.elu,
    'expand': torch.Tensor.expand,
    'gelu': lambda value, approximate: functional.gelu(value, approximate=approximate),
    'hard_sigmoid': functional.hardsigmoid,
    'hard_swish': functional.hardswish,
    'index': _index,
    'leaky_relu': functional.leaky_relu,
    'limit': functional.hardtanh,
    'matrix_product': torch.matmul,
    'maximum_pool': functional.max_pool2d,
    'mean': _mean,
    'mish': functional.mish,
    'multiply': torch.mul,
    'pad': _pad,
    'permute': torch.permute,
    'relu': functional.relu,
    'reshape': torch.reshape,
    'select': torch.select,
    'sigmoid': torch.sigmoid,
    'silu': functional.silu,
    'slice': _slice,
    'softmax': lambda value, dimension: functional.softmax(value, dimension),
    'softplus': functional.softplus,
    'squeeze': torch.squeeze,
    'subtract': torch.sub,
    'tanh': torch.tanh,
    'transpose': torch.transpose,
    'unbind': torch.unbind,
    'unsqueeze': torch.unsqueeze,
}
