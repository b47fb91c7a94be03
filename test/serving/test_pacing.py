# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping
import time

import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.pacing import BoardState, BoardWork, Pacer

SUB_NETWORK = SubNetwork('s0', {}, Size(32, 32), 0.5, 1, 1, 1)


def board(sub_network: SubNetwork, processor: str, frequencies: Mapping[str, float]) -> BoardWork:
    latency = 0.05 * 1e9 / frequencies[processor]
    return BoardWork(latency, {processor: latency, 'cpu': 0.5 * latency})


def test_holds_a_frame_until_the_board_would_be_done() -> None:
    pacer = Pacer(board, lambda: 2.0)
    pacer.update(BoardState({'gpu': 0.5e9}, slow_down=1.5))
    started = time.monotonic()
    paced = pacer.pace(started, SUB_NETWORK, 'gpu')
    # 0.05 s, at half the clock, twice by jitter, half as much again by the slow-down
    assert time.monotonic() - started >= 0.05 * 2 * 2 * 1.5
    # Waiting for others keeps nothing busy; jitter is work.
    assert paced.busy == pytest.approx({'gpu': 0.2, 'cpu': 0.1})


def test_flags_a_frame_that_this_machine_was_too_slow_for() -> None:
    pacer = Pacer(board, lambda: 1.0)
    pacer.update(BoardState({'gpu': 1e9}))
    before = time.monotonic()
    paced = pacer.pace(before - 0.1, SUB_NETWORK, 'gpu')
    assert paced.overrun
    assert paced.busy['gpu'] == pytest.approx(0.05)


def test_frame_before_the_board_is_known_is_flagged() -> None:
    paced = Pacer(board, lambda: 1.0).pace(time.monotonic(), SUB_NETWORK, 'gpu')
    assert paced.overrun and not paced.busy
