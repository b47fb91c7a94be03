# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Memory of large messages goes back to the system, or is used again."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np
import psutil
from dynamic_dnn_ros.nodes.common.memory import return_large_blocks

return_large_blocks()
resident = lambda: psutil.Process().memory_info().rss
# A large block that comes and goes is what makes glibc keep the next ones.
np.ones(24_000_000, np.uint8)
before = resident()
blocks = [np.ones(2_000_000, np.uint8) for _ in range(20)]
keeper = np.ones(1000, np.uint8)
full = resident()
del blocks[:-1]
print(full - before, full - resident())
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='what glibc keeps')
def test_large_blocks_go_back_when_they_are_freed() -> None:
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT], capture_output=True, text=True, check=True
    )
    taken, returned = map(int, done.stdout.split())
    assert taken > 38e6
    assert returned > 36e6


REUSED = """
import resource
from dynamic_dnn_ros.nodes.common.memory import reuse_large_blocks

reuse_large_blocks()
pages = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def frame():
    one, other = bytes(bytearray(6_000_000)), bytes(bytearray(6_000_000))

for _ in range(3):
    frame()
before = pages()
for _ in range(20):
    frame()
print(pages() - before)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='what glibc keeps')
def test_the_memory_of_a_picture_is_used_again() -> None:
    done = subprocess.run(
        [sys.executable, '-c', REUSED], capture_output=True, text=True, check=True
    )
    # Taken anew, a picture of six megabytes is 1,465 pages.
    assert int(done.stdout) < 1_000
