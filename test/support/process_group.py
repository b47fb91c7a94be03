# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes that talk by torch.distributed, forked: they need not import PyTorch anew."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import multiprocessing
from pathlib import Path
import pickle
import traceback
from typing import Any

import torch
from torch import distributed

# The first step of an optimizer imports it, in seconds: once here, not in each process.
import torch._dynamo


def together(folder: Path, function: Callable[[int], Any], count: int = 2) -> list[Any]:
    """
    Return what a function returns in each of several processes of one group, by rank.

    Of a process that ends before it answers, None.

    :param folder: empty; the processes meet there.
    """
    context = multiprocessing.get_context('fork')
    pipes = [context.Pipe(duplex=False) for _ in range(count)]
    processes = [
        context.Process(target=_join, args=(folder / 'store', function, rank, count, pipe[1]))
        for rank, pipe in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    try:
        answers = []
        for receiver, sender in pipes:
            sender.close()
            assert receiver.poll(120), 'a process does not answer'
            try:
                worked, answer = pickle.loads(receiver.recv_bytes())
            except EOFError:
                worked, answer = True, None
            assert worked, answer
            answers.append(answer)
        return answers
    finally:
        for process in processes:
            process.kill()
            process.join()


def _join(store: Path, function: Callable[[int], Any], rank: int, count: int, pipe: Any) -> None:
    # A pool of threads does not survive a fork.
    torch.set_num_threads(1)
    try:
        distributed.init_process_group(
            'gloo', init_method=f'file://{store}', rank=rank, world_size=count
        )
        answer = True, function(rank)
    except BaseException:
        answer = False, traceback.format_exc()
    # By value: tensors would be sent as shared memory, which ends with the process.
    pipe.send_bytes(pickle.dumps(answer))
    # The others may still send: leaving closes what they send by.
    with contextlib.suppress(RuntimeError):
        distributed.barrier()
