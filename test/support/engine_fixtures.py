# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all that runs engines; a conftest imports them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import Engine
from dynamic_dnn_ros.engines.registry import ENGINE_NAMES
from support.bundles import make_bundle
from support.engines import created, with_graphs


@pytest.fixture(scope='session', autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep graphs and measurements out of the cache of whoever runs the tests."""
    folder = tmp_path_factory.mktemp('cache')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(folder))
        yield folder


@pytest.fixture(scope='session')
def plain_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a bundle without graphs."""
    return make_bundle(tmp_path_factory.mktemp('engines') / 'plain')


@pytest.fixture(scope='session')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a bundle with graphs, where they can be made."""
    return with_graphs(make_bundle(tmp_path_factory.mktemp('engines') / 'synthetic'))


@pytest.fixture(scope='session', params=ENGINE_NAMES)
def engine(request: pytest.FixtureRequest, bundle: Bundle) -> Engine:
    return created(request.param, bundle)
