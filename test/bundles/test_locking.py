# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import subprocess
import sys

import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.locking import exclusive

HOLD = """
import sys
from pathlib import Path
from dynamic_dnn_ros.bundles.locking import exclusive
with exclusive(Path(sys.argv[1])):
    print('held', flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return another process that has the lock of `bundle`."""
    command = [sys.executable, '-c', HOLD, str(tmp_path / 'bundle')]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == 'held\n'
        yield process
        process.kill()


def test_the_second_is_told_at_once_who_has_it(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    told = rf'is being written by process {holder.pid} \('
    with pytest.raises(BundleError, match=told), exclusive(tmp_path / 'bundle'):
        pass
    with exclusive(tmp_path / 'another_bundle'):
        pass
    assert holder.stdin is not None
    holder.stdin.close()
    assert holder.wait(10) == 0
    assert os.listdir(tmp_path) == []


def test_a_killed_holder_leaves_no_lock(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.kill()
    holder.wait(10)
    with exclusive(tmp_path / 'bundle'):
        pass
    assert os.listdir(tmp_path) == []


def test_the_holder_may_enter_again(tmp_path: Path) -> None:
    (tmp_path / 'real').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path / 'real')
    with exclusive(tmp_path / 'real'):
        with exclusive(tmp_path / 'link'):
            pass
        # The inner one did not give it away.
        answer = subprocess.run(
            [sys.executable, '-c', HOLD, str(tmp_path / 'real')],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert f'is being written by process {os.getpid()}' in answer.stderr
    with exclusive(tmp_path / 'real'):
        pass


def test_no_lock_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / 'file').write_bytes(b'')
    folder = tmp_path / 'file' / 'bundle'
    with pytest.raises(BundleError, match='cannot be locked'), exclusive(folder):
        pass
