# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A decider as another package would bring it."""

from __future__ import annotations

from dynamic_dnn_ros.management.baselines.static import Static
from dynamic_dnn_ros.management.manager import ManagerSettings


def second_largest(instance: str, settings: ManagerSettings) -> Static:
    return Static(-2, instance, settings)
