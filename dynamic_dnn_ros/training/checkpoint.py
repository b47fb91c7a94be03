# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A training's work folder: files written whole or not at all, by one training at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import fcntl
import os
from pathlib import Path
from typing import Any

import torch

from dynamic_dnn_ros.storage import written_whole

#: Of all files here; a change that older files cannot be read by raises it.
FORMAT = 1

#: The training as it was after its last whole epoch.
CHECKPOINT_NAME = 'checkpoint.pt'


class CheckpointError(ValueError):
    """A checkpoint that does not belong to this training, or cannot be read or written."""


def write_state(path: Path, state: dict[str, Any]) -> None:
    """
    Write tensors and plain values beside the old file, then exchange them at once.

    :raises CheckpointError: if there is no space; the old file stays.
    """
    try:
        with written_whole(path) as stream:
            torch.save({'format': FORMAT, **state}, stream)
    except (OSError, RuntimeError) as error:
        # torch wraps what the disk says in a RuntimeError.
        raise CheckpointError(
            f'{path} cannot be written ({error}): the one of the epoch before is whole; make '
            'space and run the command again to continue'
        ) from error


def read_state(path: Path) -> dict[str, Any] | None:
    """
    Return what `write_state` wrote, None where there is no file.

    :raises CheckpointError: if it cannot be read.
    """
    if not path.exists():
        return None
    try:
        # weights_only: tensors and plain values, nothing that could run code.
        state = torch.load(path, map_location='cpu', weights_only=True)
        if not isinstance(state, dict) or state.get('format') != FORMAT:
            raise ValueError(f'not of format {FORMAT}')
    except Exception as error:
        # torch explains at length how to run what a file holds; not with this one.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f'{path} cannot be read ({reason}): remove it to start anew'
        ) from error
    return state


def held_out_otherwise(state: Mapping[str, Any], seed: int, pictures: int) -> str:
    """
    Return how a checkpoint's training held other pictures out; empty where it held out the same.

    :param pictures: how many are trained on.
    """
    for name, own in (('seed', seed), ('pictures', pictures)):
        if state.get(name, own) != own:
            return (
                f'was trained with {name} {state[name]}, now it is {own}, so pictures held out '
                'now would be known to the network'
            )
    return ''


_held: set[int] = set()


def _close_held() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


# Processes that load pictures outlive a training that was killed by seconds; its lock must not.
os.register_at_fork(after_in_child=_close_held)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """
    Make a folder and keep other trainings out of it; the lock ends with the process.

    :raises CheckpointError: if another training works there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointError(
                f'another training works in {folder}: wait for its end, or give another work '
                'folder'
            ) from error
        _held.add(descriptor)
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)
