# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the process of a node does about memory: large messages, and garbage collections."""

from __future__ import annotations

import ctypes
import gc
import math

LARGE = 128 * 1024
"""Bytes from which a block of memory goes back to the system as soon as it is freed."""

PICTURE = 32 * 1024 * 1024
"""Bytes up to which a block is used again; glibc takes no larger threshold."""

COLLECTION_PERIOD = 60.0
"""Seconds between two full garbage collections of a configured node."""

# As `malloc.h` of glibc numbers the two parameters.
_MMAP_THRESHOLD = -3
_TRIM_THRESHOLD = -1


def return_large_blocks() -> None:
    """
    Have every large block go back to the system when it is freed.

    By itself glibc keeps the larger blocks the more of them come and go. A manager that hears
    tables of operating points of several megabytes takes 10 to 18 MB less with this.
    """
    _set_thresholds(LARGE, LARGE)


def reuse_large_blocks() -> None:
    """
    Have blocks as large as a camera's picture be used again when they are freed.

    By itself glibc may give each one back, and take its pages anew for the next frame: at
    1920x1080 that was 3,200 page faults and 7 ms a frame.
    """
    _set_thresholds(PICTURE, 2 * PICTURE)


def _set_thresholds(block: int, rest: int) -> None:
    """
    Say what goes back to the system when it is freed.

    :param block: bytes from which a block does
    :param rest: bytes from which what is free at the end of the heap does
    """
    # Only glibc has it, and only glibc needs it.
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, block)
        mallopt(_TRIM_THRESHOLD, rest)


class Collections:
    """
    Full garbage collections of a process: of few objects, and once a minute.

    One stops every thread while it looks at each object: 80 ms with PyTorch loaded, five frames at
    60 Hz. What is frozen it does not look at.

    By itself Python makes one when the objects that are not frozen come to a quarter of all that
    there were, which is nearly never. Until then it keeps cycles, and of each of twenty lengths
    up to 2,000 tuples that nobody has (5 MB), which lie between others and keep more from the
    system.
    """

    def __init__(self) -> None:
        """Begin with nothing frozen, as Python does."""
        self._due = math.inf

    def leave_out(self, frozen: bool, now: float) -> None:
        """
        Leave all that there is now out of collections, or let them see all of it again.

        Cycles of frozen objects are not freed, so whoever has released something calls this with
        False.

        :param now: monotonic time, s
        """
        gc.unfreeze()
        self._due = math.inf
        if frozen:
            gc.collect()
            gc.freeze()
            self._due = now + COLLECTION_PERIOD

    def collect_when_due(self, now: float) -> None:
        """Collect where something is frozen and the last time was a period ago."""
        if now >= self._due:
            gc.collect()
            self._due = now + COLLECTION_PERIOD
