# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Slimmable networks for tests, made once a process."""

from __future__ import annotations

from functools import cache
from typing import Any

from dynamic_dnn_ros.networks.slimmable.capture import Captured, capture
from support.small_networks import Convolutions, Transformer, randomised


@cache
def convolutions() -> Captured:
    """Return a small network of convolutions; nobody changes it."""
    return capture(randomised(Convolutions()), 'convolutions', (32, 40))


@cache
def transformer() -> Captured:
    """Return a small vision transformer; nobody changes it."""
    return capture(Transformer(), 'transformer', (32,))


@cache
def with_patches() -> Captured:
    """Return the same transformer, which can go on with a quarter of its patches."""
    return capture(Transformer(), 'transformer', (32,), patches=(25, 100))


def layout_of(captured: Captured) -> dict[str, Any]:
    """Return its layout."""
    return captured.network.layout_mapping()
