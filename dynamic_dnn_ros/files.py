# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Find the files that ship beside the Python package: `config`, `launch` and `models`."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = 'dynamic_dnn_ros'


def share_folder() -> Path:
    """
    Return the folder that holds `config`, `launch` and `models`.

    In a ROS workspace that is `share/dynamic_dnn_ros` of the prefix the package was installed
    to; without ROS, the source tree.

    :raises FileNotFoundError: when neither is there
    """
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        folder = Path(prefix) / 'share' / PACKAGE
        if prefix and (folder / 'config').is_dir():
            return folder
    source = Path(__file__).resolve().parent.parent
    if (source / 'config').is_dir():
        return source
    raise FileNotFoundError(
        f'{PACKAGE}: neither a prefix of AMENT_PREFIX_PATH nor {source} holds its config folder. '
        "Source the workspace's setup.bash, or run from a checkout of the repository"
    )
