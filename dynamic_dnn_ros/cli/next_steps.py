# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What to type next, by what this computer has."""

from __future__ import annotations

from pathlib import Path
import shlex
import shutil


def serving(bundle: Path, platform: str = '') -> str:
    """
    Return the command that serves a bundle.

    Where ROS 2 came as wheels there is no `ros2`, and the demo serves it.

    :param platform: to serve it on; empty: this computer
    """
    folder = shlex.quote(str(bundle))
    if shutil.which('ros2') is None:
        return f'dynamic-dnn demo --bundle {folder} --platform {platform or "linux"}'
    board = f' platform:={platform}' if platform else ''
    return (
        f'ros2 launch dynamic_dnn_ros dynamic_dnn.launch.py bundle:={folder} image:=TOPIC{board}'
    )
