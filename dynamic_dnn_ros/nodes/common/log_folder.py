# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder for ROS to log to, where the usual one cannot be written."""

from __future__ import annotations

from collections.abc import MutableMapping
import os
from pathlib import Path
import sys
import tempfile

LOG_VARIABLE = 'ROS_LOG_DIR'


def provide_log_folder(environment: MutableMapping[str, str] = os.environ) -> None:
    """
    Have ROS log to the temporary folder where its own one cannot be written, and say so.

    Without HOME, or with one that is read-only, as services and containers have it, rclpy would
    end at once. https://docs.ros.org/en/rolling/Concepts/Intermediate/About-Logging.html says
    where it logs to.

    :param environment: of the process
    """
    usual = _usual(environment)
    if usual is not None and _can_be_written(usual):
        return
    place = Path(tempfile.gettempdir()) / f'ros_log_{os.getuid()}'
    if not _can_be_written(place) or place.stat().st_uid != os.getuid():
        place = Path(tempfile.mkdtemp(prefix='ros_log_'))
    environment[LOG_VARIABLE] = str(place)
    problem = 'HOME is not set' if usual is None else f'{usual} cannot be written'
    print(f'{problem}: logging to {place}. {LOG_VARIABLE} names another folder.', file=sys.stderr)


def _usual(environment: MutableMapping[str, str]) -> Path | None:
    if environment.get(LOG_VARIABLE):
        return Path(environment[LOG_VARIABLE])
    if environment.get('ROS_HOME'):
        return Path(environment['ROS_HOME'], 'log')
    if environment.get('HOME'):
        return Path(environment['HOME'], '.ros', 'log')
    return None


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
