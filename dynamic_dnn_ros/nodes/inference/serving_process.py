# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the inference nodes of one process have in common."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time

from dynamic_dnn_ros.nodes.common.uniqueness import Identity
from dynamic_dnn_ros.scheduling.registry import DEFAULT_SCHEDULER, create_scheduler
from dynamic_dnn_ros.serving.server import Server


class ServingProcess:
    """
    The processor loops of a process, the scheduler by which streams take turns, and its CPU time.

    `identity` is that of all its nodes, so that others can tell whose streams take turns.
    """

    def __init__(self, shared: bool = False) -> None:
        """
        Begin with no stream.

        :param shared: whether several nodes have it in common
        """
        self.shared = shared
        self.identity = Identity()
        self.scheduler = DEFAULT_SCHEDULER
        self.server = Server(lambda: create_scheduler(self.scheduler))
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._counted = 0.0

    def listen(self, on_schedule: Callable[[], None]) -> None:
        """Have somebody told when `scheduler` is another one."""
        self._listeners.append(on_schedule)

    def schedule(self, name: str) -> None:
        """
        Have another scheduler decide from the next stage on, for all processors.

        :raises UnknownSchedulerError: when none has that name
        """
        if name == self.scheduler:
            return
        create_scheduler(name)
        self.scheduler = name
        self.server.schedule(lambda: create_scheduler(name))
        for listener in self._listeners:
            listener()

    def take_cpu_time(self) -> float:
        """
        Return the CPU time that the process has used since it was last asked, s.

        So each second counts for one stream, that which is served then. May be called from any
        thread.
        """
        with self._lock:
            before, self._counted = self._counted, time.process_time()
            return self._counted - before
