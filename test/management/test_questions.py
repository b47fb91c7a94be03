# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A target can be asked about before it is set."""

from __future__ import annotations

import pytest

from dynamic_dnn_ros.management.decisions import TargetState
from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.observations import DomainLoad, Load
from dynamic_dnn_ros.management.targets import Target
from support.applications import GPU, application, operating_points, served_frame

FRONT, REAR = '/front/inference_node', '/rear/inference_node'


def manager(*names: str) -> Manager:
    subject = Manager('me')
    subject.observe_load(
        Load('board', 'boot', 0.1, (DomainLoad('gpu', GPU, GPU[0], GPU[-1], GPU[-1]),)), 0.0
    )
    for number, name in enumerate(names):
        subject.add_application(application(name), 0.0)
        subject.set_target(Target(name, latency=0.2, accuracy=0.8), number + 1)
    subject.decide(0.0)
    return subject


def test_the_answer_is_what_setting_it_gives() -> None:
    target = Target(FRONT, latency=0.03, accuracy=0.88)
    subject = manager(FRONT)
    before = subject.decide(0.1)
    answer = subject.ask(target, 0.1)
    assert answer.state is TargetState.ANSWERED
    assert answer.missed_by == (0.0, 0.0)
    assert 'It would be met; the board would take' in answer.message
    assert 'W from now' in answer.message
    # Nothing has changed by it.
    assert subject.decide(0.15).domains == before.domains
    assert subject.targets.get(FRONT) != target
    subject.set_target(target, 10)
    (report,) = subject.decide(0.2).reports
    assert report.decision.sub_network == answer.decision.sub_network
    assert report.decision.frequencies == answer.decision.frequencies
    assert report.decision.power == pytest.approx(answer.decision.power, rel=1e-6)


def test_what_cannot_be_met_is_answered_with_the_nearest_point() -> None:
    answer = manager(FRONT).ask(Target(FRONT, latency=0.001), 0.1)
    assert answer.missed_by[0] > 0
    assert answer.decision.sub_network == 's0'
    assert 'It would miss latency 1 ms (expected: ' in answer.message


def test_a_limit_that_others_push_out_is_named_with_them() -> None:
    """The accuracy alone can be had, and the latency too: only both cannot."""
    subject = manager(FRONT)
    subject.set_target(Target(FRONT, latency=0.005, accuracy=0.9), 10)
    (report,) = subject.decide(0.2).reports
    assert report.state is TargetState.INFEASIBLE
    first, second = report.message.removeprefix('No operating point meets ').split(
        ' together with '
    )
    assert '(expected: ' in first
    assert {first.split()[0], second.split()[0]} == {'latency', 'accuracy'}


def test_a_limit_of_what_nobody_knows_is_not_judged() -> None:
    subject = Manager('me')
    subject.add_application(
        application(FRONT, operating_points=operating_points(power=False)), 0.0
    )
    target = Target(FRONT, energy=0.2)
    subject.decide(0.0)
    answer = subject.ask(target, 0.1)
    assert 'would be met' not in answer.message
    assert 'Nothing is known of its energy here' in answer.message
    both = subject.ask(Target(FRONT, energy=0.2, latency=0.1), 0.1)
    assert both.message.startswith('The other limits would be met')
    subject.set_target(target, 10)
    now = 0.2
    for _ in range(60):
        now += 1 / 30
        subject.observe(served_frame(FRONT, f'instance of {FRONT}', 's3', 0.022), now)
        (report,) = subject.decide(now).reports
    assert report.state is TargetState.PENDING
    assert 'Nothing is known of its energy here' in report.message


def test_names_those_who_would_lose_their_targets() -> None:
    subject = manager(FRONT, REAR)
    subject.set_target(Target(REAR, latency=0.03, accuracy=0.92, rate=29.0), 10)
    subject.decide(0.1)
    greedy = Target(FRONT, latency=0.03, accuracy=0.92, rate=29.0, priority=9)
    assert f'targets of {REAR} would be missed' in subject.ask(greedy, 0.1).message


def test_of_whom_nothing_is_known_nothing_is_said() -> None:
    answer = Manager('me').ask(Target(FRONT, latency=0.03), 0.1)
    assert answer.state is TargetState.ANSWERED
    assert 'Nothing can be said' in answer.message


def test_the_answer_names_the_next_best_as_a_decision_does() -> None:
    target = Target(FRONT, latency=0.03, accuracy=0.88)
    subject = manager(FRONT)
    answer = subject.ask(target, 0.1)
    subject.set_target(target, 10)
    (report,) = subject.decide(0.2).reports
    assert answer.runner_up.sub_network
    assert answer.runner_up.sub_network == report.runner_up.sub_network
    assert answer.runner_up_reason == report.runner_up_reason


def test_an_application_that_is_left_alone_at_first_is_answered_as_if_it_were_not() -> None:
    subject = Manager('me')
    subject.observe_load(
        Load('board', 'boot', 0.1, (DomainLoad('gpu', GPU, GPU[0], GPU[-1], GPU[-1]),)), 0.0
    )
    subject.add_application(application(FRONT), 0.0)  # asked for nothing: held for a while
    subject.decide(0.0)
    target = Target(FRONT, latency=0.01)
    answer = subject.ask(target, 0.1)
    assert answer.missed_by == (0.0,)
    subject.set_target(target, 1)
    (report,) = subject.decide(0.2).reports
    assert answer.decision.sub_network == report.decision.sub_network
