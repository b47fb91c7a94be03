# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Loads of a made-up board with one domain, for tests of deciders; no ROS needed."""

from __future__ import annotations

from typing import Any

from dynamic_dnn_ros.management.observations import DomainLoad, Load
from support.applications import GPU


def gpu_load(
    granted: float = GPU[-1],
    power: float = 5.0,
    limit: float = GPU[-1],
    available: tuple[float, ...] = GPU,
    temperature: float = 40.0,
    **fields: Any,
) -> Load:
    domain = DomainLoad('gpu', available, GPU[0], limit, granted, **fields)
    return Load('table_simulated', 'boot', 0.1, (domain,), power=power, temperature=temperature)
