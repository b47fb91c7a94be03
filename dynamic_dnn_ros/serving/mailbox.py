# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One place for the newest frame: a late processor serves the present, not a queue of the past."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')


class Mailbox(Generic[Item]):
    """A slot that a newer item overwrites; every overwritten one is counted."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: Item | None = None
        self._closed = False
        self.received = 0
        self.replaced = 0

    @property
    def newest(self) -> Item | None:
        """Return the item that lies there, and leave it; None where there is none."""
        return self._item

    def put(self, item: Item) -> None:
        """Leave an item; one that still lies there is replaced and counted, a late one as well."""
        with self._condition:
            self.received += 1
            if self._item is not None or self._closed:
                self.replaced += 1
            if not self._closed:
                self._item = item
                self._condition.notify()

    def take(self, expected: Item | None = None) -> Item | None:
        """
        Take the item that lies there; None where there is none.

        :param expected: take nothing else than this one
        """
        with self._condition:
            item = self._item
            if expected is not None and item is not expected:
                return None
            self._item = None
            return item

    def wait(self) -> Item | None:
        """Wait for an item and take it; None once the mailbox is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Take in no more, and end a wait; an item that still lies there counts as replaced."""
        with self._condition:
            if self._item is not None:
                self.replaced += 1
                self._item = None
            self._closed = True
            self._condition.notify_all()
