# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Memory of large messages goes back to the system, or is used again; so do small objects."""

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


COLLECTED = """
import gc
import sys
from dynamic_dnn_ros.nodes.common.memory import COLLECTION_PERIOD, Collections

class Cycle:
    freed = False
    def __init__(self):
        self.itself = self
    def __del__(self):
        Cycle.freed = True

gc.disable()
collections = Collections()
Cycle()
collections.collect_when_due(1e6)
print('not frozen', Cycle.freed)
collections.leave_out(True, 10.0)
before = sys.getallocatedblocks()
kept = [tuple(range(length)) for length in range(1, 20) for _ in range(1000)]
del kept
Cycle.freed = False
Cycle()
collections.collect_when_due(9.9 + COLLECTION_PERIOD)
print('early', Cycle.freed, sys.getallocatedblocks() - before > 15_000)
collections.collect_when_due(10.0 + COLLECTION_PERIOD)
print('due', Cycle.freed, sys.getallocatedblocks() - before > 1_000)
Cycle.freed = False
Cycle()
collections.collect_when_due(10.1 + COLLECTION_PERIOD)
print('just done', Cycle.freed)
collections.leave_out(False, 0.0)
print('frozen', gc.get_freeze_count())
collections.collect_when_due(1e6)
print('released', Cycle.freed)
"""


def test_a_configured_node_collects_once_a_period_and_keeps_no_free_tuples() -> None:
    done = subprocess.run(
        [sys.executable, '-c', COLLECTED], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        'not frozen False',
        'early False True',
        'due True False',
        'just done False',
        'frozen 0',
        'released False',
    ]
