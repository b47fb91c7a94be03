# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What this computer is called, so that figures measured on it are not taken for another's."""

from __future__ import annotations

import os
from pathlib import Path
import platform

_CPU_NAMES = ('model name', 'Model', 'Hardware', 'cpu model')


def hardware_name(root: str | Path = '/') -> str:
    """
    Return what this computer is called by its device tree, else by its CPU and number of cores.

    A Jetson or another board with a device tree names itself (`/proc/device-tree/model`), with
    all that is on it. Elsewhere it is the CPU of `/proc/cpuinfo`, and the NVIDIA GPUs that the
    driver lists under `/proc/driver/nvidia/gpus`.

    :param root: folder that holds `proc`
    """
    root = Path(root)
    board = _text(root / 'proc/device-tree/model').strip('\0').strip()
    if board:
        return board
    cpu = _entries(_text(root / 'proc/cpuinfo'))
    name = next((cpu[key] for key in _CPU_NAMES if cpu.get(key)), platform.machine())
    gpus = [
        _entries(_text(path)).get('Model', '')
        for path in sorted(root.glob('proc/driver/nvidia/gpus/*/information'))
    ]
    return ' + '.join([f'{name} ({os.cpu_count()} cores)', *filter(None, gpus)])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8', errors='replace')
    except OSError:
        return ''


def _entries(text: str) -> dict[str, str]:
    """Return the first value of each `key : value` line."""
    entries: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(':')
        entries.setdefault(key.strip(), value.strip())
    return entries
