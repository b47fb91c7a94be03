# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The step of a lexicographic choice in which values that hardly differ count as equal."""

from __future__ import annotations

from dynamic_dnn_ros.management.targets import Objective

WITHIN = 0.01
"""Shortfalls, latencies and excesses within this share of the best count as equal."""

WITHIN_ACCURACY = 0.0003
"""
The same of accuracies, which no noise moves: through all steps of a choice and the hysteresis that
follows it, what is served stays within a thousandth of the best.
"""


def within(objective: Objective) -> float:
    """Return the share of the best within which values of an objective count as equal."""
    return WITHIN_ACCURACY if objective is Objective.MAXIMUM_ACCURACY else WITHIN
