# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A residual block of which a part runs: some patches, or some groups of channels. No mask remains.

Patches are gathered with their halo from features whose channels lie together, so that a place is
one piece of memory. They go through the 1x1 convolutions as a matrix and through the 3x3 one as a
batch, and are scattered back. All of it is plain operators of ONNX.
"""

from __future__ import annotations

import functools

import torch
from torch import nn
from torch.nn import functional

from dynamic_dnn_ros.networks.adaptive_layers import ResidualBlock
from dynamic_dnn_ros.networks.mobile_layers import ConvolutionLayer


def run_patches(block: ResidualBlock, features: torch.Tensor, runs: torch.Tensor) -> torch.Tensor:
    """
    Return what a block makes of features where only some patches run.

    :param features: N x channels x side x side
    :param runs: N x rows x columns, of patches
    """
    count, channels, height, _ = features.shape
    patch = block.granularity
    side = patch + 2
    halo, own, inside = (each.to(features.device) for each in _places(height, patch))
    chosen = runs.reshape(-1).nonzero().reshape(-1)
    picture = chosen // halo.shape[0]
    which = chosen % halo.shape[0]
    places = features.permute(0, 2, 3, 1)
    padded = functional.pad(places, (0, 0, 1, 1, 1, 1)).reshape(-1, channels)
    within = halo[which]
    gathered = padded[(within + picture[:, None] * (height + 2) ** 2).reshape(-1)]
    reduced = functional.relu(gathered @ _matrix(block.reduce).t() + _bias(block.reduce))
    # The 3x3 convolution of the whole sees zeros outside of the picture.
    reduced = reduced * inside[within.reshape(-1)]
    middle = reduced.shape[1]
    batch = reduced.reshape(-1, side, side, middle).permute(0, 3, 1, 2)
    spatial = functional.conv2d(batch, _weight(block.spatial), _bias(block.spatial))
    rows = functional.relu(spatial).permute(0, 2, 3, 1).reshape(-1, middle)
    expanded = rows @ _matrix(block.expand).t() + _bias(block.expand)
    flat = places.reshape(-1, channels)
    target = (own[which] + picture[:, None] * height**2).reshape(-1)
    # Features come out of a ReLU, so where nothing is added nothing is cut off.
    changed = flat.index_put((target,), functional.relu(flat[target] + expanded))
    return changed.reshape(count, height, height, channels).permute(0, 3, 1, 2)


def run_channels(block: ResidualBlock, features: torch.Tensor, runs: torch.Tensor) -> torch.Tensor:
    """
    Return what a block makes of features where only some groups of its channels run.

    :param features: N x channels x side x side
    :param runs: N x groups; of several pictures those groups run that any of them needs
    """
    width = block.granularity
    some = runs.any(0)
    # A convolution has a channel, so where no group runs the first one does, for nothing.
    first = torch.arange(some.shape[0], device=runs.device) == 0
    chosen = (some | (first & ~some.any())).nonzero().reshape(-1)
    lanes = (chosen[:, None] * width + torch.arange(width, device=runs.device)).reshape(-1)
    needed = runs.to(features.dtype)[:, chosen].repeat_interleave(width, 1)[:, :, None, None]
    reduced = functional.conv2d(features, _weight(block.reduce)[lanes], _bias(block.reduce)[lanes])
    reduced = functional.relu(reduced) * needed
    weight = _weight(block.spatial)[lanes][:, lanes]
    spatial = functional.conv2d(reduced, weight, _bias(block.spatial)[lanes], padding=1)
    spatial = functional.relu(spatial) * needed
    expanded = functional.conv2d(spatial, _weight(block.expand)[:, lanes], _bias(block.expand))
    any_runs = runs.any(1).to(features.dtype)[:, None, None, None]
    return functional.relu(features + expanded * any_runs)


@functools.cache
def _places(height: int, patch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Return where patches lie in features of a square picture.

    :return: the places of each patch with its halo among those of the padded features, its own
        places among all, and which places of the padded features are inside, 1 or 0
    """
    side, padded = patch + 2, height + 2
    starts = range(0, height, patch)
    numbers = torch.arange(padded**2).reshape(padded, padded)
    own = torch.arange(height**2).reshape(height, height)
    inside = functional.pad(torch.ones(height, height), (1, 1, 1, 1))
    corners = [(row, column) for row in starts for column in starts]
    return (
        torch.stack([numbers[r : r + side, c : c + side].reshape(-1) for r, c in corners]),
        torch.stack([own[r : r + patch, c : c + patch].reshape(-1) for r, c in corners]),
        inside.reshape(-1, 1),
    )


def _scale(layer: ConvolutionLayer) -> torch.Tensor:
    norm = layer.batch_norm
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None
    return norm.weight / (norm.running_var + norm.eps).sqrt()


def _weight(layer: ConvolutionLayer) -> torch.Tensor:
    """Return the filters of a layer with its batch norm in them."""
    weight = layer.convolution.weight
    assert isinstance(weight, torch.Tensor)
    return weight * _scale(layer)[:, None, None, None]


def _bias(layer: ConvolutionLayer) -> torch.Tensor:
    norm = layer.batch_norm
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None
    return norm.bias - norm.running_mean * _scale(layer)


def _matrix(layer: ConvolutionLayer) -> torch.Tensor:
    """Return the filters of a 1x1 convolution, outputs x inputs."""
    return _weight(layer).flatten(1)
