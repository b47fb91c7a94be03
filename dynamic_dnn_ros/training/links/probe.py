# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How much links carry, measured by sending."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import distributed

from dynamic_dnn_ros.training.links.ratios import Links

_FIRST_BYTES = 1 << 14
_MOST_BYTES = 1 << 22

#: A message that takes as long is large enough: what lies in buffers on the way counts little.
_ENOUGH_SECONDS = 0.1


def measure_links() -> Links:
    """
    Measure each link between the processes, one after the other; all must call.

    At 8 Mbit/s a link takes about 0.7 s, at 1 Gbit/s 0.1 s.
    """
    count, own = distributed.get_world_size(), distributed.get_rank()
    row = torch.zeros(2, count, dtype=torch.float64)
    for sender in range(count):
        for receiver in range(count):
            if sender == receiver:
                continue
            if own == sender:
                latency, bandwidth = _send(receiver)
                row[:, receiver] = torch.tensor([latency, bandwidth])
            elif own == receiver:
                _answer(sender)
    rows = [torch.empty_like(row) for _ in range(count)]
    distributed.all_gather(rows, row)
    latency, bandwidth = torch.stack(rows, dim=1).numpy()
    np.fill_diagonal(bandwidth, np.inf)
    return Links(bandwidth, latency)


def _send(receiver: int) -> tuple[float, float]:
    """Return seconds of latency, and bytes a second."""
    nothing = _round_trip(receiver, 1)
    size = _FIRST_BYTES
    while _round_trip(receiver, size) < _ENOUGH_SECONDS and size < _MOST_BYTES:
        size *= 4
    # Once more: a burst that a line lets through at once has passed.
    taken = _round_trip(receiver, size) - nothing
    distributed.send(torch.zeros(1, dtype=torch.int64), receiver)
    return nothing / 2, size / max(taken, 1e-6)


def _round_trip(receiver: int, size: int) -> float:
    distributed.send(torch.tensor([size]), receiver)
    payload = torch.zeros(size, dtype=torch.uint8)
    answer = torch.zeros(1, dtype=torch.uint8)
    start = time.monotonic()
    distributed.send(payload, receiver)
    distributed.recv(answer, receiver)
    return time.monotonic() - start


def _answer(sender: int) -> None:
    size = torch.zeros(1, dtype=torch.int64)
    answer = torch.zeros(1, dtype=torch.uint8)
    while True:
        distributed.recv(size, sender)
        if not size:
            return
        distributed.recv(torch.empty(int(size), dtype=torch.uint8), sender)
        distributed.send(answer, sender)
