# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The most important channels first: a narrower network is the first part of a wider one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.contract import Choices
from dynamic_dnn_ros.networks.slimmable.layout import SlimmableLayout


@torch.no_grad()
def sort_axes(network: nn.Module, layout: SlimmableLayout, trained: Choices | None) -> None:
    """
    Sort each axis by importance, the most important first.

    Importance is the sum over all tensors that have the axis of the norms of what belongs to
    an entry, each in ratio to its mean over the axis (as in Torch-Pruning, Fang et al.,
    CVPR 2023). What a trained width has stays in front of the rest.
    """
    widest = tuple(axis.size for axis in layout.axes)
    parts: dict[int, list[tuple[torch.Tensor, int, int]]] = {}
    for name, dimensions in layout.tensors.items():
        for position, factors in enumerate(dimensions):
            for factor in factors:
                if isinstance(factor, str) and factor.startswith('a'):
                    number = int(factor[1:])
                    inner = layout.size(factors, widest) // widest[number]
                    for tensor in _with_statistics(network, layout, name):
                        parts.setdefault(number, []).append((tensor, position, inner))
    widths = (trained or {}).get('width', ())
    for index, tensors in parts.items():
        axis = layout.axes[index]
        importance = torch.zeros(axis.size)
        for tensor, position, _ in tensors:
            if isinstance(tensor, nn.Parameter):
                rows = tensor.detach().float().movedim(position, 0).reshape(axis.size, -1)
                norms = rows.norm(dim=1).cpu()
                importance += norms / norms.mean().clamp_min(1e-12)
        order = torch.argsort(importance, descending=True, stable=True)
        section = torch.zeros_like(order)
        for percent in widths:
            section[axis.active(percent) :] += 1
        order = order[torch.argsort(section[order], stable=True)]
        for tensor, position, inner in tensors:
            entries = order[:, None] * inner + torch.arange(inner)
            tensor.copy_(tensor.index_select(position, entries.flatten().to(tensor.device)))


def _with_statistics(
    network: nn.Module, layout: SlimmableLayout, name: str
) -> Iterator[torch.Tensor]:
    """Yield a parameter; with the weight of batch normalisation its statistics too."""
    yield network.get_parameter(name)
    layer, _, kind = name.rpartition('.')
    if kind == 'weight' and layout.layers.get(layer, {}).get('operator') == 'batch_norm':
        module: Any = network.get_submodule(layer)
        yield module.running_mean
        yield module.running_var
