# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
import subprocess
import sys

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'document_parameters.py'


def test_documentation_is_what_the_tables_say() -> None:
    result = subprocess.run(
        [sys.executable, str(TOOL), '--check'], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
