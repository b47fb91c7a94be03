# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The manager as one object: what it answers, keeps, adopts, and never does."""

from __future__ import annotations

from dataclasses import replace
import math
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from dynamic_dnn_ros.management.decisions import (
    Constraint,
    Decision,
    Mode,
    PlatformState,
    SwitchReason,
    TargetReport,
    TargetState,
)
from dynamic_dnn_ros.management.handover import RETRY
from dynamic_dnn_ros.management.manager import Manager, ManagerSettings
from dynamic_dnn_ros.management.measurements import ENOUGH
from dynamic_dnn_ros.management.narrowing import WITHIN
from dynamic_dnn_ros.management.observations import (
    Application,
    ApplicationState,
    DomainLoad,
    Load,
    Status,
    StatusEvent,
)
from dynamic_dnn_ros.management.targets import Objective, Target, TargetError
from support.applications import (
    GPU,
    SUB_NETWORKS,
    application,
    empty_points,
    on_processors,
    operating_points,
)

FRONT = '/front/inference_node'
REAR = '/rear/inference_node'
SUB_NETWORK_NAMES = list(SUB_NETWORKS)


def load(**fields: Any) -> Load:
    values: dict[str, Any] = {
        'name': 'gpu',
        'available': GPU,
        'limit_minimum': GPU[0],
        'limit_maximum': GPU[-1],
        'granted': GPU[-1],
        'utilisation_own': 0.2,
        'utilisation_foreign': 0.0,
    }
    outer = {key: fields.pop(key) for key in list(fields) if key.startswith(('lease', 'setting'))}
    values.update(fields)
    return Load('board', 'boot', 0.1, (DomainLoad(**values),), **outer)


def manager(mode: Mode = Mode.CONTROL) -> Manager:
    return Manager('me', ManagerSettings(mode=mode))


def report(decision: Decision, name: str = FRONT) -> TargetReport:
    return next(row for row in decision.reports if row.application == name)


def status(one: Application, event: StatusEvent, **fields: Any) -> Status:
    values: dict[str, Any] = {'sub_network': one.sub_network, 'processor': one.processor}
    values.update(fields)
    return Status(one.id, one.instance, event, **values)


def acknowledge(subject: Manager, one: Application, decision: Decision, now: float) -> Application:
    """Answer the switches of a decision for one application, as its node does."""
    for switch in decision.switches:
        if switch.application == one.id:
            one = replace(
                one,
                sub_network=switch.sub_network,
                processor=switch.processor,
                target=switch.target,
                switch_manager=subject.instance,
                switch_sequence=switch.sequence,
            )
            answer = status(
                one,
                StatusEvent.SWITCH,
                switch_manager=subject.instance,
                switch_sequence=switch.sequence,
                switch_result=1,
            )
            subject.observe(answer, now)
            subject.add_application(one, now)
    return one


def answer(one: Application, sequence: int, result: int, message: str = '') -> Status:
    """Return what an application answers to a switch of the manager."""
    return status(
        one,
        StatusEvent.SWITCH,
        switch_manager='me',
        switch_sequence=sequence,
        switch_result=result,
        message=message,
    )


def serve(
    subject: Manager,
    one: Application,
    frames: int,
    now: float,
    latency: float,
    start: int = 0,
    rate: float = 30.0,
) -> float:
    """Report served frames at a rate, Hz; return when the last one was."""
    for number in range(start + 1, start + frames + 1):
        now += 1 / rate
        subject.observe(
            status(
                one,
                StatusEvent.SERVED,
                preprocessing=0.0,
                inference=latency,
                total=latency + 0.0005,
                received=number,
                served=number,
            ),
            now,
        )
    return now


def test_a_target_is_answered_pending_and_then_met() -> None:
    subject, one = manager(), application()
    subject.observe_load(load(), 0.0)
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, latency=0.03, accuracy=0.85, sender='op'), 5)
    decision = subject.decide(0.0)
    assert report(decision).state is TargetState.PENDING
    assert [s.sub_network for s in decision.switches] == ['s1']
    assert decision.switches[0].reason is SwitchReason.TARGET
    assert decision.switches[0].target == Target(
        FRONT, latency=0.03, accuracy=0.85, sender='op', stamp=5
    )
    one = acknowledge(subject, one, decision, 0.1)
    now = serve(subject, one, 40, 0.1, 0.02)
    subject.observe_load(load(), now)
    decision = subject.decide(now)
    assert report(decision).state is TargetState.MET
    assert report(decision).measured[0] == pytest.approx(0.0205)
    assert math.isnan(report(decision).measured[1])
    assert decision.switches == ()


def test_what_was_measured_can_miss_what_was_predicted() -> None:
    subject, one = manager(Mode.ADVISE), application()
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, latency=0.012), 5)
    subject.decide(0.0)
    now = serve(subject, one, 40, 0.0, 0.022)
    found = report(subject.decide(now))
    assert found.decision.sub_network != one.sub_network
    assert found.state is TargetState.MISSED
    assert found.missed_by[0] == pytest.approx(0.0225 - 0.012)


def test_an_impossible_target_names_the_nearest_point_and_the_gap() -> None:
    subject = manager()
    subject.add_application(application(), 0.0)
    subject.set_target(Target(FRONT, latency=0.001), 5)
    found = report(subject.decide(0.0))
    assert found.state is TargetState.INFEASIBLE
    assert found.decision.sub_network == 's0'
    assert found.missed_by[0] == pytest.approx(found.predicted[0] - 0.001)
    assert found.binding_constraint is Constraint.LATENCY
    assert 'latency 1 ms' in found.message


def test_a_camera_that_is_too_slow_is_said_to_be() -> None:
    subject, one = manager(), application()
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, rate=60.0), 5)
    now = serve(subject, one, 60, 0.0, 0.01)
    found = report(subject.decide(now))
    assert found.state is TargetState.INFEASIBLE
    assert 'camera itself delivers 30 Hz' in found.message
    assert found.binding_constraint is Constraint.RATE


def test_a_camera_that_is_too_slow_does_not_hide_what_can_be_mended() -> None:
    subject, one = manager(), application(sub_network='s0')
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, latency=0.004, accuracy=0.8), 5)
    one = acknowledge(subject, one, subject.decide(0.0), 0.0)
    now = serve(subject, one, 60, 0.0, 0.004)
    subject.set_target(Target(FRONT, rate=300.0, accuracy=0.85), 6)
    found = report(subject.decide(now))
    assert found.state is TargetState.INFEASIBLE
    assert found.decision.accuracy >= 0.85


def test_limits_of_the_board_are_named_as_what_binds() -> None:
    subject = manager()
    subject.observe_load(load(limit_maximum=GPU[0], granted=GPU[0]), 0.0)
    subject.add_application(application(), 0.0)
    subject.set_target(Target(FRONT, latency=0.015, accuracy=0.8), 5)
    found = report(subject.decide(0.0))
    assert found.state is TargetState.INFEASIBLE
    assert found.binding_constraint is Constraint.PLATFORM


def test_what_binds_and_what_came_second_is_said() -> None:
    subject = manager()
    subject.observe_load(load(), 0.0)
    subject.add_application(application(), 0.0)
    subject.set_target(Target(FRONT, latency=0.03, accuracy=0.85), 5)
    found = report(subject.decide(0.0))
    assert found.binding_constraint in (Constraint.LATENCY, Constraint.ACCURACY)
    assert found.runner_up.sub_network not in ('', found.decision.sub_network)
    assert found.runner_up_reason


def test_a_target_waits_for_its_application() -> None:
    subject = manager()
    subject.set_target(Target(REAR, latency=0.03), 5)
    assert report(subject.decide(0.0), REAR).state is TargetState.WAITING
    subject.add_application(application(REAR), 1.0)
    decision = subject.decide(1.0)
    assert report(decision, REAR).state is TargetState.PENDING
    assert decision.switches[0].application == REAR


def test_a_refused_target_is_shown_for_a_while_and_the_last_one_stays() -> None:
    subject = manager()
    subject.add_application(application(), 0.0)
    subject.set_target(Target(FRONT, latency=0.03, stamp=50), 100)
    with pytest.raises(TargetError):
        subject.set_target(Target(FRONT, latency=0.04, stamp=10, sender='late'), 100)
    found = report(subject.decide(0.0))
    assert found.state is TargetState.REFUSED
    assert "'late'" in found.message and 'older' in found.message
    assert found.target is not None and found.target.latency == 0.03
    assert report(subject.decide(10.0), FRONT).state is not TargetState.REFUSED
    subject.refuse_target('nonsense', '', TargetError('application', 'nonsense', 'is', 'Mend'))
    assert report(subject.decide(11.0), 'nonsense').state is TargetState.REFUSED
    assert 'nonsense' not in {row.application for row in subject.decide(20.0).reports}


def test_clearing_hands_over_that_there_is_no_target() -> None:
    subject, one = manager(), application()
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, accuracy=0.92), 5)
    one = acknowledge(subject, one, subject.decide(0.0), 0.0)
    assert one.target is not None
    subject.clear_target(FRONT, 0, 6)
    decision = subject.decide(1.0)
    assert decision.switches[0].target is None
    assert report(decision).state is TargetState.NO_TARGET


def test_a_new_manager_adopts_target_and_sub_network() -> None:
    echo = Target(FRONT, latency=0.05, accuracy=0.8, sender='op', stamp=5)
    one = application(target=echo, switch_manager='another', switch_sequence=9, sub_network='s2')
    subject = manager()
    subject.observe_load(
        load(lease_manager='another', requested_maximum=GPU[3], requested_minimum=GPU[3]), 0.0
    )
    subject.add_application(one, 0.0)
    decision = subject.decide(0.1)
    assert decision.switches == ()
    assert report(decision).target == echo
    assert decision.setting is not None
    assert decision.setting[0].maximum == GPU[3]
    subject.set_target(Target(FRONT, latency=0.02, accuracy=0.8), 6)
    assert subject.decide(0.2).switches[0].sub_network != 's2'


def at_second(requested: float = GPU[1]) -> Load:
    """Return a load at the second clock, as another manager had it set."""
    return load(
        lease_manager='another',
        requested_maximum=requested,
        requested_minimum=requested,
        granted=GPU[1],
    )


def at_second_clock(sub_network: str) -> float:
    """Return the profiled latency of a sub-network at the second clock, s."""
    points = operating_points()
    return float(points.latency_mean[SUB_NETWORK_NAMES.index(sub_network) * len(GPU) + 1])


@pytest.mark.parametrize('before', [3, 18, 30])
def test_frames_before_the_platform_is_known_say_nothing_of_the_slow_down(before: int) -> None:
    """They are as slow as the clocks make them, and those are not known yet."""
    echo = Target(FRONT, latency=0.06, accuracy=0.85, sender='op', stamp=5)
    one = application(target=echo, switch_manager='another', switch_sequence=9, sub_network='s1')
    subject = manager()
    subject.add_application(one, 0.0)
    subject.decide(0.0)
    now = serve(subject, one, before, 0.0, at_second_clock('s1'), rate=8)
    subject.observe_load(at_second(), now)
    decision = subject.decide(now)
    for step in range(40):
        # The platform takes a while to confirm the setting that this manager asks for.
        subject.observe_load(at_second() if step > 7 else at_second(math.nan), now)
        now = serve(subject, one, 1, now, at_second_clock('s1'), before + step, rate=8)
        assert all(switch.sub_network == 's1' for switch in decision.switches)
        assert decision.setting is not None and decision.setting[0].maximum == GPU[1]
        decision = subject.decide(now)
    assert report(decision).state is TargetState.MET


@pytest.mark.parametrize('before', [3, 18, 30])
def test_a_neighbour_that_is_met_late_was_no_slow_down(before: int) -> None:
    """Two applications are taken over; the second is heard of after frames of the first."""
    front, rear = (
        application(
            name,
            target=Target(name, latency=0.04, accuracy=0.85, sender='op', stamp=5),
            switch_manager='another',
            switch_sequence=9,
            sub_network='s1',
        )
        for name in (FRONT, REAR)
    )
    subject = manager()
    subject.observe_load(at_second(), 0.0)
    subject.add_application(front, 0.0)
    subject.decide(0.0)
    # The other one is busy for a quarter of the time.
    latency = 1.25 * at_second_clock('s1')
    now = serve(subject, front, before, 0.0, latency, rate=8)
    decision = subject.decide(now)
    subject.add_application(rear, now)
    for step in range(40):
        subject.observe_load(at_second(), now)
        decision = subject.decide(now)
        assert all(switch.sub_network == 's1' for switch in decision.switches)
        assert decision.setting is not None and decision.setting[0].maximum == GPU[1]
        serve(subject, front, 1, now, latency, before + step, rate=8)
        now = serve(subject, rear, 1, now, latency, before + step, rate=8)
    assert all(found.state is TargetState.MET for found in decision.reports)


def taken_over(latency: float, *names: str) -> list[Application]:
    """Return applications that serve s1 for a target, as another manager had them do."""
    return [
        application(
            name,
            target=Target(name, latency=latency, accuracy=0.85, sender='op', stamp=5),
            switch_manager='another',
            switch_sequence=9,
            sub_network='s1',
        )
        for name in names
    ]


def test_frames_from_before_the_first_plan_say_nothing_of_the_slow_down() -> None:
    """What had gathered while the manager started is as slow as neighbours made it."""
    applications = taken_over(0.045, FRONT, REAR)
    latency = 0.4 * at_second_clock('s1')
    subject = manager()
    subject.observe_load(at_second(), 0.0)
    for one in applications:
        subject.add_application(one, 0.0)
        serve(subject, one, 2 * ENOUGH, 0.0, latency, rate=1000)
    for step in range(40):
        now = 0.05 + step / 30
        subject.observe_load(at_second(), now)
        decision = subject.decide(now)
        assert decision.setting is not None and decision.setting[0].maximum == GPU[1]
        for one in applications:
            serve(subject, one, 1, now, latency, 2 * ENOUGH + step)
    assert all(found.state is TargetState.MET for found in decision.reports)


def test_a_manager_that_hears_of_the_platform_late_changes_no_clock_before_it_has_learnt() -> None:
    """Not even where it has handed targets over meanwhile, so that the last switch is its own."""
    (one,) = taken_over(0.02, FRONT)
    one = replace(one, target=replace(one.target, sender='another') if one.target else None)
    subject = manager()
    subject.set_target(Target(FRONT, latency=0.02, accuracy=0.85, sender='op', stamp=6), 6)
    subject.add_application(one, 0.0)
    decision = subject.decide(0.0)
    one = acknowledge(subject, one, decision, 0.0)
    assert one.switch_manager == subject.instance
    latency = 0.5 * at_second_clock('s1')
    now = serve(subject, one, ENOUGH + 5, 0.0, latency)
    for step in range(15):
        subject.observe_load(at_second(), now)
        decision = subject.decide(now)
        assert decision.setting is not None and decision.setting[0].maximum == GPU[1]
        now = serve(subject, one, 1, now, latency, ENOUGH + 5 + step)


class EvenCamera:
    """An application whose only sub-network keeps its processor busy for 0.965 of the time."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        share = (0.15 + 0.85 * GPU[-1] / GPU[1]) * rate
        points = operating_points(sub_networks={'s0': (0.965 / share, 0.8)}, spread=0.005)
        self.application = application(operating_points=points, sub_network='s0')
        self.latency = dict(zip(GPU, points.latency_mean))
        self.random = np.random.default_rng(3)
        self.frames = 0
        self.clock = GPU[-1]
        self.clocks: list[float] = []

    def serve(self, subject: Manager, until: float, lease: str) -> None:
        """Serve frames that come nearly evenly, at the clocks that a manager sets."""
        self.clocks, due = [], 0.0
        while (now := self.frames / self.rate) < until:
            held = {'requested_maximum': self.clock, 'lease_manager': lease} if lease else {}
            subject.observe_load(load(granted=self.clock, **held), now)
            self.frames += 1
            service = self.latency[self.clock]
            status_of_frame = status(
                self.application,
                StatusEvent.SERVED,
                preprocessing=0.0,
                inference=service,
                total=service,
                received=self.frames,
                served=self.frames,
                sent=100.0 + now + service + 0.01 * self.random.standard_normal() / self.rate,
            )
            if not subject.observe(status_of_frame, now + service) and now < due:
                continue
            due = now + 0.5
            decision = subject.decide(now + service)
            self.application = acknowledge(subject, self.application, decision, now + service)
            assert decision.setting is not None
            self.clock = decision.setting[0].maximum
            if not self.clocks or self.clocks[-1] != self.clock:
                self.clocks.append(self.clock)


@pytest.mark.parametrize('rate', [5.0, 10.0, 30.0, 60.0])
def test_a_successor_changes_no_clock_while_it_learns_how_even_the_camera_is(rate: float) -> None:
    """The clock in force is enough for an even camera alone, and the one before knew that."""
    camera, subject = EvenCamera(rate), manager()
    subject.observe_load(load(), 0.0)
    subject.add_application(camera.application, 0.0)
    subject.set_target(Target(FRONT, latency=1.02 / rate, accuracy=0.8, sender='op'), 5)
    camera.serve(subject, 60.0, '')
    assert camera.clocks[-1] == GPU[1] and len(camera.clocks) > 1
    successor = Manager('successor')
    successor.observe_load(
        load(granted=GPU[1], requested_maximum=GPU[1], lease_manager=subject.instance), 60.0
    )
    successor.add_application(camera.application, 60.0)
    camera.serve(successor, 90.0, subject.instance)
    assert camera.clocks == [GPU[1]]


def test_an_older_presentation_does_not_undo_an_answer() -> None:
    subject, one = manager(), application()
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, latency=0.01), 5)
    acknowledge(subject, one, subject.decide(0.0), 0.0)
    subject.add_application(one, 0.1)  # sent before the switch, arrived after its answer
    assert subject.decide(0.2).switches == ()


def test_a_switch_by_hand_stays_for_the_dwell_and_the_target_is_handed_over_again() -> None:
    subject, one = manager(), application()
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, latency=0.05, objective=Objective.MAXIMUM_ACCURACY), 5)
    one = acknowledge(subject, one, subject.decide(0.0), 0.0)
    subject.observe(
        status(
            one,
            StatusEvent.SWITCH,
            sub_network='s1',
            switch_manager='by hand',
            switch_sequence=1,
            switch_result=1,
        ),
        3.0,
    )
    by_hand = replace(one, sub_network='s1', switch_manager='by hand', target=None)
    subject.add_application(by_hand, 3.0)
    (switch,) = subject.decide(3.1).switches
    assert (switch.sub_network, switch.reason) == ('s1', SwitchReason.TARGET_ECHO)


def test_a_switch_without_an_answer_is_sent_again() -> None:
    subject = manager()
    subject.add_application(application(), 0.0)
    subject.set_target(Target(FRONT, latency=0.01), 5)
    (first,) = subject.decide(0.0).switches
    assert subject.decide(0.5).switches == ()
    (second,) = subject.decide(1.1).switches
    assert (second.sub_network, second.sequence) == (first.sub_network, first.sequence + 1)


def test_a_processor_that_is_refused_is_not_asked_for_again() -> None:
    subject, one = manager(), application(processor='cpu')
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, latency=0.01), 5)
    (switch,) = subject.decide(0.0).switches
    assert subject.observe(answer(one, switch.sequence, 12, 'no such processor'), 0.1)
    decision = subject.decide(0.1)
    assert [(s.sub_network, s.processor) for s in decision.switches] == [('s3', 'cpu')]
    assert decision.switches[0].reason is SwitchReason.TARGET_ECHO
    acknowledge(subject, one, decision, 0.2)
    assert 'no such processor' in report(subject.decide(0.3)).message
    assert subject.decide(0.4).switches == ()


def test_an_accelerator_that_vanishes_is_left_and_tried_again_later() -> None:
    subject = manager()
    points = on_processors(operating_points(), 'dla0', power=0.5)
    one = application(operating_points=points)
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, latency=0.1, rate=25.0), 5)
    decision = subject.decide(0.0)
    assert [s.processor for s in decision.switches] == ['dla0']
    one = acknowledge(subject, one, decision, 0.2)
    failure = answer(one, one.switch_sequence, 14, 'the accelerator is gone')
    assert subject.observe(failure, 2.0)
    decision = subject.decide(2.0)
    assert [s.processor for s in decision.switches] == ['gpu']
    one = acknowledge(subject, one, decision, 2.1)
    now = 2.1
    while now < 2.0 + RETRY:
        now = serve(subject, one, 30, now, 0.02, round(now * 30))
        decision = subject.decide(now)
        assert not decision.switches or now >= 2.0 + RETRY
    while not decision.switches and now < 60.0:
        now = serve(subject, one, 30, now, 0.02, round(now * 30))
        decision = subject.decide(now)
    assert [s.processor for s in decision.switches] == ['dla0']


def test_an_application_that_refused_everything_is_managed_again_later() -> None:
    """Its platform had changed for a moment, so it knew no processor that was asked for."""
    subject, one = manager(), application()
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, latency=0.01), 5)
    (switch,) = subject.decide(0.0).switches

    def refuse(sequence: int, now: float) -> None:
        subject.observe(answer(one, sequence, 12, 'no such processor'), now)

    def alive(now: float) -> Decision:
        subject.observe(status(one, StatusEvent.HEARTBEAT), now)
        return subject.decide(now)

    refuse(switch.sequence, 0.1)
    assert 'refuses every' in report(subject.decide(0.2)).message
    decisions = [alive(float(second)) for second in range(1, round(RETRY) + 3)]
    asked = [d for d in decisions for s in d.switches if s.sub_network != one.sub_network]
    assert asked and asked[0].time > RETRY
    assert not report(asked[0]).message.startswith('It refuses')


@pytest.mark.parametrize('result', [11, 14])
def test_a_refused_option_is_left_out(result: int) -> None:
    subject, one = manager(), application()
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, latency=0.01), 5)
    (switch,) = subject.decide(0.0).switches
    assert subject.observe(answer(one, switch.sequence, result), 0.1)
    (other,) = subject.decide(0.1).switches
    assert other.sub_network != switch.sub_network


def test_an_application_that_falls_silent_is_gone_until_it_speaks_again() -> None:
    subject, one = manager(), application()
    subject.add_application(one, 0.0)
    subject.set_target(Target(FRONT, latency=0.05), 5)
    subject.decide(0.0)
    subject.observe(status(one, StatusEvent.HEARTBEAT), 1.0)
    assert report(subject.decide(3.9)).state is not TargetState.WAITING
    assert report(subject.decide(4.1)).state is TargetState.WAITING
    assert subject.observe(status(one, StatusEvent.HEARTBEAT), 6.0)
    assert report(subject.decide(6.0)).state is TargetState.PENDING


def test_of_two_with_one_id_the_first_counts_while_it_lives() -> None:
    subject, first = manager(), application()
    second = application(instance='second', started=2)
    subject.add_application(first, 0.0)
    assert not subject.add_application(second, 0.5)
    departed = replace(second, state=ApplicationState.DEPARTED)
    assert not subject.add_application(departed, 0.6)
    assert subject.applications == (FRONT,)
    assert subject.add_application(application(instance='third', started=3), 10.0)


def test_an_inactive_application_is_not_switched() -> None:
    subject = manager()
    subject.add_application(application(state=ApplicationState.INACTIVE), 0.0)
    subject.set_target(Target(FRONT, latency=0.01), 5)
    decision = subject.decide(0.0)
    assert decision.switches == ()
    assert 'not active' in report(decision).message


def test_without_a_profile_the_sub_network_is_kept() -> None:
    subject = manager()
    subject.add_application(application(operating_points=empty_points()), 0.0)
    subject.set_target(Target(FRONT, latency=0.001), 5)
    decision = subject.decide(0.0)
    assert [s.reason for s in decision.switches] == [SwitchReason.TARGET_ECHO]
    assert decision.setting is None
    assert 'no profile' in report(decision).message


def test_advice_touches_nothing() -> None:
    subject = manager(Mode.ADVISE)
    subject.observe_load(load(), 0.0)
    subject.add_application(application(), 0.0)
    subject.set_target(Target(FRONT, latency=0.01), 5)
    decision = subject.decide(0.0)
    assert decision.switches == ()
    assert decision.setting is None
    assert decision.domains
    assert report(decision).decision.sub_network in ('s0', 's1')
    subject.observe_load(load(), 0.2)
    again = subject.decide(0.2)
    assert again.domains == decision.domains
    assert report(again).reason == 'nothing better is known'


def test_mode_bounds_and_default_change_with_the_next_decision() -> None:
    subject, one = Manager('me', ManagerSettings(mode=Mode.ADVISE, adoption=0.0)), application()
    subject.observe_load(load(), 0.0)
    subject.add_application(one, 0.0)
    advised = subject.decide(0.0)
    assert advised.setting is None and report(advised).decision.sub_network == 's3'
    subject.observe_load(load(), 0.1)
    settings = ManagerSettings(default_objective=Objective.MINIMUM_LATENCY, power_cap=7.0)
    subject.adjust(settings)
    decision = subject.decide(0.1)
    assert decision.setting is not None
    assert [(s.sub_network, s.reason) for s in decision.switches] == [('s0', SwitchReason.TARGET)]
    assert decision.power <= 7.0 < advised.power
    one = acknowledge(subject, one, decision, 0.1)
    subject.observe_load(load(), 0.2)
    subject.adjust(replace(settings, floors={'gpu': GPU[2]}))
    assert subject.decide(0.2).domains[0].maximum >= GPU[2]
    subject.adjust(replace(settings, mode=Mode.ADVISE))
    subject.set_target(Target(FRONT, accuracy=0.92), 5)
    decision = subject.decide(0.2)
    assert decision.setting is None and decision.switches == ()
    assert report(decision).decision.sub_network == 's3'


def test_a_stale_load_gives_the_clocks_back() -> None:
    subject = manager()
    subject.add_application(application(), 0.0)
    subject.observe_load(load(), 0.0)
    assert subject.decide(0.1).setting is not None
    assert subject.decide(0.5).setting is not None, 'a busy computer pauses as long'
    decision = subject.decide(1.5)
    assert decision.setting is None
    assert decision.platform_state is PlatformState.STALE
    assert 'platform node' in decision.message
    subject.observe_load(load(), 1.6)
    assert subject.decide(1.6).setting is not None


def test_frames_of_an_overrun_say_nothing() -> None:
    subject, one = manager(), application()
    subject.add_application(one, 0.0)
    for number in range(50):
        frame = status(
            one,
            StatusEvent.SERVED,
            preprocessing=0.0,
            inference=0.5,
            total=0.5,
            received=number,
            served=number,
            overrun=True,
        )
        assert not subject.observe(frame, number / 30)
    assert report(subject.decide(2.0)).slow_down == 1.0


def test_the_platform_s_refusal_is_passed_on() -> None:
    subject = manager()
    subject.add_application(application(), 0.0)
    subject.observe_load(
        load(setting_manager='me', setting_result=17, setting_message='permission denied'), 0.0
    )
    assert 'permission denied' in subject.decide(0.0).message


names = st.sampled_from([FRONT, REAR, '/third/node'])
latencies = st.one_of(st.floats(1e-4, 2.0), st.sampled_from([0.0, math.nan, math.inf, -1.0]))
targets = st.builds(
    Target,
    application=names,
    latency=st.sampled_from([0.0, 0.002, 0.02, 0.05, 1.0]),
    accuracy=st.sampled_from([0.0, 0.8, 0.9, 1.0]),
    energy=st.sampled_from([0.0, 0.01, 0.2]),
    rate=st.sampled_from([0.0, 5.0, 30.0, 100.0]),
    priority=st.integers(0, 2),
    objective=st.sampled_from(Objective),
)
loads = st.builds(
    load,
    limit_maximum=st.sampled_from([*GPU, 50e6]),
    limit_minimum=st.sampled_from([GPU[0], GPU[2]]),
    granted=st.sampled_from([*GPU, math.nan, 600e6]),
    utilisation_foreign=st.sampled_from([0.0, 0.3, 0.95, math.nan]),
    available=st.sampled_from([GPU, GPU[:2], (), (GPU[1], 700e6)]),
)
tables = st.sampled_from(
    [
        operating_points(),
        operating_points(()),
        operating_points(GPU[2:]),
        operating_points((7e8,), domain='cpu'),
        operating_points(power=False),
        empty_points(),
    ]
)
steps = st.one_of(
    st.tuples(st.just('target'), targets),
    st.tuples(
        st.just('load'),
        st.tuples(
            loads,
            st.sampled_from([0.0, 0.0, -1.0, 5.0]),
            st.sampled_from([math.nan, 4.0, 9.0]),
            st.sampled_from([math.nan, 40.0, 69.0, 95.0]),
        ),
    ),
    st.tuples(st.just('appear'), st.tuples(names, tables)),
    st.tuples(st.just('frame'), st.tuples(names, latencies)),
    st.tuples(st.just('depart'), names),
    st.tuples(st.just('clear'), names),
    st.tuples(st.just('wait'), st.floats(0.01, 4.0)),
)


SCENARIOS = int(os.environ.get('DYNAMIC_DNN_SCENARIOS', '150'))
"""Random scenarios to go through; 10000 for the figure of docs/benchmarks.md."""


@settings(max_examples=SCENARIOS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(steps, max_size=40),
    st.sampled_from(Mode),
    st.sampled_from([math.inf, 3.5, 6.0]),
    st.sampled_from([math.inf, 70.0]),
)
def test_whatever_happens_nothing_illegal_is_decided(
    scenario: list[tuple[str, Any]], mode: Mode, power_cap: float, temperature_limit: float
) -> None:
    subject = Manager(
        'me',
        ManagerSettings(
            mode=mode,
            floors={'gpu': GPU[1]},
            power_cap=power_cap,
            temperature_limit=temperature_limit,
        ),
    )
    present: dict[str, Application] = {}
    last: Load | None = None
    now, served = 0.0, 0
    for kind, value in scenario:
        if kind == 'target':
            subject.set_target(value, int(now * 1e9) + 1)
        elif kind == 'load':
            one_load, at, power, temperature = value
            last = replace(one_load, monotonic_time=now + at, power=power, temperature=temperature)
            subject.observe_load(last, now)
            # A load that is out of order is passed over.
            last = subject.platform.load
        elif kind == 'appear':
            name, points = value
            processor = points.processors[0] if points.processors else 'gpu'
            one = application(name, operating_points=points, processor=processor)
            if name in present:
                # The same instance has not forgotten the last switch that it answered.
                said = ('switch_manager', 'switch_sequence', 'target')
                one = replace(one, **{field: getattr(present[name], field) for field in said})
            present[name] = one
            subject.add_application(one, now)
        elif kind == 'frame' and value[0] in present:
            one, latency = present[value[0]], value[1]
            served += 1
            frame = status(
                one,
                StatusEvent.SERVED,
                preprocessing=latency * 0.1,
                inference=latency * 0.9,
                total=latency * 1.1,
                received=served,
                served=served,
            )
            subject.observe(frame, now)
        elif kind == 'depart' and value in present:
            gone = replace(present.pop(value), state=ApplicationState.DEPARTED)
            subject.add_application(gone, now)
        elif kind == 'clear':
            subject.clear_target(value, 0, int(now * 1e9) + 1)
        elif kind == 'wait':
            now += value
        now += 0.02
        decision = subject.decide(now)
        for switch in decision.switches:
            assert mode is Mode.CONTROL
            assert switch.sub_network in SUB_NETWORKS
            assert switch.processor == present[switch.application].processor
            present[switch.application] = acknowledge(
                subject, present[switch.application], decision, now
            )
        for domain in decision.setting or ():
            assert last is not None and decision.platform_state is PlatformState.FRESH
            limits = last.domain(domain.name)
            assert limits is not None
            assert domain.minimum == domain.maximum
            assert domain.maximum in limits.available
            assert limits.limit_minimum <= domain.maximum <= limits.limit_maximum
        budget = subject.power_budget
        if decision.setting and decision.power > budget * (1 + WITHIN):
            assert 'plans may take' in decision.message
        for row in decision.reports:
            assert len(row.names) == len(row.required) == len(row.missed_by)
            assert row.decision.sub_network or row.message
            if row.state in (TargetState.INFEASIBLE, TargetState.WAITING, TargetState.REFUSED):
                assert row.message
            there = row.application in subject.applications
            if there and len(present[row.application].operating_points):
                assert row.reason
                assert row.decision.sub_network in SUB_NETWORKS
