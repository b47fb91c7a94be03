# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a program here ends: in order after every signal, with the logs of what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import shutil
import signal
from types import FrameType

from results import RESULTS

LOGS = RESULTS / 'logs'
"""Where the logs of the last system of each program lie; not in the repository."""


def end_in_order() -> None:
    """Have SIGTERM and a closed terminal end this program as Ctrl-C does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup it outlives its terminal; SIGINT is ignored where a shell put it behind.
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def keep_logs(folder: Path, program: str) -> Iterator[None]:
    """Copy the logs of a system of a program to where they can be read when it has ended."""
    try:
        yield
    finally:
        if folder.is_dir():
            kept = LOGS / program
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept)
