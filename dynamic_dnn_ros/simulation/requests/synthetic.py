# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Synthetic traces, since the published ones are not distributed. Everything here is assumed.

An input of an attention network has a density of its own, log-normal, which all its layers share;
each layer adds noise. Latency follows by Sanger's formula. Numbers of layers and mean densities
were chosen so that 30 and 40 requests a second load the processor by 0.8 and 1.1.

A layer of a CNN has a share of the network's latency and a mean density of its activations, fixed
for the network. An input has a density of its own, log-normal, which all layers share; each layer
adds noise. Latency is proportional to density. Pruned channels leave the least work, pruned
blocks more, single weights at random the most. Means were chosen so that 3 and 4 requests a second
load the processor by 0.8 and 1.1.
"""

from __future__ import annotations

from dataclasses import dataclass
import zlib

import numpy as np

from dynamic_dnn_ros.simulation.requests.traces import Trace, sanger_latency

INPUTS = 300
"""Inputs of a trace."""

PATTERNS = {'random': 1.3, 'block': 1.0, 'channel': 0.7}
"""Latency by the pattern in which a CNN is pruned, as multiples of the mean over all."""


@dataclass(frozen=True)
class _Attention:
    """Number of layers, mean density, and the spread (sigma of the logarithm) of inputs."""

    layers: int
    density: float
    spread: float


@dataclass(frozen=True)
class _Convolutional:
    """Number of layers, mean isolated latency, s, and the spread of inputs."""

    layers: int
    latency: float
    spread: float


NETWORKS: dict[str, _Attention | _Convolutional] = {
    'bert': _Attention(24, 0.46, 0.35),
    'bart': _Attention(24, 0.33, 0.35),
    'gpt2': _Attention(12, 0.42, 0.35),
    'resnet50': _Convolutional(54, 0.200, 0.15),
    'vgg16': _Convolutional(16, 0.370, 0.15),
    'mobilenet': _Convolutional(28, 0.060, 0.15),
    'ssd': _Convolutional(35, 0.450, 0.15),
}
"""The networks of Sparse-DySta: attention on Sanger, CNNs on Eyeriss-V2."""

_BALANCE = 0.75
_LAYER_NOISE = 0.08


def patterns(network: str) -> tuple[str, ...]:
    """Return the patterns in which a network is pruned; an empty one where that says nothing."""
    return ('',) if isinstance(NETWORKS[network], _Attention) else tuple(PATTERNS)


def synthetic_trace(network: str, pattern: str = '', inputs: int = INPUTS, seed: int = 0) -> Trace:
    """
    Draw a trace; the same arguments give the same one.

    :param network: one of `NETWORKS`
    :param pattern: one of `patterns(network)`
    """
    model = NETWORKS[network]
    # What is fixed for a network is the same for all its patterns.
    fixed = np.random.default_rng(zlib.crc32(f'{network}/{seed}'.encode()))
    draw = np.random.default_rng(zlib.crc32(f'{network}/{pattern}/{seed}'.encode()))
    own = _log_normal(draw, model.spread, (inputs, 1))
    noise = _log_normal(draw, _LAYER_NOISE, (inputs, model.layers))
    if isinstance(model, _Attention):
        mean = model.density * fixed.uniform(0.7, 1.3, model.layers)
        density = np.clip(mean * own * noise, 0.01, 1.0)
        balance = np.clip(_BALANCE * _log_normal(draw, 0.05, density.shape), 0.3, 1.0)
        return Trace(network, pattern, sanger_latency(density, balance), density)
    share = fixed.lognormal(0.0, 0.6, model.layers)
    mean = fixed.uniform(0.3, 0.7, model.layers)
    density = np.clip(mean * own * noise, 0.01, 1.0)
    scale = model.latency * PATTERNS[pattern]
    return Trace(network, pattern, scale * share / share.sum() * density / mean, density)


def _log_normal(
    draw: np.random.Generator, sigma: float, shape: tuple[int, ...]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return factors of mean 1."""
    return draw.lognormal(-0.5 * sigma * sigma, sigma, shape)
