# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
From a change to the target met again: by the third frame, and then at its quantile.

In simulated time, where a sub-network can mend it. Frames are counted that end after the change:
the first was in work already, the second may have waited for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.targets import Objective, Target
from dynamic_dnn_ros.simulation.table_board import TableBoard
from support.applications import GPU, application
from support.table_loop import Event, TableLoop, target_event, with_camera

FRONT, REAR = '/front/inference_node', '/rear/inference_node'
CHANGE = 10.001
RATE = 20.0
JITTER = 0.03


def run(
    events: Sequence[Event],
    until: float = 20.0,
    jitter: float = JITTER,
    slow_down: Callable[[str, float], float] | None = None,
    seed: int = 3,
) -> TableLoop:
    """Run one application of two that the board knows, with what happens to it."""
    both = [application(name) for name in (FRONT, REAR)]
    board = TableBoard({one.id: one for one in both}, jitter, slow_down, seed=seed)
    loop = TableLoop(Manager('me'), board, [with_camera(both[0], RATE, 0.0)], list(events))
    loop.run(until)
    return loop


def check(loop: TableLoop, latency: float) -> None:
    """Check the third frame after the change, and the hundred that follow."""
    after = np.array(loop.latencies(FRONT, CHANGE))
    assert after[2] <= latency
    assert np.mean(after[2:102] <= latency) >= 0.93


@pytest.mark.parametrize('latency', [0.03, 0.02, 0.012])
def test_a_target_that_becomes_tighter(latency: float) -> None:
    loose = Target(FRONT, latency=0.045, objective=Objective.MAXIMUM_ACCURACY)
    tight = Target(FRONT, latency=latency, objective=Objective.MAXIMUM_ACCURACY, stamp=10**13)
    check(run([target_event(0.5, loose), target_event(CHANGE, tight)]), latency)


def test_a_co_runner_that_appears() -> None:
    target = Target(FRONT, latency=0.035, objective=Objective.MAXIMUM_ACCURACY, priority=2)

    def appear(loop: TableLoop, now: float) -> bool:
        loop.add(with_camera(application(REAR), RATE, 0.0), now)
        return True

    check(run([target_event(0.5, target), Event(CHANGE, appear)]), 0.035)


@pytest.mark.parametrize('accuracy', [0.0, 0.92])
def test_a_slow_down_that_the_profile_does_not_know(accuracy: float) -> None:
    """With an accuracy that only one sub-network has, the clocks have to mend it."""
    target = Target(FRONT, latency=0.04, accuracy=accuracy)
    loop = run([target_event(0.5, target)], slow_down=lambda _, now: 1.5 if now > CHANGE else 1.0)
    check(loop, 0.04)


def test_a_single_late_frame_is_forgotten() -> None:
    target = Target(FRONT, latency=0.04, accuracy=0.92)
    late = (CHANGE, CHANGE + 1 / RATE)
    loop = run(
        [target_event(0.5, target)],
        slow_down=lambda _, now: 1.5 if late[0] < now <= late[1] else 1.0,
    )
    before = [setting for at, setting in loop.record.settings if at <= CHANGE][-1]
    after = [setting for at, setting in loop.record.settings if at > CHANGE]
    assert len(after) == 2
    assert after[0] != before
    assert after[1] == before


@pytest.mark.parametrize('seed', range(3))
def test_nothing_changes_though_frames_jitter_by_a_fifth(seed: int) -> None:
    target = Target(FRONT, latency=0.06, accuracy=0.9)
    loop = run([target_event(0.5, target)], until=65.0, jitter=0.2, seed=seed)
    changes = [at for at, _ in loop.record.settings if at > 5.0]
    moved = {s.sub_network for at, s in loop.record.switches if at > 5.0}
    assert len(changes) <= 1
    assert len(moved) <= 1


def test_a_board_that_throttles() -> None:
    target = Target(FRONT, latency=0.04, objective=Objective.MAXIMUM_ACCURACY)

    def throttle(loop: TableLoop, now: float) -> bool:
        loop.board.limits['gpu'] = GPU[2]
        return loop.manager.observe_load(loop.board.sample(now, loop.manager.instance), now)

    check(run([target_event(0.5, target), Event(CHANGE, throttle)]), 0.04)
