# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An epoch that was interrupted because a process was lost: from where it goes on."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from pathlib import Path
import signal
import threading
from typing import Any

from dynamic_dnn_ros.training.checkpoint import CheckpointError, read_state, write_state
from dynamic_dnn_ros.training.processes import (
    WorkerError,
    from_each,
    from_one,
    process_count,
    process_rank,
)

Position = tuple[int, int]
"""Whole epochs of all phases, and whole steps after them."""


class Unfinished:
    """
    Keeps the last whole step of an epoch, on each computer that still can.

    Only where a process is lost is anything written: a step costs nothing. Each process that is
    left writes what all of them had; the one that has most goes on.

    :param work: folder of the training on this computer.
    """

    def __init__(self, work: Path) -> None:
        self._work = work
        self._ended = threading.Event()

    @contextlib.contextmanager
    def noticing(self) -> Iterator[None]:
        """Have SIGTERM, by which `torchrun` ends the others, end a step rather than break it."""
        main = threading.current_thread() is threading.main_thread()
        if process_count() == 1 or not main:
            yield
            return
        before = signal.signal(signal.SIGTERM, lambda *_: self._ended.set())
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def check(self) -> None:
        """
        End between two steps where the process was told to.

        :raises WorkerError: if so.
        """
        if self._ended.is_set():
            raise WorkerError('ended by SIGTERM, as torchrun does where another process is lost')

    def write(self, position: Position, state: dict[str, Any], unsent: dict[str, Any]) -> None:
        """
        Keep a step.

        :param unsent: what this process had yet to send of its gradients.
        """
        self._work.mkdir(parents=True, exist_ok=True)
        write_state(self._path('step'), {'position': list(position), 'state': state})
        self.write_unsent(position, unsent)

    def write_unsent(self, position: Position, unsent: dict[str, Any]) -> None:
        """Keep what this process had yet to send of its gradients."""
        if unsent:
            self._work.mkdir(parents=True, exist_ok=True)
            kept = {'position': list(position), 'processes': process_count(), 'unsent': unsent}
            write_state(self._path('unsent'), kept)

    def read(self, after: int) -> dict[str, Any] | None:
        """
        Return the newest step that any process has kept; None where a checkpoint is newer.

        :param after: whole epochs of that checkpoint.
        :raises CheckpointError: if the file that has it cannot be read.
        """
        own = self._newest()
        found = from_each(own[0])
        known = [(position, -rank) for rank, position in enumerate(found) if position]
        if not known or max(known)[0] <= (after, 0):
            return None
        return from_one(own[1], -max(known)[1])

    def read_unsent(self, position: Position) -> dict[str, Any]:
        """Return what this process had yet to send; empty where that was at another step."""
        kept = read_state(self._path('unsent')) or {}
        if kept.get('position') != list(position) or kept.get('processes') != process_count():
            return {}
        unsent: dict[str, Any] = kept['unsent']
        return unsent

    def remove(self) -> None:
        """Remove the step that this process has kept: there is a newer checkpoint."""
        self._path('step').unlink(missing_ok=True)

    def _newest(self) -> tuple[Position | None, dict[str, Any]]:
        newest: tuple[Position | None, dict[str, Any]] = (None, {})
        for path in sorted(self._work.glob('step_*.pt')):
            with contextlib.suppress(CheckpointError):
                kept = read_state(path) or {}
                epochs, step = kept['position']
                if newest[0] is None or (epochs, step) > newest[0]:
                    newest = ((epochs, step), kept['state'])
        return newest

    def _path(self, kind: str) -> Path:
        return self._work / f'{kind}_{process_rank()}.pt'
