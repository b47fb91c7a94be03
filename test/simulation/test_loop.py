# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The manager against a board in simulated time: targets are met, and nothing oscillates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.management.decisions import SwitchReason, TargetState
from dynamic_dnn_ros.management.manager import Manager, ManagerSettings
from dynamic_dnn_ros.management.targets import Objective, Target
from dynamic_dnn_ros.simulation.table_board import TableBoard
from support.applications import GPU, application
from support.table_loop import Event, TableLoop, target_event, with_camera

FRONT = '/front/inference_node'
REAR = '/rear/inference_node'


def loop(
    events: Sequence[Event] = (),
    names: Sequence[str] = (FRONT,),
    rate: float = 30.0,
    settings: ManagerSettings | None = None,
    offset: float = 0.011,
    **board: Any,
) -> TableLoop:
    applications = [application(name) for name in names]
    return TableLoop(
        Manager('first', settings),
        TableBoard({one.id: one for one in applications}, **board),
        [with_camera(one, rate, offset * index) for index, one in enumerate(applications)],
        events,
    )


def kept(run: TableLoop, name: str, latency: float, start: float, end: float) -> float:
    """Return the share of an application's frames that kept a latency."""
    latencies = np.array(run.latencies(name, start, end))
    assert len(latencies) > 20
    return float(np.mean(latencies <= latency))


def test_eight_applications_do_not_take_each_other_for_a_slow_board() -> None:
    names = [f'/camera{index}/inference_node' for index in range(8)]
    events = [target_event(1.0, Target(name, latency=0.2)) for name in names]
    run = loop(events, names, jitter=0.05, seed=1)
    run.run(20.0)
    reports = run.record.decisions[-1].reports
    assert {report.state for report in reports} == {TargetState.MET}
    # With two definitions of contention a slow-down of 3.1 was learnt.
    assert all(report.slow_down < 2.0 for report in reports)
    assert all(kept(run, name, 0.2, 10.0, 20.0) >= 0.95 for name in names)


@pytest.mark.parametrize('jitter', [0.0, 0.05, 0.2])
@pytest.mark.parametrize('bias', [0.8, 1.0, 1.3])
def test_meets_a_target_at_its_quantile(jitter: float, bias: float) -> None:
    target = Target(FRONT, latency=0.03, accuracy=0.85)
    run = loop([target_event(1.0, target)], jitter=jitter, slow_down=lambda _, __: bias, seed=1)
    run.run(30.0)
    assert kept(run, FRONT, 0.03, 5.0, 30.0) >= 0.94
    report = run.record.decisions[-1].reports[0]
    assert report.state is TargetState.MET
    assert report.missed_by == (0.0, 0.0)
    assert report.slow_down == pytest.approx(bias, rel=0.1)
    assert (
        min(frame.sub_network for frame in run.record.applications[FRONT].frames if frame.time > 5)
        >= 's1'
    )


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize(
    'target',
    [
        Target(FRONT, latency=0.03, accuracy=0.85),
        Target(FRONT, latency=0.04, objective=Objective.MAXIMUM_ACCURACY),
        Target(FRONT, rate=29.0, accuracy=0.9),
    ],
)
def test_does_not_oscillate_when_nothing_changes(target: Target, seed: int) -> None:
    run = loop([target_event(0.5, target)], jitter=0.2, seed=seed)
    run.run(66.0)
    late = [time for time, _ in run.record.switches if time > 6.0]
    settings = [time for time, _ in run.record.settings if time > 6.0]
    assert len(late) + len(settings) <= 1


@pytest.mark.parametrize('rate', [15.0, 30.0])
def test_keeps_up_with_the_camera_where_nothing_is_asked(rate: float) -> None:
    run = loop(rate=rate, jitter=0.05)
    run.run(40.0)
    assert kept(run, FRONT, 1 / rate, 10.0, 40.0) >= 0.94
    assert run.record.decisions[-1].reports[0].state is TargetState.NO_TARGET
    assert len([time for time, _ in run.record.switches if time >= 10.0]) <= 1


def test_two_applications_share_a_processor() -> None:
    events = [
        target_event(0.5, Target(FRONT, latency=0.04, accuracy=0.86, priority=2)),
        target_event(0.6, Target(REAR, latency=0.06, objective=Objective.MAXIMUM_ACCURACY)),
    ]
    run = loop(events, (FRONT, REAR), rate=20.0, jitter=0.05)
    run.run(40.0)
    assert kept(run, FRONT, 0.04, 8.0, 40.0) >= 0.94
    assert kept(run, REAR, 0.06, 8.0, 40.0) >= 0.94
    assert len([time for time, _ in run.record.switches if time >= 10.0]) <= 1
    assert {report.state for report in run.record.decisions[-1].reports} == {TargetState.MET}


def test_a_slow_down_is_answered_by_the_next_frame() -> None:
    step = 10.003
    target = Target(FRONT, latency=0.028, objective=Objective.MAXIMUM_ACCURACY)
    run = loop(
        [target_event(0.5, target)],
        jitter=0.02,
        slow_down=lambda _, now: 1.7 if now > step else 1.0,
    )
    run.run(30.0)
    after = [frame for frame in run.record.applications[FRONT].frames if frame.time > step]
    late = [i for i, frame in enumerate(after) if frame.latency > 0.028]
    assert 0 in late or 1 in late
    # The frame after the late one has begun already, and the next has waited for it.
    assert [i for i in late if 4 <= i < 30] == []
    switched = [time for time, _ in run.record.switches if time > step]
    assert switched[0] <= after[late[0]].time
    assert kept(run, FRONT, 0.028, step + 1.0, 30.0) >= 0.94


def test_a_single_late_frame_does_not_start_an_oscillation() -> None:
    target = Target(FRONT, latency=0.028, objective=Objective.MAXIMUM_ACCURACY)

    def hiccup(_: str, now: float) -> float:
        return 3.0 if int(now * 30) % 150 == 0 else 1.0

    run = loop([target_event(0.5, target)], jitter=0.02, slow_down=hiccup)
    run.run(60.0)
    assert len([time for time, _ in run.record.switches if time > 6.0]) <= 14
    assert len([time for time, _ in run.record.switches if time > 40.0]) <= 6
    assert kept(run, FRONT, 0.028, 6.0, 60.0) >= 0.94


def test_least_energy_of_what_meets_the_target() -> None:
    target = Target(FRONT, latency=0.03, accuracy=0.85)
    managed = loop([target_event(0.5, target)])
    managed.run(20.0)
    fixed = loop(settings=ManagerSettings(default_objective=Objective.MINIMUM_LATENCY))
    fixed.run(20.0)
    assert managed.energy < fixed.energy
    assert managed.clocks('gpu', 17.0) == {GPU[1]}


def test_a_lower_limit_of_the_board_is_kept() -> None:
    target = Target(FRONT, latency=0.02, objective=Objective.MAXIMUM_ACCURACY)

    def throttle(run: TableLoop, now: float) -> bool:
        run.board.limits['gpu'] = GPU[2]
        return False

    run = loop([target_event(0.5, target), Event(10.0, throttle)], jitter=0.02)
    run.run(25.0)
    late = [setting for time, setting in run.record.settings if time >= 10.0]
    assert all(setting is None or setting[0].maximum <= GPU[2] for setting in late)
    assert late
    assert kept(run, FRONT, 0.02, 12.0, 25.0) >= 0.94


def test_foreign_load_that_steps_up_gets_its_share() -> None:
    target = Target(FRONT, latency=0.05, accuracy=0.9)
    run = loop(
        [target_event(0.5, target)],
        rate=15.0,
        foreign=lambda now: {'gpu': 0.45 * GPU[-1] if now > 10 else 0.0},
    )
    run.run(20.0)
    assert run.clocks('gpu', 19.9) == {GPU[-1]}


@pytest.mark.parametrize('second_start', [7.0, 7.4])
def test_restart_takes_over_without_a_switch(second_start: float) -> None:
    events = [
        target_event(0.5, Target(FRONT, latency=0.04, accuracy=0.86, priority=2)),
        target_event(0.6, Target(REAR, latency=0.06, accuracy=0.85)),
        Event(second_start, lambda run, now: run.replace_manager(Manager('second'), now) is None),
    ]
    # Their frames never meet, so that nothing of the one depends on the other's choice.
    run = loop(
        events,
        (FRONT, REAR),
        rate=20.0,
        offset=0.025,
        jitter=0.05,
        slow_down=lambda _, __: 1.25,
    )
    run.run(20.0)
    assert [switch for time, switch in run.record.switches if time >= second_start] == []
    before = [s for time, s in run.record.settings if time < second_start][-1]
    assert all(s == before for time, s in run.record.settings if time >= second_start)
    targets = {r.application: r.target for r in run.record.decisions[-1].reports}
    assert targets[FRONT] is not None
    assert targets[FRONT].latency == 0.04
    assert targets[REAR] is not None
    assert targets[REAR].accuracy == 0.85


def test_applications_come_and_go_and_return() -> None:
    def come(run: TableLoop, now: float) -> bool:
        run.add(with_camera(application(REAR), 20.0), now)
        return True

    def go(run: TableLoop, now: float) -> bool:
        run.remove(run.applications[REAR], now)
        return True

    events = [
        target_event(0.5, Target(REAR, latency=0.05)),
        Event(5.0, come),
        Event(10.0, go),
        Event(15.0, come),
    ]
    one, other = application(FRONT), application(REAR)
    run = TableLoop(
        Manager('first'),
        TableBoard({FRONT: one, REAR: other}),
        [with_camera(one, 20.0)],
        events,
    )
    run.run(22.0)
    states = {d.time: {r.application: r.state for r in d.reports} for d in run.record.decisions}
    assert states[3.0][REAR] is TargetState.WAITING
    assert states[9.0][REAR] is TargetState.MET
    assert states[12.0][REAR] is TargetState.WAITING
    assert states[21.5][REAR] is TargetState.MET


def test_the_same_run_twice_gives_the_same_decisions() -> None:
    def once() -> list[tuple[float, str, str]]:
        events = [target_event(0.5, Target(FRONT, latency=0.03))]
        run = loop(events, (FRONT, REAR), jitter=0.2, seed=7)
        run.run(15.0)
        return [(time, s.application, s.sub_network) for time, s in run.record.switches]

    assert once() == once()


def test_a_new_target_with_the_same_sub_network_is_only_handed_over() -> None:
    events = [
        target_event(0.5, Target(FRONT, latency=0.03, accuracy=0.86)),
        target_event(5.0, Target(FRONT, latency=0.031, accuracy=0.86)),
    ]
    run = loop(events)
    run.run(8.0)
    time, switch = run.record.switches[-1]
    assert (time, switch.reason) == (5.0, SwitchReason.TARGET_ECHO)
    assert switch.target is not None
    assert switch.target.latency == 0.031


@pytest.mark.parametrize('slow', [lambda _, __: 1.0, lambda _, now: 1.0 + 0.5 * (now % 20 > 10)])
def test_every_setting_is_one_of_the_board(slow: Callable[[str, float], float]) -> None:
    events = [target_event(0.5, Target(FRONT, latency=0.02)), target_event(9.0, Target(REAR))]
    run = loop(events, (FRONT, REAR), jitter=0.1, slow_down=slow)
    run.run(30.0)
    for _, setting in run.record.settings:
        assert setting is None or {row.maximum for row in setting} <= set(GPU)
