# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
import subprocess
import sys

import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines import automatic
from dynamic_dnn_ros.engines.contract import EngineError, Precision
from dynamic_dnn_ros.engines.registry import AUTO, ENGINE_NAMES, create_engine


def test_unknown_engine_names_the_known_ones(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="engine 'steam' is unknown. Known are: auto, torch"):
        create_engine('steam', bundle, 1)


@pytest.mark.parametrize('name', ENGINE_NAMES)
def test_engine_that_is_not_installed_says_what_to_install(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in [n for n in sys.modules if n == name or n.endswith(f'.{name}_engine')]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError, match=f"needs the Python package '{name}'.*Install"):
        create_engine(name, bundle, 1)


@pytest.mark.parametrize(
    'broken',
    [
        "raise ImportError('libcudart.so.12: cannot open shared object file')",
        "raise OSError('no')",
    ],
)
def test_engine_that_cannot_be_loaded_says_so(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: str
) -> None:
    for module in [n for n in sys.modules if n.partition('.')[0] == 'onnxruntime']:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, 'dynamic_dnn_ros.engines.onnxruntime_engine', raising=False)
    (tmp_path / 'onnxruntime.py').write_text(broken)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match=r"'onnxruntime' cannot be loaded: .*Install"):
        create_engine('onnxruntime', bundle, 1)


def test_auto_takes_what_was_found_to_be_the_fastest(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def fastest(*arguments: object) -> str:
        asked.append(arguments[1:3])
        return 'torch'

    monkeypatch.setattr(automatic, 'fastest_engine', fastest)
    assert automatic.open_engine(AUTO, bundle, 1).name == 'torch'
    assert asked == [(1, Precision.FLOAT32)]


def test_no_engine_is_imported_before_it_is_named() -> None:
    script = (
        'import sys, dynamic_dnn_ros.engines.registry, dynamic_dnn_ros.serving.worker\n'
        'dynamic_dnn_ros.engines.registry.installed_engines()\n'
        'sys.exit(len({"torch", "onnxruntime", "openvino"} & sys.modules.keys()))'
    )
    assert subprocess.run([sys.executable, '-c', script], check=False).returncode == 0
