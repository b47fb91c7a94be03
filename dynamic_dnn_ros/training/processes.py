# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training by several processes, on one machine or more, as `torchrun` starts them."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os

import torch
from torch import distributed, nn


@contextlib.contextmanager
def process_group() -> Iterator[None]:
    """Join the other processes that `torchrun` started; alone, do nothing."""
    together = int(os.environ.get('WORLD_SIZE', '1')) > 1
    if together:
        distributed.init_process_group('gloo')
    try:
        yield
    finally:
        if together:
            distributed.destroy_process_group()


def process_rank() -> int:
    """Return the number of this process, 0 for the one that writes files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def process_count() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def average_gradients(network: nn.Module, seconds: float) -> float:
    """
    Replace gradients by their mean over all processes, in one message.

    Every process must have run the same sub-networks, so that the same parameters have gradients.

    :param seconds: this process's clock.
    :return: the clock of process 0, so that all follow one schedule.
    """
    if process_count() == 1:
        return seconds
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    clock = torch.tensor([seconds if process_rank() == 0 else 0.0])
    flat = torch.cat([clock, *(gradient.flatten() for gradient in gradients)])
    distributed.all_reduce(flat)
    start = 1
    for gradient in gradients:
        part = flat[start : start + gradient.numel()]
        gradient.copy_(part.view(gradient.shape)).div_(process_count())
        start += gradient.numel()
    return float(flat[0])
