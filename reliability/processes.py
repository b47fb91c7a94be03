# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes that are started again when they die, as `ros2 launch` does with `respawn`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import os
from pathlib import Path
import queue
import signal
import subprocess
import threading
import time
import uuid

import psutil

from dynamic_dnn_ros.launching.actions import RESPAWN_DELAY
from dynamic_dnn_ros.parent_death import end_with_parent

MARK = 'DYNAMIC_DNN_RELIABILITY'
"""Variable by which processes of a run are known, also those that lost their parent."""

PATIENCE = 10.0
"""Seconds that processes are given to end after SIGINT."""

_LOOK = 0.02


@dataclass
class _Supervised:
    name: str
    command: Sequence[str]
    respawn: bool
    started: threading.Event = field(default_factory=threading.Event)
    process: subprocess.Popen[bytes] | None = None
    due: float = 0.0
    starts: int = 0


class Supervisor:
    """
    Starts processes, and again what dies; a context manager.

    All end with it, and with this process, however that ends.
    """

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        """
        Begin without processes.

        :param environment: of all processes
        :param logs: existing folder for a log each
        """
        self.mark = uuid.uuid4().hex
        self._environment = {**environment, MARK: self.mark}
        self._logs = logs
        self._supervised: dict[str, _Supervised] = {}
        self._new: queue.SimpleQueue[_Supervised] = queue.SimpleQueue()
        self._ending = threading.Event()
        # The kernel ends a child with the thread that started it: one thread starts all.
        self._thread = threading.Thread(target=self._supervise, name='supervisor', daemon=True)

    def __enter__(self) -> Supervisor:
        """Begin to supervise."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self._ending.set()
        self._thread.join()

    def start(self, name: str, command: Sequence[str], respawn: bool = True) -> None:
        """Start a process, and return once it is there."""
        supervised = _Supervised(name, command, respawn)
        self._new.put(supervised)
        supervised.started.wait()

    def names(self) -> list[str]:
        """Return the names of all processes that are supervised."""
        return list(self._supervised)

    def process_id(self, name: str) -> int | None:
        """Return the id of a process; None while it is dead."""
        process = self._supervised[name].process
        return process.pid if process is not None and process.poll() is None else None

    def starts(self, name: str) -> int:
        """Return how often a process was started."""
        return self._supervised[name].starts

    def log(self, name: str) -> str:
        """Return what a process has written, over all of its starts."""
        path = self._logs / f'{name}.log'
        return path.read_text(errors='replace') if path.exists() else ''

    def end(self, name: str) -> None:
        """End a process that is not started again, as Ctrl-C does."""
        supervised = self._supervised.pop(name)
        _end([supervised])

    def here(self) -> list[psutil.Process]:
        """Return all living processes of this run, also orphans."""
        found = []
        for process in psutil.process_iter():
            try:
                alive = process.status() != psutil.STATUS_ZOMBIE
                if alive and process.environ().get(MARK) == self.mark:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def _supervise(self) -> None:
        while not self._ending.is_set():
            while not self._new.empty():
                supervised = self._new.get()
                self._supervised[supervised.name] = supervised
                self._launch(supervised)
                supervised.started.set()
            now = time.monotonic()
            for supervised in list(self._supervised.values()):
                process = supervised.process
                if process is not None and process.poll() is not None:
                    supervised.process = None
                    supervised.due = now + RESPAWN_DELAY
                elif process is None and supervised.respawn and now >= supervised.due:
                    self._launch(supervised)
            self._ending.wait(_LOOK)
        _end(list(self._supervised.values()))
        # A guard restores and ends when its node is gone.
        self._wait_until_gone()
        for left in self.here():
            left.kill()
        # The kernel takes a moment to end even a killed process.
        self._wait_until_gone()

    def _wait_until_gone(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.here() and time.monotonic() < deadline:
            time.sleep(0.1)

    def _launch(self, supervised: _Supervised) -> None:
        with (self._logs / f'{supervised.name}.log').open('ab') as log:
            supervised.process = subprocess.Popen(
                list(supervised.command),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        supervised.starts += 1


def _end(supervised: Sequence[_Supervised]) -> None:
    """End processes, the last one first, those that are stopped too."""
    running = [one.process for one in reversed(supervised) if one.process is not None]
    for process in running:
        for number in (signal.SIGCONT, signal.SIGINT):
            if process.poll() is None:
                process.send_signal(number)
    deadline = time.monotonic() + PATIENCE
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    end_with_parent()
    # A shell starts what runs in the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def signal_process(process_id: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended meanwhile."""
    try:
        os.kill(process_id, number)
    except ProcessLookupError:
        pass
