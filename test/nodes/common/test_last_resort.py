# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A process that hangs inside a library ends all the same when it is asked to."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

ARMED = """
import ctypes, signal, sys, threading, time
from dynamic_dnn_ros.nodes.common.last_resort import arm_last_resort

ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
arm_last_resort('node', (signal.SIGTERM,), ended.is_set, 0.3, 0.8)

def hang_in_a_library():
    # A lock of the C library that it holds itself; no signal ends that wait.
    library, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(lock)
    print('hangs', flush=True)
    library.pthread_mutex_lock(lock)

def hang_in_order():
    print('hangs', flush=True)
    ended.wait()
    time.sleep(30)

def end_in_order():
    print('hangs', flush=True)
    ended.wait()

{call}()
"""


@pytest.mark.parametrize(
    ('call', 'code', 'said'),
    [
        ('hang_in_a_library', 143, 'SIGTERM came 0.3 s ago, and the node is still in hang_in_a_'),
        ('hang_in_order', 143, 'SIGTERM came 0.8 s ago, and the node is still in hang_in_order'),
        ('end_in_order', 0, ''),
    ],
)
def test_a_process_that_is_asked_to_end_does(call: str, code: int, said: str) -> None:
    command = [sys.executable, '-c', ARMED.replace('{call}', call)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == 'hangs\n'
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20.0)
    assert process.returncode == code
    assert said in errors
