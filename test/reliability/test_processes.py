# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What dies is started again, and nothing is left, whatever state it is in."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import signal
import sys
import time
from types import ModuleType

import pytest

Program = Callable[[str], ModuleType]

SLEEPING = [sys.executable, '-c', 'import time; time.sleep(100)']
# As a guard is: in a session of its own, and it outlives who started it.
ORPHAN = 'import subprocess; subprocess.Popen(["sleep", "100"], start_new_session=True)'


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 15.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_dies_is_started_again_and_nothing_is_left(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = program('processes')
    monkeypatch.setattr(processes, 'RESPAWN_DELAY', 0.1)
    monkeypatch.setattr(processes, 'PATIENCE', 1.0)
    with processes.Supervisor(dict(os.environ), tmp_path) as supervisor:
        supervisor.start('killed', SLEEPING)
        supervisor.start('stopped', SLEEPING)
        supervisor.start('parent', [sys.executable, '-c', ORPHAN], respawn=False)
        first = supervisor.process_id('killed')
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait(lambda: supervisor.starts('killed') == 2)
        wait(lambda: supervisor.process_id('killed') not in (None, first))
        wait(lambda: supervisor.process_id('parent') is None)
        assert len(supervisor.here()) == 3
        stopped = supervisor.process_id('stopped')
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)
    assert supervisor.here() == []
