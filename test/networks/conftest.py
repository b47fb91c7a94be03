# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of exported graphs share."""

from __future__ import annotations

import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.networks.registry import create
from support.bundles import make_bundle


@pytest.fixture(scope='module', params=['ofa_mobilenet_v3', 'incremental_group'])
def family_bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """Return a small bundle of each family in turn."""
    folder = tmp_path_factory.mktemp('family') / 'synthetic'
    if request.param == 'ofa_mobilenet_v3':
        return make_bundle(folder)
    network = create(request.param, 'incremental_group_32x32').eval()
    return make_bundle(folder, network=network)
