# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run the command on a tree of clocks with an engine to match, in a process of its own."""

import os
from pathlib import Path
import sys

import pytest

from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.engines import registry
from support.profiled_computer import TREE_VARIABLE, Computer

if __name__ == '__main__':
    registry._ENGINES['clocked'] = ('support.profiled_computer', 'SleepingEngine', '')
    with pytest.MonkeyPatch.context() as monkeypatch:
        Computer(Path(os.environ[TREE_VARIABLE])).install(monkeypatch)
        sys.exit(main(sys.argv[1:]))
