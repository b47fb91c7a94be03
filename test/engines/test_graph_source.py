# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
import os
from pathlib import Path
import subprocess
import sys
import threading
from typing import Any

import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.graphs import FORMAT_VERSION
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines import graph_source
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.engines.graph_source import GraphSource, cache_folder, cache_work

pytest.importorskip('onnx')


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return cache_folder()


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every export fail as where PyTorch is not installed."""

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        script = 'import sys; sys.exit("the Python package \'torch\' is not installed")'
        return subprocess_run([sys.executable, '-c', script], **options)

    subprocess_run = subprocess.run
    monkeypatch.setattr(graph_source.subprocess, 'run', run)


@pytest.mark.usefixtures('no_export')
def test_the_bundle_comes_first(bundle: Bundle, own_cache: Path) -> None:
    said: list[str] = []
    source = GraphSource(bundle, said.append)
    for entry in bundle.manifest.sub_networks:
        assert source.model(entry)
    assert said == [] and not own_cache.exists()


def test_exports_once_for_all_and_keeps_it(
    plain_bundle: Bundle, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    # Whatever has become of the folder: what was read counts.
    bundle = replace(plain_bundle, folder=own_cache / 'gone')
    source = GraphSource(bundle, said.append)
    first = [source.model(entry) for entry in bundle.manifest.sub_networks]
    assert len(said) == 1 and "'dynamic-dnn bundle export'" in said[0]
    assert len(list(own_cache.glob('*.graph'))) == 3
    assert sorted(path.name for path in own_cache.glob('.*')) == ['.export.lock']
    monkeypatch.setattr(subprocess, 'run', None)
    again = GraphSource(bundle, said.append)
    assert [again.model(entry) for entry in bundle.manifest.sub_networks] == first
    assert len(said) == 1
    # Who finds another process at it waits, and takes what that one has made.
    made = {path: path.read_bytes() for path in own_cache.glob('*.graph')}
    for path in made:
        path.unlink()
    waits, models = threading.Event(), []
    source = GraphSource(bundle, lambda text: waits.set())
    with cache_work('export', print):
        waiting = threading.Thread(
            target=lambda: models.extend(map(source.model, bundle.manifest.sub_networks))
        )
        waiting.start()
        assert waits.wait(30)
        for path, content in made.items():
            path.write_bytes(content)
    waiting.join(30)
    assert models == first


@pytest.mark.usefixtures('no_export', 'own_cache')
def test_without_any_it_says_what_to_do(plain_bundle: Bundle) -> None:
    said: list[str] = []
    source = GraphSource(plain_bundle, said.append)
    for entry in plain_bundle.manifest.sub_networks:
        with pytest.raises(EngineError, match=r"no s\d\.graph.*'torch'.*bundle export BUNDLE"):
            source.model(entry)
    assert len(said) == 1


@pytest.mark.usefixtures('no_export', 'own_cache')
@pytest.mark.parametrize(
    ('damage', 'problem'),
    [
        (lambda files: files['s1.graph'], "made for sub-network 's1'"),
        (lambda files: b'rubbish', 'is no graph'),
        (lambda files: files['s0.graph'][:900], 'is no graph'),
        (
            lambda files: files['s0.graph'].replace(
                b'"format_version": %d' % FORMAT_VERSION, b'"format_version": 99', 1
            ),
            'has format version 99',
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(
    bundle: Bundle, damage: Any, problem: str
) -> None:
    files = {**bundle.other_files, 's0.graph': damage(bundle.other_files)}
    said: list[str] = []
    source = GraphSource(replace(bundle, other_files=files), said.append)
    s0, s1, _ = bundle.manifest.sub_networks
    for _ in range(2):
        with pytest.raises(EngineError, match=rf's0\.graph.*{problem}.*bundle export'):
            source.model(s0)
    assert sum('passed over' in text for text in said) == 1
    # The others are served all the same.
    assert source.model(s1)


@pytest.mark.usefixtures('no_export', 'own_cache')
def test_other_weights_make_another_graph_necessary(bundle: Bundle, plain_bundle: Bundle) -> None:
    content = bundle.weights_content
    number = bytes([content[-1] ^ 1])
    source = GraphSource(replace(bundle, weights_content=content[:-1] + number), lambda text: None)
    with pytest.raises(EngineError, match='from other weights'):
        source.model(bundle.manifest.sub_networks[0])


def test_a_damaged_file_of_the_cache_is_made_again(plain_bundle: Bundle, own_cache: Path) -> None:
    said: list[str] = []
    entry = plain_bundle.manifest.sub_networks[0]
    model = GraphSource(plain_bundle, said.append).model(entry)
    for path in own_cache.glob('*.graph'):
        path.write_bytes(path.read_bytes()[:-10])
    assert GraphSource(plain_bundle, said.append).model(entry) == model
    assert any('is damaged' in text for text in said)


def test_the_cache_forgets_its_oldest_graphs(
    plain_bundle: Bundle, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_cache.mkdir(parents=True)
    for age in range(8):
        old = own_cache / f'{age}.graph'
        old.write_bytes(b'of another bundle')
        os.utime(old, (1e9 - age, 1e9 - age))
    (own_cache / 'engine_1.json').write_bytes(b'a verdict')
    monkeypatch.setattr(graph_source, 'KEPT', 5)
    GraphSource(plain_bundle, lambda text: None).model(plain_bundle.manifest.sub_networks[0])
    left = {path.name for path in own_cache.glob('[!.]*')}
    assert {'0.graph', '1.graph', 'engine_1.json'} <= left
    assert len(left) == 5 + 1


def test_weights_that_are_none(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match='no safetensors'):
        GraphSource(replace(bundle, weights_content=b'nothing'), lambda text: None)


def test_without_a_home_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.setattr(Path, 'home', no_home)
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    with pytest.raises(EngineError, match='no home folder.*XDG_CACHE_HOME'):
        cache_folder()
    monkeypatch.setenv('XDG_CACHE_HOME', '/somewhere')
    assert cache_folder() == Path('/somewhere/dynamic_dnn_ros')
