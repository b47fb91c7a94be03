# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What tests of the inference node's parts serve, and with which engine."""

from __future__ import annotations

import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from support.bundles import make_bundle
from support.gated_engine import GatedEngine


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a small bundle with generated weights."""
    return make_bundle(tmp_path_factory.mktemp('served') / 'synthetic')


@pytest.fixture
def engine() -> GatedEngine:
    """Return an engine that holds nothing up."""
    engine = GatedEngine()
    engine.open_gates()
    return engine
