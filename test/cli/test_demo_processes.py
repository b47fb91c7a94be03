# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo's processes end with it, and leave nothing behind."""

from __future__ import annotations

from contextlib import ExitStack
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from dynamic_dnn_ros.cli.demo.processes import (
    ProcessError,
    ProcessGroup,
    free_domain,
    isolated_environment,
)
from support.domain import Domain

SLEEP = [sys.executable, '-c', 'import time; print("ready", flush=True); time.sleep(60)']
STUBBORN = [
    sys.executable,
    '-c',
    'import signal, subprocess, time\n'
    'signal.signal(signal.SIGINT, signal.SIG_IGN)\n'
    'child = subprocess.Popen(["sleep", "60"])\n'
    'print(child.pid, flush=True)\n'
    'time.sleep(60)\n',
]


def wait_for(file: Path, timeout: float = 20.0) -> str:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if file.exists() and file.read_text().endswith('\n'):
            return file.read_text()
        time.sleep(0.02)
    raise TimeoutError(f'nothing in {file}')


def gone(pid: int, timeout: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_processes_end_with_the_group(tmp_path: Path) -> None:
    with ProcessGroup(os.environ, tmp_path) as group:
        process = group.start('sleeper', SLEEP)
        wait_for(tmp_path / 'sleeper.log')
        group.check()
    assert process.exit_code == -signal.SIGINT or process.exit_code == 1
    assert gone(process.pid)


def test_what_does_not_end_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('dynamic_dnn_ros.cli.demo.processes.PATIENCE', 0.3)
    group = ProcessGroup(os.environ, tmp_path)
    process = group.start('stubborn', STUBBORN)
    child = int(wait_for(tmp_path / 'stubborn.log'))
    assert group.end() == ['stubborn']
    assert process.exit_code == -signal.SIGKILL
    assert gone(child)


def test_dead_process_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with ProcessGroup(os.environ, tmp_path) as group:
        process = group.start('broken', [sys.executable, '-c', 'raise SystemExit("no camera")'])
        assert process.wait(20.0)
        with pytest.raises(ProcessError, match=r'broken ended with exit code 1.*\n.*no camera'):
            group.check()


def test_executable_that_is_not_there(tmp_path: Path) -> None:
    group = ProcessGroup(os.environ, tmp_path)
    with pytest.raises(ProcessError, match=r'node cannot be started.*Build the package'):
        group.start('node', [str(tmp_path / 'node')])


def test_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = (
        'import os, sys, time\n'
        'from pathlib import Path\n'
        'from dynamic_dnn_ros.cli.demo.processes import ProcessGroup\n'
        f'group = ProcessGroup(os.environ, Path({str(tmp_path)!r}))\n'
        f'print(group.start("sleeper", {SLEEP!r}).pid, flush=True)\n'
        'time.sleep(60)\n'
    )
    with subprocess.Popen(
        [sys.executable, '-c', script], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_for(tmp_path / 'sleeper.log')
        parent.kill()
    assert gone(child)


def test_free_domain_is_free_and_taken_once() -> None:
    with ExitStack() as stack:
        taken = [stack.enter_context(free_domain()) for _ in range(20)]
        assert len(set(taken)) == 20
        assert all(0 < domain < 102 for domain in taken)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind(('', 7400 + 250 * taken[0] + 10))
        for _ in range(200):
            with free_domain() as domain:
                assert domain != taken[0]


def test_domains_of_tests_are_not_taken() -> None:
    with Domain() as held:
        for _ in range(200):
            with free_domain() as domain:
                assert domain != held.id


def test_environment_is_isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv('ROS_LOCALHOST_ONLY', '0')
    monkeypatch.setenv('ROS_STATIC_PEERS', '10.0.0.1')
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    environment = isolated_environment(42, tmp_path / 'profile.xml')
    assert environment['ROS_DOMAIN_ID'] == '42'
    assert environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert 'ROS_LOCALHOST_ONLY' not in environment
    assert 'ROS_STATIC_PEERS' not in environment
    assert environment['FASTRTPS_DEFAULT_PROFILES_FILE'] == str(tmp_path / 'profile.xml')
    monkeypatch.setenv('ROS_DISTRO', 'humble')
    assert isolated_environment(42, tmp_path)['ROS_LOCALHOST_ONLY'] == '1'
