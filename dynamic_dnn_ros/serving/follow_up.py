# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is done with results in a thread of its own, in order, so that the worker goes on."""

from __future__ import annotations

from collections.abc import Callable
import logging
import queue
import threading
from typing import Generic, TypeVar

_LOGGER = logging.getLogger(__name__)

Item = TypeVar('Item')


class FollowUp(Generic[Item]):
    """
    A thread that takes one item after the other, in order and without loss.

    One item may wait while another is in work; who brings a third waits. So a follow-up that is
    slower than the worker slows it down, and what is late is dropped before work on it begins,
    where it is counted. An item that fails costs that item; the first failure of a series is
    logged.
    """

    def __init__(self, work: Callable[[Item], None], name: str) -> None:
        """
        Begin to wait for items.

        :param work: called with each item, by the thread
        :param name: of the thread
        """
        self._work = work
        self._queue: queue.Queue[Item | None] = queue.Queue(maxsize=1)
        self._failing = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand an item over; after `stop`, it is dropped."""
        if not self._ended.is_set():
            self._queue.put(item)

    def stop(self, timeout: float) -> bool:
        """
        Finish what was handed over, and end.

        :param timeout: s, to wait for that
        :return: whether the thread has ended
        """
        self._ended.set()
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            return False
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            try:
                self._work(item)
            except Exception:
                if not self._failing:
                    _LOGGER.exception('A result is lost in thread %s', self._thread.name)
                self._failing = True
            else:
                self._failing = False
