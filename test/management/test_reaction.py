# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
From a change to the target met again: by the third frame, and then at its quantile.

In simulated time, where a sub-network can mend it. Frames are counted that end after the change:
the first was in work already, the second may have waited for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.targets import Objective, Target
from dynamic_dnn_ros.simulation.closed_loop import (
    ClosedLoop,
    Event,
    SimulatedApplication,
    TableBoard,
    target_event,
)
from support.applications import GPU, application

FRONT, REAR = '/front/inference_node', '/rear/inference_node'
CHANGE = 10.001
RATE = 20.0
JITTER = 0.03


def run(events: Sequence[Event], until: float = 20.0) -> ClosedLoop:
    """Run one application of two that the board knows, with what happens to it."""
    both = [application(name) for name in (FRONT, REAR)]
    board = TableBoard({one.id: one for one in both}, jitter=JITTER, seed=3)
    loop = ClosedLoop(
        Manager('me'), board, [SimulatedApplication(both[0], RATE, 0.0)], list(events)
    )
    loop.run(until)
    return loop


def check(loop: ClosedLoop, latency: float) -> None:
    """Check the third frame after the change, and the hundred that follow."""
    after = np.array(loop.record.latencies(FRONT, CHANGE))
    assert after[2] <= latency
    assert np.mean(after[2:102] <= latency) >= 0.93


@pytest.mark.parametrize('latency', [0.03, 0.02, 0.012])
def test_a_target_that_becomes_tighter(latency: float) -> None:
    loose = Target(FRONT, latency=0.045, objective=Objective.MAXIMUM_ACCURACY)
    tight = Target(FRONT, latency=latency, objective=Objective.MAXIMUM_ACCURACY, stamp=10**13)
    check(run([target_event(0.5, loose), target_event(CHANGE, tight)]), latency)


def test_a_co_runner_that_appears() -> None:
    target = Target(FRONT, latency=0.035, objective=Objective.MAXIMUM_ACCURACY, priority=2)

    def appear(loop: ClosedLoop, now: float) -> bool:
        loop.add(SimulatedApplication(application(REAR), RATE, 0.0), now)
        return True

    check(run([target_event(0.5, target), Event(CHANGE, appear)]), 0.035)


def test_a_board_that_throttles() -> None:
    target = Target(FRONT, latency=0.04, objective=Objective.MAXIMUM_ACCURACY)

    def throttle(loop: ClosedLoop, now: float) -> bool:
        assert isinstance(loop.board, TableBoard)
        loop.board.limits['gpu'] = GPU[2]
        return loop.manager.observe_load(loop.board.load(now), now)

    check(run([target_event(0.5, target), Event(CHANGE, throttle)]), 0.04)
