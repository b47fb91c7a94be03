# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Have the kernel end a process when its parent dies, whatever killed that (Linux only)."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)
# Opened here: between fork and exec a lock of the loader may be held by a thread that is gone.
_LIBC = ctypes.CDLL(None) if sys.platform == 'linux' else None


def end_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """
    Ask for a signal to this process when the thread that started it ends.

    It fits `preexec_fn` of `subprocess.Popen`, and holds on through `exec`.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)
