# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import subprocess
import sys

import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines import automatic, registry
from dynamic_dnn_ros.engines.contract import EngineError, Precision
from dynamic_dnn_ros.engines.registry import (
    AUTO,
    ENGINE_NAMES,
    ENTRY_POINTS,
    create_engine,
    default_engine,
    engine_choices,
    engine_version,
    installed_engines,
    suitable_engines,
)


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
        'import sys, dynamic_dnn_ros.engines.registry, dynamic_dnn_ros.serving.server\n'
        'dynamic_dnn_ros.engines.registry.installed_engines()\n'
        'sys.exit(len({"torch", "onnxruntime", "openvino"} & sys.modules.keys()))'
    )
    assert subprocess.run([sys.executable, '-c', script], check=False).returncode == 0


def test_a_release_under_another_name_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'steam').mkdir()
    folder = tmp_path / 'steam_gpu-1.2.dist-info'
    folder.mkdir()
    (folder / 'METADATA').write_text('Metadata-Version: 2.1\nName: steam-gpu\nVersion: 1.2\n')
    (folder / 'top_level.txt').write_text('steam\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert registry._package_version('steam') == 'steam-gpu 1.2'
    assert registry._package_version('steam-gpu') == '1.2'
    assert registry._package_version('absent') == ''


def test_another_package_offers_an_engine(bundle: Bundle, offer: Callable[..., None]) -> None:
    torch_engine = 'dynamic_dnn_ros.engines.torch_engine:TorchEngine'
    offer(ENTRY_POINTS, steam=torch_engine, gone='nowhere:Engine')
    for names in (engine_choices(), installed_engines(), suitable_engines(bundle.manifest)):
        assert names[-2:] == ('gone', 'steam')
    assert default_engine(bundle.manifest) == 'torch'
    assert engine_version('steam') == 'offers_site_0 1.0' and engine_version('torch')
    engine = create_engine('steam', bundle, 1)
    assert engine.prepare(bundle.manifest.sub_networks[0], 'cpu').memory >= 0
    with pytest.raises(EngineError, match="'gone', nowhere:Engine of .* cannot be loaded"):
        create_engine('gone', bundle, 1)


def test_auto_leaves_out_what_cannot_be_loaded(
    bundle: Bundle,
    offer: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer(ENTRY_POINTS, gone='nowhere:Engine')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path / 'site_0'), prepend=':')
    monkeypatch.setattr(registry, '_ENGINES', {'torch': registry._ENGINES['torch']})
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    said: list[str] = []
    engine = automatic.open_engine(AUTO, bundle, 1, say=said.append)
    assert engine.name == 'torch'
    assert "gone: engine 'gone', nowhere:Engine of package offers_site_0, cannot" in said[-1]
