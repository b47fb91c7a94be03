# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
End a process that was asked to end and does not: a model that never answers, a driver that hangs.

Python runs a signal's handler in the main thread, between two instructions. While that thread is
inside a library it runs none, so a node that hangs there would ignore SIGTERM.
"""

from __future__ import annotations

from collections.abc import Callable
import os
import signal
import sys
import threading
import time
from types import FrameType

UNNOTICED = 1.5
"""s after a signal in which the main thread has to notice it."""

LONGEST = 8.0
"""s after a signal in which an end in order has to be over: frames in work, a farewell."""


def arm_last_resort(
    name: str,
    signals: tuple[signal.Signals, ...],
    noticed: Callable[[], bool],
    unnoticed: float = UNNOTICED,
    longest: float = LONGEST,
) -> None:
    """
    From now on, end this process where it does not end by itself after one of some signals.

    To be called in the main thread, which has handlers for these signals. Standard error then
    names what the main thread was doing, and the exit code is 128 plus the signal's number.

    :param name: of the program
    :param noticed: tells whether a handler has run
    :param unnoticed: s, as `UNNOTICED`
    :param longest: s, as `LONGEST`
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    # The interpreter writes each signal's number there at once, whatever the main thread does.
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    main = threading.get_ident()

    def watch() -> None:
        number = _wait_for(reading, signals)
        time.sleep(unnoticed)
        if not noticed():
            _end(name, number, unnoticed, main)
        time.sleep(longest - unnoticed)
        _end(name, number, longest, main)

    threading.Thread(target=watch, name='last_resort', daemon=True).start()


def _wait_for(reading: int, signals: tuple[signal.Signals, ...]) -> int:
    """Return the number of the first of some signals that arrives."""
    number = 0
    while number not in signals:
        number = os.read(reading, 1)[0]
    return number


def _end(name: str, number: int, seconds: float, main: int) -> None:
    where = _place(sys._current_frames().get(main))
    print(
        f'{name}: {signal.Signals(number).name} came {seconds:g} s ago, and the node is still in '
        f'{where}. It ends without taking leave.',
        file=sys.stderr,
        flush=True,
    )
    os._exit(128 + number)


def _place(frame: FrameType | None) -> str:
    """Return where a thread is: the function, the file and the line."""
    if frame is None:
        return 'its last instructions'
    code = frame.f_code
    return f'{code.co_name} ({code.co_filename}:{frame.f_lineno})'
