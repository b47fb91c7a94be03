# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import ctypes, resource, sys
from dynamic_dnn_ros.training.memory import keep_freed_memory
if sys.argv[1] == 'keep':
    keep_freed_memory()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.malloc.argtypes = [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
size = 64 * 2**20
def touch():
    block = library.malloc(size)
    ctypes.memset(block, 1, size)
    library.free(block)
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _page_faults(how: str) -> int:
    answer = subprocess.run(
        [sys.executable, '-c', _SCRIPT, how], capture_output=True, text=True, check=True
    )
    return int(answer.stdout)


def test_freed_memory_is_reused_without_page_faults():
    assert _page_faults('keep') < 0.1 * _page_faults('give back') + 10
