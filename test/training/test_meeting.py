# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes that meet where an earlier start of them has left something."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import contextlib
import os
from pathlib import Path
import shutil
import signal
import socket
import subprocess
import time

import psutil
import pytest
from torch import distributed
import yaml

from dynamic_dnn_ros.training.meeting import agree

RESTART_SECONDS = 120.0
"""Of a training that is killed once, on a busy computer."""


def _met(store, count):
    with ThreadPoolExecutor(count) as pool:
        calls = [pool.submit(agree, store, rank, count, 20.0) for rank in reversed(range(count))]
        return [call.result() for call in calls]


@pytest.mark.parametrize('count', [2, 4])
def test_all_agree_on_a_name_that_no_earlier_start_had(count):
    store = distributed.HashStore()
    names = [set(_met(store, count)) for _ in range(3)]
    assert [len(each) for each in names] == [1, 1, 1]
    assert len(set.union(*names)) == 3


def test_a_process_that_comes_first_does_not_take_the_name_of_an_earlier_start():
    store = distributed.HashStore()
    (before,) = set(_met(store, 2))
    with ThreadPoolExecutor(2) as pool:
        second = pool.submit(agree, store, 1, 2, 20.0)
        time.sleep(0.3)
        assert not second.done()
        first = pool.submit(agree, store, 0, 2, 20.0)
        assert first.result() == second.result() != before


def test_who_does_not_come_is_named():
    with pytest.raises(TimeoutError, match='process 1 of 2 did not come: start it'):
        agree(distributed.HashStore(), 0, 2, 0.1)
    with pytest.raises(TimeoutError, match='the first process did not come: start it'):
        agree(distributed.HashStore(), 1, 2, 0.1)


@pytest.fixture
def training(tmp_path):
    """Return a training file of a small network and few pictures."""
    from PIL import Image

    for colour in ('red', 'blue'):
        (tmp_path / 'pictures' / colour).mkdir(parents=True)
        for place in range(40):
            picture = Image.new('RGB', (32, 32), colour)
            picture.putpixel((place % 32, 0), (255, 255, 255))
            picture.save(tmp_path / 'pictures' / colour / f'{place}.png')
    phases = [{'name': 'largest', 'rule': 'largest', 'epochs': 6, 'learning_rate': 0.02}]
    path = tmp_path / 'few.yaml'
    path.write_text(
        yaml.safe_dump(
            {
                'name': 'few',
                'training_data': str(tmp_path / 'pictures'),
                'test_every': 4,
                'output': str(tmp_path / 'bundle'),
                'work': str(tmp_path / 'work'),
                'family': 'ofa_mobilenet_v3',
                'layout': 'ofa_mbv3_32x32',
                'mean': [0.5, 0.5, 0.5],
                'standard_deviation': [0.25, 0.25, 0.25],
                'data_name': 'few pictures',
                'held_out': 16,
                'batch_size': 8,
                'threads': 1,
                'phases': phases,
            }
        )
    )
    return path


@contextlib.contextmanager
def _torchrun(training: Path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        'CUDA_VISIBLE_DEVICES': '',
        'OMP_NUM_THREADS': '1',
        'GLOO_SOCKET_IFNAME': 'lo',
    }
    command = shutil.which('dynamic-dnn')
    assert command
    with (training.parent / 'log').open('wb') as log:
        process = subprocess.Popen(
            [
                *('torchrun', '--nnodes', '1', '--nproc_per_node', '2', '--max-restarts', '3'),
                *('--rdzv_backend', 'c10d', '--rdzv_endpoint', f'127.0.0.1:{port}'),
                *(command, 'train', str(training)),
            ],
            cwd=training.parent,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        every = psutil.Process(process.pid)
        try:
            yield process
        finally:
            for each in [*every.children(recursive=True), every] if every.is_running() else []:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            process.wait()


def test_torchrun_starts_all_again_and_they_go_on(training):
    checkpoint = training.parent / 'work' / 'checkpoint.pt'
    with _torchrun(training) as process:
        end = time.monotonic() + RESTART_SECONDS
        while not checkpoint.exists():
            assert process.poll() is None and time.monotonic() < end, _log(training)
            time.sleep(0.05)
        workers = psutil.Process(process.pid).children()
        assert len(workers) == 2
        workers[-1].send_signal(signal.SIGKILL)
        assert process.wait(RESTART_SECONDS) == 0, _log(training)
    assert 'exitcode: -9' in _log(training)
    assert (training.parent / 'bundle' / 'manifest.json').exists()


def _log(training: Path) -> str:
    return (training.parent / 'log').read_text(encoding='utf-8', errors='replace')[-5000:]
