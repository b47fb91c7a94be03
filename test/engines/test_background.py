# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import sys
import threading
import weakref

import numpy as np
import psutil
import pytest

from dynamic_dnn_ros.engines.background import (
    NICENESS,
    SWITCH_INTERVAL,
    free_frames,
    return_free_memory,
    share_interpreter,
    yield_to_others,
)

linux = pytest.mark.skipif(sys.platform != 'linux', reason='niceness of threads is of Linux')


@linux
def test_only_the_calling_thread_yields() -> None:
    found: list[int] = []

    def work() -> None:
        yield_to_others()
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [NICENESS]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_interpreter_is_shared_at_least_as_often_as_before() -> None:
    before = sys.getswitchinterval()
    try:
        share_interpreter()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL)
        sys.setswitchinterval(SWITCH_INTERVAL / 2)
        share_interpreter()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL / 2)
    finally:
        sys.setswitchinterval(before)


def test_an_error_that_is_kept_keeps_only_its_text() -> None:
    held: list[weakref.ref[np.ndarray]] = []

    def fail() -> None:
        model = np.ones(10)
        held.append(weakref.ref(model))
        raise KeyError('inner')

    def wrap() -> None:
        try:
            fail()
        except KeyError as error:
            raise ValueError('outer') from error

    with pytest.raises(ValueError, match='outer') as kept:
        wrap()
    assert held[0]() is not None
    free_frames(kept.value)
    assert held[0]() is None
    assert str(kept.value) == 'outer' and kept.value.__traceback__ is not None


@linux
def test_freed_memory_goes_back() -> None:
    process = psutil.Process()
    # Pieces below the size from which the C library maps each one by itself.
    pieces = [np.ones(100_000, np.uint8) for _ in range(1000)]
    keeper = np.ones(100_000, np.uint8)
    full = process.memory_info().rss
    pieces.clear()
    return_free_memory()
    assert full - process.memory_info().rss > 80e6
    assert keeper.all()
