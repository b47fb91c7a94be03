# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which fault is done next, where several systems are hurt side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
import threading

from faults import Fault, Setting


class Work:
    """
    The faults that are left to do; may be used by several threads.

    Each is done once before any is done again, those of one setting in a row: a new setting takes
    a new system.
    """

    def __init__(self, faults: Sequence[Fault], rounds: int, done: Mapping[str, int]) -> None:
        """
        Begin with what is not done yet.

        :param rounds: how often each fault is done
        :param done: how often each was done before, by name
        """
        self._left = {
            setting: [
                fault
                for count in range(rounds)
                for fault in faults
                if fault.setting == setting and done.get(fault.name, 0) <= count
            ]
            for setting in dict.fromkeys(fault.setting for fault in faults)
        }
        self._systems = dict.fromkeys(self._left, 0)
        self._condition = threading.Condition()
        self._busy = 0
        self._crowded = False

    def __len__(self) -> int:
        """Return how many faults nobody has taken yet."""
        with self._condition:
            return sum(map(len, self._left.values()))

    @contextmanager
    def system(self) -> Iterator[Setting | None]:
        """Give the setting of the next system, one that few systems have; None: all is done."""
        with self._condition:
            open_ones = [setting for setting, left in self._left.items() if left]
            setting = min(open_ones, key=lambda one: self._systems[one], default=None)
            if setting is not None:
                self._systems[setting] += 1
        try:
            yield setting
        finally:
            if setting is not None:
                with self._condition:
                    self._systems[setting] -= 1

    @contextmanager
    def fault(self, setting: Setting) -> Iterator[Fault | None]:
        """
        Give the next fault of a setting; None: there is none left.

        One that takes the whole computer waits for the others, and keeps them waiting.
        """
        with self._condition:
            left = self._left[setting]
            fault = left.pop(0) if left else None
            if fault is not None:
                self._condition.wait_for(lambda: not self._crowded)
                if fault.crowds:
                    self._crowded = True  # from here on nobody begins
                    self._condition.wait_for(lambda: not self._busy)
                self._busy += 1
        try:
            yield fault
        finally:
            if fault is not None:
                with self._condition:
                    self._busy -= 1
                    self._crowded = self._crowded and not fault.crowds
                    self._condition.notify_all()
