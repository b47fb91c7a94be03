# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Systems that are hurt side by side, each by a process that has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
import json
from pathlib import Path
import signal
import subprocess
import sys
import threading
from typing import Any

from faults import Fault, Setting
from work import Work

PROGRAM = Path(__file__).with_name('hurt_system.py')

PATIENCE = 60.0
"""Seconds that a system is given to end."""

Row = Mapping[str, Any]


class SystemProcess:
    """A process that has one system; a context manager."""

    def __init__(self, setting: Setting, logs: str) -> None:
        """
        Start it.

        :param logs: under which name its logs are kept
        """
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), setting.name, logs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hurt(self, fault: Fault) -> Row:
        """
        Have a fault done, and return what it cost, as `watch.Outcome` has it.

        :raises RuntimeError: when the process has ended
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(fault.name, file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except (BrokenPipeError, ValueError):
            answer = ''
        if not answer:
            raise RuntimeError(f'a system ended at {fault.name!r}: what it said stands above')
        row: Row = json.loads(answer)
        return row

    def interrupt(self) -> None:
        """Have it end its system now."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def __enter__(self) -> SystemProcess:
        """Return it; the first fault waits until its system serves."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """
        End the system.

        :raises RuntimeError: when something is left of it
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if code and kind is None:
            raise RuntimeError(f'a system did not end in order ({code}): it said why above')


class Run:
    """All faults, on systems side by side; `tell` is called with each row, one at a time."""

    def __init__(self, work: Work, systems: int, tell: Callable[[Row], None]) -> None:
        """
        Begin with no system.

        :param systems: how many at a time
        """
        self._work = work
        self._systems = systems
        self._tell = tell
        self._lock = threading.Lock()
        self._processes: dict[int, SystemProcess] = {}
        self._ending = False

    def all_of_it(self) -> None:
        """
        Do all faults; after one that the service does not survive, go on in a new system.

        :raises RuntimeError: when a system ends, or leaves something behind
        """
        with ThreadPoolExecutor(self._systems) as pool:
            futures = [pool.submit(self._one_after_another, slot) for slot in range(self._systems)]
            done: set[Future[None]] = set()
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                with self._lock:
                    self._ending = True
                    processes = list(self._processes.values())
                if any(future.running() for future in futures):
                    for process in processes:
                        process.interrupt()
        # What ended first is the cause: the others were interrupted.
        for future in (*done, *futures):
            future.result()

    def _one_after_another(self, slot: int) -> None:
        """Do faults in one system after the other."""
        while not self._ending:
            with self._work.system() as setting:
                if setting is None:
                    return
                with SystemProcess(setting, f'chaos_{slot}') as process:
                    with self._lock:
                        self._processes[slot] = process
                    self._until_one_is_not_survived(process, setting)

    def _until_one_is_not_survived(self, process: SystemProcess, setting: Setting) -> None:
        while not self._ending:
            with self._work.fault(setting) as fault:
                if fault is None:
                    return
                row = process.hurt(fault)
                with self._lock:
                    self._tell(row)
                if row['back'] is None:
                    return
