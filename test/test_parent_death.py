# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A process ends with its parent, also where that is killed."""

from __future__ import annotations

import subprocess
import sys

import psutil

PARENT = (
    'import os, signal, subprocess\n'
    'from dynamic_dnn_ros.parent_death import end_with_parent\n'
    'child = subprocess.Popen(["sleep", "60"], preexec_fn=end_with_parent)\n'
    'print(child.pid, flush=True)\n'
    'input()\n'
    'os.kill(os.getpid(), signal.SIGKILL)\n'
)


def test_a_process_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, '-c', PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.stdin.write('\n')
        parent.stdin.close()
        gone, _ = psutil.wait_procs([child], timeout=10)
    assert gone
