# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Room in /dev/shm before a process joins the graph: without it the process never gets any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import shutil
import sys
import time

import rclpy

from dynamic_dnn_ros.nodes.common.transport import image_profile_variables

FOLDER = Path('/dev/shm')

SECONDS = 15.0
"""How long a process waits for room."""

_PAUSE = 0.1

_IMAGE_BYTES = 36_000_000
"""That a process needs with the profile for images that ships."""

_OTHER_BYTES = 1_000_000
"""That it needs with Fast DDS's own settings: segments of 512 kB, and ports."""


def wait_for_shared_memory(
    ended: Callable[[], bool], folder: Path = FOLDER, seconds: float = SECONDS
) -> None:
    """
    Wait a while until there is room for what Fast DDS shares with other processes, and say so.

    Fast DDS asks for it once, when a process joins. Where there is none, it goes without for as
    long as the process lives, and large images that come as datagrams get lost.

    :param ended: whether the process is asked to end
    """
    if not rclpy.get_rmw_implementation_identifier().startswith('rmw_fastrtps'):
        return
    needed = needed_bytes()
    if _free(folder) >= needed:
        return
    _say(
        f'{folder} is full: {_free(folder) / 1e6:.1f} MB are free, {needed / 1e6:.0f} MB are '
        f'needed. Waiting for up to {seconds:g} s'
    )
    end = time.monotonic() + seconds
    while _free(folder) < needed and not ended():
        if time.monotonic() > end:
            _say(
                f'{folder} is still full: large images will get lost. Run "dynamic-dnn doctor", '
                'which tells what to remove, then start this process again'
            )
            return
        time.sleep(_PAUSE)


def needed_bytes() -> int:
    """Return what a process needs in /dev/shm by the profile that it is given."""
    return _IMAGE_BYTES if image_profile_variables() else _OTHER_BYTES


def _free(folder: Path) -> float:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return float('inf')  # No such folder: nothing to wait for.


def _say(what: str) -> None:
    # The middleware is not there yet.
    print(what, file=sys.stderr, flush=True)
