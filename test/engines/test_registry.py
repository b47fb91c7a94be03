# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.engines.registry import create_engine


def test_unknown_engine_names_the_known_ones(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="engine 'steam' is unknown. Known are: torch"):
        create_engine('steam', bundle, 1)


def test_engine_that_is_not_installed_says_what_to_install(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n == 'torch' or n.endswith('.torch_engine')]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'torch', None)
    with pytest.raises(EngineError, match="needs the Python package 'torch'.*Install"):
        create_engine('torch', bundle, 1)


def test_no_engine_is_imported_before_it_is_named() -> None:
    script = (
        'import sys, dynamic_dnn_ros.engines.registry, dynamic_dnn_ros.engines.serving\n'
        'sys.exit("torch" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', script], check=False).returncode == 0
