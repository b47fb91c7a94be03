# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Find the files that ship beside the Python package: `config`, `deploy`, `models` and `msg`."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = 'dynamic_dnn_ros'


def share_folder() -> Path:
    """
    Return the folder that holds `config`, `deploy`, `models` and `msg`.

    In what pip installed from a wheel that is a folder of the package itself; in a ROS workspace
    `share/dynamic_dnn_ros` of the prefix the package was installed to, where `launch`
    lies too; elsewhere, also after `pip install -e`, the source tree.

    :raises FileNotFoundError: when none of these is there
    """
    # What setup.py put there. A workspace that is sourced besides belongs to another installation.
    own = Path(__file__).parent / 'share'
    if (own / 'config').is_dir():
        return own
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        folder = Path(prefix) / 'share' / PACKAGE
        if prefix and (folder / 'config').is_dir():
            return folder
    source = Path(__file__).resolve().parent.parent
    if (source / 'config').is_dir():
        return source
    raise FileNotFoundError(
        f'{PACKAGE}: none of {own}, the prefixes of AMENT_PREFIX_PATH and {source} holds its '
        "config folder. Source the workspace's setup.bash, or install the package again"
    )
