# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A network and a /dev/shm of a run's own, where the system allows that.

Faults that cut the network or fill /dev/shm touch nobody else there, and all is gone with the run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

SHARED_MEMORY = 256_000_000
"""Bytes of /dev/shm of a run: a dozen nodes with the DDS profile for images take a third."""

_INSIDE = 'DYNAMIC_DNN_ISOLATED'

_PREPARE = (
    f'mount -t tmpfs -o size={SHARED_MEMORY} tmpfs /dev/shm && ip link set lo up multicast on && '
    'ip route add 224.0.0.0/4 dev lo && exec "$@"'
)


def isolated() -> bool:
    """Tell whether this process has a network and a /dev/shm of its own."""
    return os.environ.get(_INSIDE) == '1'


def isolate() -> None:
    """
    Go on in a network and a /dev/shm of our own; without the rights for that, as it is.

    This process becomes another program: call it first.
    """
    if isolated() or not can_isolate():
        return
    os.environ[_INSIDE] = '1'
    _execute('sh', '-c', _PREPARE, 'sh', sys.executable, *sys.argv)


def can_isolate() -> bool:
    """Tell whether the system allows a network and a /dev/shm of our own."""
    if shutil.which('unshare') is None or shutil.which('ip') is None:
        return False
    command = ['unshare', '--mount', '--net', 'sh', '-c', _PREPARE, 'sh', 'true']
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _execute(*command: str) -> None:
    os.execvp('unshare', ['unshare', '--mount', '--net', *command])


def set_network(up: bool) -> None:
    """Cut the only network of an isolated run, or connect it again."""
    if not isolated():
        raise RuntimeError('the network is that of the whole computer: it is not cut')
    subprocess.run(['ip', 'link', 'set', 'lo', 'up' if up else 'down'], check=True)
    if up:
        # The route goes with the link.
        subprocess.run(['ip', 'route', 'replace', '224.0.0.0/4', 'dev', 'lo'], check=True)
