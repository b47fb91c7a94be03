# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A ROS domain for each test, claimed with a lock file so that parallel runs do not meet."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
import random
import tempfile

DOMAINS = range(1, 102)
"""Domain ids whose ports lie below the ephemeral ones; 0 is left to whoever uses the machine."""


class Domain:
    """
    One ROS domain id, held by this process until it is released or the process ends.

    Meanwhile the environment of this process, and so of those that it starts, names the domain
    and keeps discovery on this machine.

    A domain that was just used is taken again as late as possible: what the middleware still
    announces of the test before would be seen.
    """

    _order: list[int] = []

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir()) / f'dynamic_dnn_ros_domains_{os.getuid()}'
        folder.mkdir(mode=0o700, exist_ok=True)
        if not Domain._order:
            Domain._order = list(DOMAINS)
            random.SystemRandom().shuffle(Domain._order)
        for domain_id in list(Domain._order):
            descriptor = os.open(folder / f'{domain_id}.lock', os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            Domain._order.remove(domain_id)
            Domain._order.append(domain_id)
            self.id = domain_id
            self._descriptor: int | None = descriptor
            variables = isolated_environment(domain_id)
            self._before = {name: os.environ.get(name) for name in variables}
            os.environ.update(variables)
            return
        raise RuntimeError(
            f'all {len(DOMAINS)} ROS domains are taken by running tests ({folder}): end some'
        )

    def release(self) -> None:
        """Give the domain and the environment back."""
        if self._descriptor is None:
            return
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        os.close(self._descriptor)
        self._descriptor = None

    def __enter__(self) -> Domain:
        """Return the domain."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the domain back."""
        self.release()


def isolated_environment(domain_id: int) -> dict[str, str]:
    """Return the variables that keep a process in one domain on this machine."""
    return {
        'ROS_DOMAIN_ID': str(domain_id),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        # Humble knows only this one; from Iron on it is deprecated, and warns.
        **({'ROS_LOCALHOST_ONLY': '1'} if os.environ.get('ROS_DISTRO') == 'humble' else {}),
    }
