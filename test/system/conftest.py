# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles for tests that start processes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

# Without ROS 2 there is nothing to start.
collect_ignore_glob = [] if importlib.util.find_spec('rclpy') else ['test_*.py']


@pytest.fixture(scope='session')
def synthetic_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a bundle with random weights: sub-networks ``s0``, ``s1``, ``s2``, ten classes."""
    from support.bundles import make_bundle

    return make_bundle(tmp_path_factory.mktemp('bundles') / 'synthetic').folder
