# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What each sub-network of a bundle answers to a few fixed pictures, to know it again by.

A robot has no test pictures, so it cannot measure accuracy when it loads a bundle. It can compare
what a sub-network answers to generated pictures, the *probes*, with what it answered when its
accuracy was measured. The file is a safetensors file with a tensor for each sub-network, float32,
of the shape (probes, classes): its logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from dynamic_dnn_ros.bundles.errors import BundleError

#: The file's name in a bundle. An older release checks its SHA-256 and ignores it otherwise.
RESPONSES_NAME = 'responses.safetensors'

PROBES = 8

#: Logits of a sub-network for the probes, shape (probes, classes).
Response = NDArray[np.float32]
Responses = Mapping[str, Response]

_REMEDY = "Check the accuracies with 'dynamic-dnn bundle check --data' and record it again"

#: Cells along a side of the grids whose sum is the noise, each with its weight: coarse structure
#: is strong and fine structure weak, as in photographs.
_GRIDS = ((2, 8), (4, 4), (8, 2), (16, 1))

#: Corners count in parts of this; with it, all numbers stay below 2^31 up to 4096 pixels.
_FRACTION = 8


def probe_picture(index: int, resolution: int) -> NDArray[np.uint8]:
    """
    Return a probe: red, green, blue, shape (resolution, resolution, 3).

    Whole numbers only, so it is the same to the bit everywhere: random corners of grids, scaled
    up bilinearly and added. The random numbers are SplitMix64 (Steele, Lea and Flood, Fast
    Splittable Pseudorandom Number Generators, OOPSLA 2014) at places of its sequence.
    """
    total = np.zeros((3, resolution, resolution), np.int32)
    for number, (cells, weight) in enumerate(_GRIDS):
        corners = _random_bytes((index * len(_GRIDS) + number) << 32, 3 * (cells + 1) ** 2)
        grid = weight * _FRACTION * corners.reshape(3, cells + 1, cells + 1)
        cell, part = np.divmod(np.arange(resolution, dtype=np.int32) * cells, resolution)
        rest = resolution - part
        rows = (grid[:, cell] * rest[:, None] + grid[:, cell + 1] * part[:, None]) // resolution
        total += rows[:, :, cell] * rest + rows[:, :, cell + 1] * part
    mean = total // (resolution * _FRACTION * sum(weight for _, weight in _GRIDS))
    # Twice the contrast: a sum of random numbers keeps close to its mean.
    picture = np.clip(2 * mean - 128, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(picture.transpose(1, 2, 0))


def _random_bytes(first: int, count: int) -> NDArray[np.int32]:
    """Return numbers of 0..255: the highest bytes of SplitMix64 from a place of its sequence."""
    state = np.uint64(first) + np.arange(1, count + 1, dtype=np.uint64)
    state = state * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state = state ^ (state >> np.uint64(31))
    return (state >> np.uint64(56)).astype(np.int32)


def deviation(found: NDArray[Any], recorded: NDArray[Any]) -> float:
    """
    Return by how much a response departs from the recorded one, relative to its size.

    The root of the mean square over probes and classes, after the mean over the classes is taken
    off each probe, which no probability depends on. Infinite where a response is not finite.
    """
    if not np.all(np.isfinite(found)):
        return float('inf')
    found, recorded = (
        logits.astype(np.float64) - logits.mean(axis=1, keepdims=True, dtype=np.float64)
        for logits in (found, recorded)
    )
    size = float(np.linalg.norm(recorded))
    return float(np.linalg.norm(found - recorded)) / max(size, 1e-12)


def responses_content(responses: Responses) -> bytes:
    """Return the content of the file."""
    tensors = {name: np.ascontiguousarray(v, np.float32) for name, v in responses.items()}
    return bytes(save(tensors))


def parse_responses(
    content: bytes, where: object, sub_networks: Sequence[str], classes: int
) -> dict[str, Response]:
    """
    Read the content of the file.

    :param where: named in errors, the file usually
    :raises BundleError: when it is no safetensors file, or does not fit the bundle
    """
    try:
        responses = dict(load(content))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BundleError(where, f'is no safetensors file ({error})', _REMEDY) from error
    for name, response in responses.items():
        if name not in sub_networks:
            raise BundleError(
                where, f'is for a sub-network {name!r} that the bundle does not have', _REMEDY
            )
        if response.shape != (PROBES, classes) or response.dtype != np.float32:
            raise BundleError(
                where,
                f'the response of {name!r} is {response.dtype} of shape {response.shape}, not '
                f'float32 of {(PROBES, classes)} (probes x classes)',
                _REMEDY,
            )
        if not np.all(np.isfinite(response)):
            raise BundleError(where, f'the response of {name!r} is not finite', _REMEDY)
    return responses
