# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the processes of a system hold: memory, threads, files, shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deployment import System
import psutil

MEGABYTE = 1e6


@dataclass(frozen=True)
class Holding:
    """
    What one process holds at one time.

    `resident` bytes of memory, `private` those of it that lie in no file and are shared with
    nobody, threads, and open files.
    """

    resident: int
    private: int
    threads: int
    files: int


def resident(system: System) -> dict[str, int]:
    """Return the private memory of each process, bytes: what a leak adds to."""
    return {name: holding.private for name, holding in holdings(system).items()}


def holdings(system: System) -> dict[str, Holding]:
    """Return what each living process of a system holds."""
    found = {}
    for name in system.supervisor.names():
        number = system.supervisor.process_id(name)
        if number is None:
            continue
        try:
            process = psutil.Process(number)
            with process.oneshot():
                found[name] = Holding(
                    process.memory_info().rss,
                    _anonymous(number),
                    process.num_threads(),
                    process.num_fds(),
                )
        except (psutil.NoSuchProcess, OSError):
            continue
    return found


def _anonymous(process: int) -> int:
    """
    Return the bytes of a process that lie in no file.

    What `psutil` calls unique counts pages of libraries too, once nobody else has them open.
    """
    status = Path(f'/proc/{process}/status').read_text()
    line = next(line for line in status.splitlines() if line.startswith('RssAnon:'))
    return 1024 * int(line.split()[1])


def shared_memory() -> int:
    """Return the bytes that files of the middleware take in /dev/shm."""
    total = 0
    for path in Path('/dev/shm').glob('*fast*'):
        try:
            total += path.stat().st_blocks * 512
        except OSError:
            continue
    return total
