# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Training by several processes, on one machine or more, as `torchrun` starts them.

The semantics are those of DistributedDataParallel: equal weights everywhere, the mean gradient;
running batch-norm statistics are averaged, too, where its class takes those of process 0.
Its class is not used: a step here runs several forward and backward passes, each through another
part of the network, and the class has to search the graph for unused parameters at each of them
and to send gradients that the next pass adds to. One message after the last pass is less work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import os
from typing import TypeVar

import torch
from torch import distributed, nn

from dynamic_dnn_ros.training.meeting import meet

_ValueT = TypeVar('_ValueT')


class WorkerError(RuntimeError):
    """A process that does not belong to the others, or is lost; says which and what to do."""


def is_lost(error: BaseException) -> bool:
    """Return whether an error says that another process does not answer any more."""
    text = str(error)
    if isinstance(error, (WorkerError, distributed.DistError)):
        return True
    return isinstance(error, RuntimeError) and ('gloo' in text or 'NCCL' in text)


@contextlib.contextmanager
def process_group() -> Iterator[None]:
    """
    Join the other processes that `torchrun` started; alone, do nothing.

    :raises WorkerError: if another one is lost.
    """
    together = int(os.environ.get('WORLD_SIZE', '1')) > 1
    try:
        if together:
            _join()
        yield
    except WorkerError:
        raise
    except RuntimeError as error:
        if together and is_lost(error):
            reason = str(error).splitlines()[0]
            raise WorkerError(
                f'another process ended, or cannot be reached ({reason}): its own messages say '
                'why. `torchrun --max-restarts` starts all again, and they go on from the last '
                'whole step'
            ) from error
        raise
    finally:
        if together and distributed.is_initialized():
            distributed.destroy_process_group()


def _join() -> None:
    try:
        store, rank, count = meet()
    except TimeoutError as error:
        raise WorkerError(str(error)) from error
    backend = 'cpu:gloo,cuda:nccl' if torch.cuda.is_available() else 'gloo'
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count)


def local_rank() -> int:
    """Return the number of this process on its machine, which is that of its GPU."""
    return int(os.environ.get('LOCAL_RANK', '0'))


def process_rank() -> int:
    """Return the number of this process, 0 for the one that writes files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def process_count() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def average_statistics(module: nn.Module) -> None:
    """
    Replace running batch-norm statistics by their mean over all processes, in one message.

    Each process has seen other pictures. What is in eval mode is the same everywhere, and stays.
    """
    average_tensors(
        [
            buffer
            for part in module.modules()
            if isinstance(part, nn.BatchNorm2d) and part.training
            for buffer in part.buffers(recurse=False)
            if buffer.is_floating_point()
        ]
    )


def average_tensors(
    tensors: Sequence[torch.Tensor], group: distributed.ProcessGroup | None = None
) -> None:
    """
    Replace tensors by their mean over all processes, in one message; alone, do nothing.

    :param group: the processes, where not all of them take part
    """
    count = process_count() if group is None else distributed.get_world_size(group)
    if count == 1 or not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(flat, group=group)
    flat /= count
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts):
        tensor.copy_(part.view(tensor.shape))


@torch.no_grad()
def begin_alike(module: nn.Module) -> None:
    """Give all processes the weights and statistics of process 0, in one message."""
    tensors = [each.data for each in (*module.parameters(), *module.buffers())]
    floats = [each for each in tensors if each.is_floating_point()]
    if process_count() == 1 or not floats:
        return
    flat = torch.cat([each.flatten() for each in floats])
    distributed.broadcast(flat, 0)
    parts = flat.split([each.numel() for each in floats])
    for tensor, part in zip(floats, parts):
        tensor.copy_(part.view(tensor.shape))


def from_each(value: _ValueT) -> list[_ValueT]:
    """Return what each process gives, by rank, the same in all processes."""
    if process_count() == 1:
        return [value]
    values: list[_ValueT] = [value] * process_count()
    distributed.all_gather_object(values, value)
    return values


def from_first(value: _ValueT) -> _ValueT:
    """Return what process 0 gives, the same in all processes."""
    return from_one(value, 0)


def from_one(value: _ValueT, rank: int) -> _ValueT:
    """Return what one process gives, the same in all processes."""
    if process_count() == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values, rank)
    return values[0]
