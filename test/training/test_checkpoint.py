# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys

import pytest
import torch

from dynamic_dnn_ros.training.checkpoint import CheckpointError, locked, read_state, write_state


def test_what_was_written_reads_back(tmp_path):
    path = tmp_path / 'checkpoint.pt'
    assert read_state(path) is None
    write_state(path, {'epoch': 3, 'network': {'weight': torch.arange(3.0)}})
    state = read_state(path)
    assert state['epoch'] == 3
    assert torch.equal(state['network']['weight'], torch.arange(3.0))
    assert [file.name for file in tmp_path.iterdir()] == ['checkpoint.pt']


def test_a_kill_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'checkpoint.pt'
    write_state(path, {'epoch': 3})
    before = path.read_bytes()

    def killed(state, stream):
        stream.write(b'half a checkpoint')
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, 'save', killed)
    with pytest.raises(KeyboardInterrupt):
        write_state(path, {'epoch': 4})
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_old_file_and_says_the_remedy(tmp_path):
    path = tmp_path / 'checkpoint.pt'
    write_state(path, {'epoch': 3})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match='make space and run the command again'):
            write_state(path, {'epoch': 4, 'network': torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_state(path)['epoch'] == 3
    assert [file.name for file in tmp_path.iterdir()] == ['checkpoint.pt']


_KILLED = """
import os, pathlib, sys, time
from dynamic_dnn_ros.training.checkpoint import locked
with locked(pathlib.Path(sys.argv[1])):
    worker = os.fork()
    if not worker:
        os.close(1)
        time.sleep(60)
        os._exit(0)
    print(worker, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_the_lock_of_a_killed_training_does_not_wait_for_its_workers(tmp_path):
    killed = subprocess.run(
        [sys.executable, '-c', _KILLED, str(tmp_path)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        check=False,
    )
    worker = int(killed.stdout)
    try:
        os.kill(worker, 0)
        with locked(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize('content', [b'', b'garbage', b'cos\nsystem\n(S"false"\ntR.'])
def test_what_is_no_checkpoint_is_refused_and_runs_nothing(tmp_path, content):
    path = tmp_path / 'checkpoint.pt'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'checkpoint.pt cannot be read.*remove it'):
        read_state(path)


def test_a_checkpoint_of_another_format_is_refused(tmp_path):
    path = tmp_path / 'checkpoint.pt'
    torch.save({'epoch': 3}, path)
    with pytest.raises(CheckpointError, match='not of format 1'):
        read_state(path)


def test_a_folder_is_locked_while_it_is_in_use(tmp_path):
    folder = tmp_path / 'work'
    with (
        locked(folder),
        pytest.raises(CheckpointError, match=r'another training works in .*work'),
        locked(folder),
    ):
        pass
    with locked(folder):
        pass
