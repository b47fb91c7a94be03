# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The reason that a switch gives is why it came: the same run without it has no such switch.

Runs are in simulated time and the same to the last digit, so each is made again without what is
named.
"""

from __future__ import annotations

from collections.abc import Callable
import random

import pytest

from dynamic_dnn_ros.management.decisions import Prediction, Switch, SwitchReason
from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.management.targets import Objective, Target
from dynamic_dnn_ros.simulation.loop import SimulatedApplication
from dynamic_dnn_ros.simulation.scenario import Camera
from dynamic_dnn_ros.simulation.scene import Scene
from dynamic_dnn_ros.simulation.table_board import TableBoard
from support.applications import GPU, STAGES, application
from support.table_loop import Event, TableLoop, target_event, with_camera

FRONT, REAR = '/front/inference_node', '/rear/inference_node'
CHANGE = 10.001
RATE = 20.0


def come(loop: TableLoop, now: float) -> bool:
    """Let the second application come."""
    loop.add(with_camera(application(REAR), RATE, 0.0), now)
    return True


def throttle(loop: TableLoop, now: float) -> bool:
    """Let the board lower the highest clock."""
    loop.board.limits['gpu'] = GPU[2]
    return loop.manager.observe_load(loop.board.sample(now, loop.manager.instance), now)


def by_hand(sub_network: str) -> Callable[[TableLoop, float], bool]:
    """Return what has somebody else switch the first application."""

    def action(loop: TableLoop, now: float) -> bool:
        one = loop.applications[FRONT]
        switch = Switch(FRONT, 1, sub_network, 'gpu', SwitchReason.TARGET, Prediction(), one.echo)
        loop._switching(one, switch, 'by hand')(now)
        return False

    return action


def accurate(latency: float, stamp: int = 1) -> Target:
    """Return a target of the first application for the most accurate sub-network."""
    objective = Objective.MAXIMUM_ACCURACY
    return Target(FRONT, latency=latency, objective=objective, stamp=stamp)


def switches(
    event: Event | None,
    slow_down: Callable[[str, float], float] | None = None,
    target: Target | None = None,
    foreign: Callable[[float], dict[str, float]] | None = None,
) -> list[tuple[float, str, SwitchReason]]:
    """Run an application with something that happens, or not; return its switches from then on."""
    both = [application(name) for name in (FRONT, REAR)]
    board = TableBoard({one.id: one for one in both}, 0.03, slow_down, foreign, seed=3)
    events = [target_event(0.5, accurate(0.035) if target is None else target)]
    events += [event] if event is not None else []
    loop = TableLoop(Manager('me'), board, [with_camera(both[0], RATE)], events)
    loop.run(20.0)
    return [
        (at, switch.sub_network, switch.reason)
        for at, switch in loop.record.switches
        if at >= CHANGE and switch.application == FRONT and not switch.again
    ]


@pytest.mark.parametrize(
    ('event', 'reason'),
    [
        (target_event(CHANGE, accurate(0.02, 10**13)), SwitchReason.TARGET),
        (Event(CHANGE, come), SwitchReason.APPLICATION),
        (Event(CHANGE, throttle), SwitchReason.PLATFORM),
        (Event(CHANGE, by_hand('s0')), SwitchReason.APPLICATION),
    ],
)
def test_without_the_event_that_is_named_there_is_no_switch(
    event: Event, reason: SwitchReason
) -> None:
    assert switches(None) == []
    first = switches(event)[0]
    assert first[2] is reason, first


def test_without_what_is_measured_there_is_no_switch() -> None:
    def slower(_: str, now: float) -> float:
        return 1.5 if CHANGE < now < 14.0 else 1.0

    found = switches(None, slower)
    assert len(found) >= 2, 'down, and up again once it is over'
    # The objective is accuracy: neither is said to be for less energy.
    assert {reason for _, _, reason in found} == {SwitchReason.MEASUREMENT}
    assert switches(None) == []


def test_without_other_load_that_ends_there_is_no_switch() -> None:
    def busy(now: float) -> dict[str, float]:
        return {'gpu': 0.55 * GPU[-1]} if now < CHANGE else {}

    found = switches(None, foreign=busy)
    assert [reason for _, _, reason in found] == [SwitchReason.PLATFORM]
    assert switches(None, foreign=lambda now: busy(0.0)) == []


def of_scene(difficulty: Callable[[float], float]) -> list[SwitchReason]:
    """Return why an application is switched whose pictures are as hard as a time tells."""
    one = application(FRONT, stages={'s2': STAGES, 's3': STAGES})
    paths = {name: Paths(stages) for name, stages in one.stages.items()}
    scene = Scene(paths, difficulty, random.Random(5))
    board = TableBoard({FRONT: one}, 0.03, seed=3)
    camera = SimulatedApplication(one, Camera(RATE), scene=scene)
    # The largest path of s3 takes 22 ms, that of s2 14 ms.
    events = [target_event(0.5, accurate(0.02))]
    loop = TableLoop(Manager('me'), board, [camera], events)
    loop.run(50.0)
    return [switch.reason for at, switch in loop.record.switches if at >= 20.0]


def test_without_pictures_that_become_harder_or_easier_there_is_no_switch() -> None:
    assert of_scene(lambda now: 0.05) == []
    harder = of_scene(lambda now: 0.05 if now < 20.0 else 8.0)
    assert harder == [SwitchReason.HARDER]
    both = of_scene(lambda now: 8.0 if 20.0 < now < 25.0 else 0.05)
    assert both == [SwitchReason.HARDER, SwitchReason.EASIER]


def test_less_power_is_named_where_that_is_what_is_asked_for() -> None:
    to_largest = Event(CHANGE, by_hand('s3'))
    ((_, name, reason),) = switches(to_largest, target=Target(FRONT, latency=0.5))
    assert (name, reason) == ('s0', SwitchReason.ENERGY)
    # With accuracy as the objective the largest may stay.
    assert switches(to_largest, target=accurate(0.5)) == []
