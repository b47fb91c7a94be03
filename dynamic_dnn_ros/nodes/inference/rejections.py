# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames that are rejected one after the other: said when it begins, and when it is over."""

from __future__ import annotations

from collections.abc import Callable
import math
import threading

QUIET = 10.0
"""Seconds without a rejected frame after which a series of them is over."""


class Rejections:
    """
    Tells series of rejected frames from each other; may be called from any thread.

    A camera whose every second frame is bad makes one series, and not one each second.
    """

    def __init__(
        self, on_begin: Callable[[str], None], on_end: Callable[[int, str], None]
    ) -> None:
        """
        Begin with none.

        :param on_begin: told why the first frame of a series is rejected
        :param on_end: told how many frames a series had, and why the last one was rejected
        """
        self._on_begin = on_begin
        self._on_end = on_end
        self._lock = threading.Lock()
        self._count = 0
        self._reason = ''
        self._last = -math.inf

    @property
    def present(self) -> tuple[int, str]:
        """Return how many frames the present series has, and the last reason; 0: there is none."""
        with self._lock:
            return self._count, self._reason

    def add(self, reason: str, now: float) -> None:
        """Count a rejected frame, at a time in seconds."""
        with self._lock:
            self._count += 1
            self._reason = reason
            self._last = now
            first = self._count == 1
        if first:
            self._on_begin(reason)

    def tick(self, now: float) -> None:
        """End a series of which nothing has come for a while."""
        if now - self._last >= QUIET:
            self.end()

    def end(self) -> None:
        """End the present series, if there is one."""
        with self._lock:
            count, reason = self._count, self._reason
            self._count, self._reason = 0, ''
        if count:
            self._on_end(count, reason)
