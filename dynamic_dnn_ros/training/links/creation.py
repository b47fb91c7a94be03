# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The exchange that a training file asks for."""

from __future__ import annotations

from dynamic_dnn_ros.training.links.adaptive import Adaptive
from dynamic_dnn_ros.training.links.exchange import (
    GradientExchange,
    HalfFloats,
    PowerSgd,
    TopK,
    Whole,
)
from dynamic_dnn_ros.training.links.settings import Compression, Method
from dynamic_dnn_ros.training.processes import process_count


def create_exchange(compression: Compression) -> GradientExchange:
    """Return the exchange of a training file; alone, there is nothing to compress."""
    if process_count() == 1:
        return Whole()
    if compression.method is Method.FP16:
        return HalfFloats()
    if compression.method is Method.POWERSGD:
        return PowerSgd(compression.rank)
    if compression.method is Method.TOP_K:
        return TopK(compression.ratio)
    if compression.method is Method.ADAPTIVE:
        return Adaptive(compression)
    return Whole()
