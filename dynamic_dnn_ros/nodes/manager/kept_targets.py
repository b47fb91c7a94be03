# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The targets in force in a file, for a manager that is started again after a crash.

Applications echo their targets, so a manager alone may die. What dies together with its
application would be forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
import hashlib
import json
import os
from pathlib import Path
import stat
import time
from typing import Any

from dynamic_dnn_ros.management.targets import LateFrames, Objective, Target
from dynamic_dnn_ros.storage import write_whole

LONGEST_GAP = 30.0
"""Seconds after a crash for which targets count: later, whoever asked has asked again."""

LARGEST_FILE = 1_000_000
"""Bytes that are read: a hundred targets take a tenth of it."""


def path_of(folder: Path, domain: int, namespace: str) -> Path:
    """Return the file of the manager of a namespace in a ROS domain, for this user."""
    key = hashlib.sha256(f'{domain} {namespace}'.encode()).hexdigest()[:12]
    return folder / f'dynamic_dnn_ros-{os.geteuid()}-{key}-targets.json'


class KeptTargets:
    """Keeps targets while the manager lives; what it leaves in order is nothing."""

    def __init__(self, path: Path) -> None:
        """Begin without touching the file."""
        self._path = path
        self._content = b''

    def left_behind(self) -> list[Target]:
        """
        Return what a manager that crashed a moment ago had; nothing where the file is no such one.

        A file that another user could have written is not trusted.
        """
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return []
        with os.fdopen(descriptor, 'rb') as file:
            status = os.fstat(descriptor)
            trusted = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
            if not trusted or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return []
            if not 0 <= time.time() - status.st_mtime <= LONGEST_GAP:
                return []
            content = file.read(LARGEST_FILE + 1)
        try:
            return [_target(row) for row in json.loads(content[:LARGEST_FILE])]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return []

    def keep(self, targets: Sequence[Target]) -> None:
        """
        Keep targets, in place of all that were kept before, and say that they still count.

        :raises OSError: when they cannot be written
        """
        content = json.dumps([asdict(target) for target in targets]).encode()
        if content != self._content or not self._path.exists():
            write_whole(self._path, content)
            self._content = content
        else:
            os.utime(self._path)

    def forget(self) -> None:
        """Keep nothing: the manager ends in order."""
        self._content = b''
        self._path.unlink(missing_ok=True)


def _target(row: dict[str, Any]) -> Target:
    """
    Return a target from what JSON made of it.

    :raises ValueError: when it is none
    """
    values = dict(row)
    values['objective'] = Objective(values['objective'])
    values['late_frames'] = LateFrames(values['late_frames'])
    return Target(**values)
