# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the demo is ended from outside: all goes with it."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from rclpy.executors import Executor

#: Seconds for which the executor waits for a message at most.
SPIN_PERIOD = 0.05

_interrupted = threading.Event()


def handle_signals() -> None:
    """Have SIGTERM and a closed terminal end the demo as Ctrl-C does: all goes with it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup it outlives its terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def spin_once(executor: Executor) -> None:
    """
    Let an executor work for a moment.

    :raises KeyboardInterrupt: after a signal, also where rclpy makes another error of it: one that
        comes while a message is converted is a RuntimeError of its bindings
    """
    try:
        executor.spin_once(timeout_sec=SPIN_PERIOD)
    except RuntimeError as error:
        if _interrupted.is_set():
            raise KeyboardInterrupt from error
        raise
