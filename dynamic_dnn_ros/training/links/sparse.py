# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The largest elements of a gradient, and the few bytes that they are sent as."""

from __future__ import annotations

import torch

#: Of one element: a byte of place and a half float.
BYTES_EACH = 3

#: Before the elements of a message: how many bytes of places there are, and the scale.
_HEADER_BYTES = 12

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
    return _HEADER_BYTES + 2 * count + count + elements // _SKIP


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
    scale = values.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    halves = (values / scale).half()
    before = torch.cat([torch.full((1,), -1, dtype=torch.int64), places.cpu()])
    gaps = before.diff()
    skips = (gaps - 1) // _SKIP
    ends = (skips + 1).cumsum(0)
    steps = torch.zeros(int(ends[-1]), dtype=torch.uint8)
    steps[ends - 1] = ((gaps - 1) % _SKIP + 1).to(torch.uint8)
    message = torch.zeros(message_bytes(len(vector), len(places)), dtype=torch.uint8)
    message[:8] = torch.tensor([len(steps)]).view(torch.uint8)
    message[8:_HEADER_BYTES] = scale.reshape(1).view(torch.uint8)
    body = message[_HEADER_BYTES:]
    body[: 2 * len(places)] = halves.view(torch.uint8)
    body[2 * len(places) :][: len(steps)] = steps
    return message


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
    scale = header[8:].view(torch.float32)
    body = message[_HEADER_BYTES:]
    # Cloned: a message may lie at any address, numbers may not.
    values = body[: 2 * count].clone().view(torch.float16).float() * (scale * weight)
    steps = body[2 * count :][:length].long()
    reached = torch.where(steps == 0, _SKIP, steps).cumsum(0) - 1
    places = reached[steps != 0]
    target.index_add_(0, places.to(target.device), values.to(target.device))
