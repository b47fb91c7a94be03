# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import Engine
from dynamic_dnn_ros.engines.registry import ENGINE_NAMES, create_engine
from support.bundles import make_bundle


@pytest.fixture(scope='session')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp('engines') / 'synthetic')


@pytest.fixture(scope='session', params=ENGINE_NAMES)
def engine(request: pytest.FixtureRequest, bundle: Bundle) -> Engine:
    return create_engine(request.param, bundle, threads=1)
