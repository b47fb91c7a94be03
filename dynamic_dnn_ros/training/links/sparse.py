# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The largest elements of a gradient, and the few bytes that they are sent as."""

from __future__ import annotations

import torch

#: Of one element: a byte of place, and half a byte of sign and magnitude.
BYTES_EACH = 1.5

#: Magnitudes that an element is sent as, each so many times the one before; the error is fed back.
_LEVELS = 8

#: From the smallest magnitude to the largest, at most: coarser steps would be worse than nothing.
_RANGE = 2.0**10

#: Before the elements of a message: how many bytes of places there are, and the magnitudes.
_HEADER_BYTES = 8 + 4 * _LEVELS

#: A byte says how far an element lies behind the one before. Zero skips this many instead.
_SKIP = 255

#: Elements from which a sample says where about the threshold lies.
_SAMPLED_FROM = 1 << 17


def count_for(elements: int, ratio: float) -> int:
    """
    Return how many elements make so many times fewer bytes than all as float32, at least one.

    :param ratio: at least 1.
    """
    skips = elements // _SKIP
    fit = int((elements * 4 / ratio - skips) / BYTES_EACH)
    return max(1, min(elements, fit))


def message_bytes(elements: int, count: int) -> int:
    """Return the size of the message for `count` of `elements` elements, the same for any."""
    return _HEADER_BYTES + (count + 1) // 2 + count + elements // _SKIP


def largest(vector: torch.Tensor, count: int) -> torch.Tensor:
    """Return the places, ascending, of the elements with the largest magnitudes; N, int64."""
    magnitudes = vector.abs()
    if len(vector) >= _SAMPLED_FROM and count * 4 < len(vector):
        # Of a large vector first those above a threshold that lets through some more than wanted.
        sample = magnitudes[:: max(1, len(vector) // 20_000)]
        wanted = min(len(sample), int(1.2 * count / len(vector) * len(sample)) + 20)
        threshold = sample.topk(wanted, sorted=False).values.min()
        candidates = (magnitudes >= threshold).nonzero().flatten()
        if count <= len(candidates) < len(vector):
            chosen = magnitudes[candidates].topk(count, sorted=False).indices
            return candidates[chosen].sort().values
    return magnitudes.topk(count, sorted=False).indices.sort().values


def encode(vector: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """
    Return some elements of a vector as a message: uint8, of `message_bytes` bytes, on the CPU.

    :param places: ascending.
    """
    values = vector[places].float().cpu()
    magnitudes = values.abs()
    levels = _levels(magnitudes)
    # The nearest one, and a bit for the sign.
    codes = torch.bucketize(magnitudes, (levels[1:] + levels[:-1]) / 2)
    codes = (codes + _LEVELS * (values < 0)).to(torch.uint8)
    halves = torch.zeros((len(codes) + 1) // 2, dtype=torch.uint8)
    halves |= codes[::2]
    halves[: len(codes) // 2] |= codes[1::2] << 4
    before = torch.cat([torch.full((1,), -1, dtype=torch.int64), places.cpu()])
    gaps = before.diff()
    skips = (gaps - 1) // _SKIP
    ends = (skips + 1).cumsum(0)
    steps = torch.zeros(int(ends[-1]), dtype=torch.uint8)
    steps[ends - 1] = ((gaps - 1) % _SKIP + 1).to(torch.uint8)
    message = torch.zeros(message_bytes(len(vector), len(places)), dtype=torch.uint8)
    message[:8] = torch.tensor([len(steps)]).view(torch.uint8)
    # All processes decode to the same bits, whatever they compute powers by.
    message[8:_HEADER_BYTES] = levels.view(torch.uint8)
    body = message[_HEADER_BYTES:]
    body[: len(halves)] = halves
    body[len(halves) :][: len(steps)] = steps
    return message


def _levels(magnitudes: torch.Tensor) -> torch.Tensor:
    """Return magnitudes from the smallest to the largest, in equal ratios."""
    largest = float(magnitudes.max())
    smallest = max(float(magnitudes.min()), largest / _RANGE)
    if not 0.0 < largest < float('inf'):
        # Nothing, or nothing that makes sense: as it is.
        return torch.full((_LEVELS,), largest)
    ratio = (largest / smallest) ** (1.0 / (_LEVELS - 1))
    levels = smallest * ratio ** torch.arange(_LEVELS, dtype=torch.float64)
    return levels.float()


def add_decoded(message: torch.Tensor, count: int, target: torch.Tensor, weight: float) -> None:
    """
    Add the elements of a message to a vector.

    :param count: how many elements were sent.
    :param target: as long as the vector that was encoded.
    :raises ValueError: if the message is not of such elements of such a vector.
    """
    if len(message) != message_bytes(len(target), count):
        raise ValueError(
            f'a message of {len(message)} bytes came, of {count} in {len(target)} elements it '
            f'has {message_bytes(len(target), count)}: start all processes with the same version'
        )
    header = message[:_HEADER_BYTES].clone()
    length = int(header[:8].view(torch.int64))
    levels = header[8:].view(torch.float32) * weight
    body = message[_HEADER_BYTES:]
    halves = body[: (count + 1) // 2]
    codes = torch.stack([halves & 15, halves >> 4], dim=1).flatten()[:count].long()
    values = torch.cat([levels, -levels])[codes]
    steps = body[(count + 1) // 2 :][:length].long()
    reached = torch.where(steps == 0, _SKIP, steps).cumsum(0) - 1
    places = reached[steps != 0]
    target.index_add_(0, places.to(target.device), values.to(target.device))
