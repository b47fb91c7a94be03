# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What each sub-network of a bundle answers to a few fixed pictures, to know it again by.

A robot has no test pictures, so it cannot measure accuracy when it loads a bundle. It can compare
what a sub-network answers to generated pictures, the *probes*, with what it answered when its
accuracy was measured. The file is a safetensors file with a tensor for each output of each
sub-network, by the name `s0:logits`, whose first axis is the probe. A tensor by the name `s0`
alone, as release 0.1 wrote, is the output `logits`. Of large outputs it has evenly spaced
entries, see `sampled`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs

#: The output of a classifier of a super-network.
LOGITS = 'logits'

#: The file's name in a bundle. An older release checks its SHA-256 and ignores it otherwise.
RESPONSES_NAME = 'responses.safetensors'

PROBES = 8

#: The outputs of a sub-network for the probes, by name; the first axis is the probe.
Response = Outputs
Responses = Mapping[str, Response]

#: Entries of an output for one picture that are kept, at most: 64 kB.
_MOST_ENTRIES = 16384

_TYPES = ('float32', 'float64', 'int32', 'int64', 'uint8', 'bool')

#: Between a sub-network's id and the name of an output.
_SEPARATOR = ':'

_REMEDY = "Check the accuracies with 'dynamic-dnn bundle check --data' and record it again"

#: Cells along a side of the grids whose sum is the noise, each with its weight: coarse structure
#: is strong and fine structure weak, as in photographs.
_GRIDS = ((2, 8), (4, 4), (8, 2), (16, 1))

#: Corners count in parts of this; with it, all numbers stay below 2^31 up to 4096 pixels.
_FRACTION = 8


def probe_picture(index: int, size: Size) -> NDArray[np.uint8]:
    """
    Return a probe: red, green, blue, shape (height, width, 3).

    Whole numbers only, so it is the same to the bit everywhere: random corners of grids, scaled
    up bilinearly and added. The random numbers are SplitMix64 (Steele, Lea and Flood, Fast
    Splittable Pseudorandom Number Generators, OOPSLA 2014) at places of its sequence.
    """
    total = np.zeros((3, *size), np.int32)
    for number, (cells, weight) in enumerate(_GRIDS):
        corners = _random_bytes((index * len(_GRIDS) + number) << 32, 3 * (cells + 1) ** 2)
        grid = weight * _FRACTION * corners.reshape(3, cells + 1, cells + 1)
        cell, part = np.divmod(np.arange(size.height, dtype=np.int32) * cells, size.height)
        rest = (size.height - part)[:, None]
        rows = (grid[:, cell] * rest + grid[:, cell + 1] * part[:, None]) // size.height
        cell, part = np.divmod(np.arange(size.width, dtype=np.int32) * cells, size.width)
        total += rows[:, :, cell] * (size.width - part) + rows[:, :, cell + 1] * part
    mean = total // (size.width * _FRACTION * sum(weight for _, weight in _GRIDS))
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


def sampled(output: NDArray[Any]) -> NDArray[Any]:
    """
    Return an output, or evenly spaced entries of it where it is large.

    Its longest axis but the first is halved until one picture has no more entries than are kept,
    so a detector's channels stay whole and some of its places go.
    """
    while output[:1].size > _MOST_ENTRIES:
        axis = int(np.argmax(output.shape[1:])) + 1
        output = output[(slice(None),) * axis + (slice(None, None, 2),)]
    return output


def responses_content(responses: Responses) -> bytes:
    """Return the content of the file."""
    tensors = {
        f'{identifier}{_SEPARATOR}{name}': np.ascontiguousarray(output)
        for identifier, response in responses.items()
        for name, output in response.items()
    }
    return bytes(save(tensors))


def parse_responses(
    content: bytes, where: object, sub_networks: Sequence[str], classes: int | None = None
) -> dict[str, Response]:
    """
    Read the content of the file.

    :param where: named in errors, the file usually
    :param classes: of a classifier: so many values each output has for a probe
    :raises BundleError: when it is no safetensors file, or does not fit the bundle
    """
    try:
        tensors = dict(load(content))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BundleError(where, f'is no safetensors file ({error})', _REMEDY) from error
    responses: dict[str, dict[str, NDArray[Any]]] = {}
    for key, output in tensors.items():
        name, _, output_name = key.partition(_SEPARATOR)
        if name not in sub_networks:
            raise BundleError(
                where, f'is for a sub-network {name!r} that the bundle does not have', _REMEDY
            )
        shape = (PROBES, *output.shape[1:]) if classes is None else (PROBES, classes)
        if output.shape != shape or output.dtype.name not in _TYPES:
            raise BundleError(
                where,
                f'the response of {name!r} is {output.dtype} of shape {output.shape}, not '
                f'of {shape} (the probe first) and of one of {", ".join(_TYPES)}',
                _REMEDY,
            )
        if not np.all(np.isfinite(output)):
            raise BundleError(where, f'the response of {name!r} is not finite', _REMEDY)
        responses.setdefault(name, {})[output_name or LOGITS] = output
    return dict(responses)
