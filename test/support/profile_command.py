# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run the command on a tree of clocks with an engine to match, in a process of its own."""

import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

import pytest

from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.engines.registry import ENTRY_POINTS
from support.packages import make_distribution
from support.profiled_computer import TREE_VARIABLE, Computer

if __name__ == '__main__':
    with pytest.MonkeyPatch.context() as monkeypatch, TemporaryDirectory() as folder:
        offered = {ENTRY_POINTS: {'clocked': 'support.profiled_computer:SleepingEngine'}}
        make_distribution(Path(folder), 'clocked', offered, {})
        sys.path.insert(0, folder)
        Computer(Path(os.environ[TREE_VARIABLE])).install(monkeypatch)
        sys.exit(main(sys.argv[1:]))
