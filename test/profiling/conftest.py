# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from support.bundles import make_bundle


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the guard's files with the test."""
    monkeypatch.setenv('XDG_RUNTIME_DIR', str(tmp_path))


@pytest.fixture(scope='session')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp('bundles') / 'synthetic')
