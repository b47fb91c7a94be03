# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What takes long is told of while it goes on, and what does not is not."""

from __future__ import annotations

import threading
import time

from dynamic_dnn_ros.engines.slowness import told_while_slow


def test_slow_work_is_told_of_after_ever_longer_pauses() -> None:
    told: list[float] = []
    twice = threading.Event()

    def tell(seconds: float) -> None:
        told.append(seconds)
        if len(told) == 2:
            twice.set()

    with told_while_slow(tell, 0.02):
        assert twice.wait(5.0)
    assert told[:2] == [0.02, 0.04]
    number = len(told)
    time.sleep(0.1)
    assert len(told) == number


def test_quick_work_is_not_told_of() -> None:
    told: list[float] = []
    with told_while_slow(told.append, 5.0):
        pass
    assert not told and threading.active_count() < 50
