# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the user may choose about the demo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SECONDS = 42.0
LEAST_SECONDS = 6.0
"""A second for each part of the run: less, and no target is judged."""
PICTURE_RATE = 15.0
MOST_CAMERAS = 8
"""The table has a row for each."""
PLATFORM = 'xavier_nx_simulated'
LIBRARY = 'photographs that scikit-image carries'


@dataclass(frozen=True)
class Options:
    """
    One run of the demo.

    `seconds` is its length; `rate`, hertz, 0: the source's own. An empty `bundle` leaves the
    choice to the inference node. `stand_in` is a table of latencies: networks that compute nothing
    stand in for those that it measured. `cameras` are served by one node; all get the same frames.
    `shown` says in words where these come from.
    """

    source: str
    path: str
    seconds: float
    platform: str
    bundle: str
    rate: float
    transport: str
    output: Path
    record: Path | None
    stand_in: Path | None = None
    cameras: int = 1
    shown: str = LIBRARY
