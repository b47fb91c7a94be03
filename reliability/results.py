# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run found, as JSON, with the computer and how busy it was."""

from __future__ import annotations

from datetime import datetime, timezone
import json
import os
from pathlib import Path
import platform
from typing import Any

from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.storage import write_whole

RESULTS = Path(__file__).resolve().parent / 'results'

_LOAD_BEFORE = os.getloadavg()


def write_result(path: Path, program: str, figures: Any, **configuration: Any) -> None:
    """
    Write what a program found.

    :param configuration: what it was asked for
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {
        'program': program,
        'date': datetime.now(timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ'),
        'host': {
            'hardware': hardware_name(),
            'python': platform.python_version(),
            'load_average_before': [round(value, 2) for value in _LOAD_BEFORE],
            'load_average_after': [round(value, 2) for value in os.getloadavg()],
        },
        'configuration': configuration,
        'figures': figures,
    }
    write_whole(path, (json.dumps(result, indent=1) + '\n').encode())
