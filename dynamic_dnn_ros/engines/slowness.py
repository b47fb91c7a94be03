# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tell somebody of work that takes long while it goes on: nobody else could, it may never end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import threading

FIRST_WORD = 10.0
"""Seconds after which something takes long; after twice as long it is told of again, and so on."""


@contextmanager
def told_while_slow(tell: Callable[[float], None], first: float = FIRST_WORD) -> Iterator[None]:
    """
    Tell of what is done in the context, from a thread, for as long as it goes on.

    :param tell: called with the seconds that it has taken so far
    :param first: s until the first word
    """
    ended = threading.Event()

    def watch() -> None:
        passed, pause = 0.0, first
        while not ended.wait(pause):
            passed += pause
            tell(passed)
            pause = passed

    thread = threading.Thread(target=watch, name='told_while_slow', daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
