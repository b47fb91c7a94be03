# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Switches that are sent until they are acknowledged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynamic_dnn_ros.management.assessment import ResourceSettings
from dynamic_dnn_ros.management.assignment import LONGEST_PREPARATION, RESEND_AFTER
from dynamic_dnn_ros.management.decisions import SwitchReason
from dynamic_dnn_ros.management.handover import RETRY, Handover
from dynamic_dnn_ros.management.observations import (
    SWITCH_APPLIED,
    SWITCH_FAILED,
    SWITCH_REFUSED_SUB_NETWORK,
    Status,
    StatusEvent,
)
from dynamic_dnn_ros.management.planning import Planner
from dynamic_dnn_ros.management.platform_view import PlatformView
from dynamic_dnn_ros.management.power_budget import PowerBudget
from dynamic_dnn_ros.management.records import ApplicationRecord, Registry
from dynamic_dnn_ros.management.tables import Option
from dynamic_dnn_ros.management.targets import Objective, Target, TargetStore
from support.applications import application, on_processors, operating_points

FRONT = '/front/inference_node'


def handover(*more: str) -> tuple[Handover, ApplicationRecord, TargetStore]:
    """
    Return the handover of a manager that has one application, which serves s3 on the GPU.

    :param more: further processors, which are as the GPU
    """
    registry, targets = Registry(1.0), TargetStore()
    points = on_processors(operating_points(), *more)
    record, _ = registry.add(application(FRONT, operating_points=points), 0.0)
    assert record is not None
    planner = Planner(
        ResourceSettings(), Objective.MAXIMUM_ACCURACY, targets, PlatformView(), PowerBudget()
    )
    return Handover('me', registry, targets, planner), record, targets


def options_of(record: ApplicationRecord) -> tuple[Option, ...]:
    assert record.table is not None
    return record.table.options


def answer(
    record: ApplicationRecord, result: int, manager: str = 'me', sequence: int = 1
) -> Status:
    return Status(
        FRONT,
        record.application.instance,
        StatusEvent.SWITCH,
        's1',
        'gpu',
        switch_manager=manager,
        switch_sequence=sequence,
        switch_result=result,
        message='no',
    )


def test_a_switch_is_sent_once_and_again_only_without_an_answer() -> None:
    subject, record, targets = handover()
    assert subject.due(0.0) == ()
    record.assignment.decide(('s1', 'gpu'), SwitchReason.TARGET)
    targets.set(Target(FRONT, latency=0.03), 5)
    (switch,) = subject.due(1.0)
    assert (switch.sub_network, switch.sequence, switch.target) == ('s1', 1, targets.get(FRONT))
    assert subject.due(1.0 + 0.9 * RESEND_AFTER) == ()
    (again,) = subject.due(1.0 + RESEND_AFTER)
    assert replace(again, sequence=1, again=False) == switch
    assert again.again and not switch.again
    # The answer to the first has been overtaken.
    assert not subject.answered(record, answer(record, SWITCH_APPLIED), 2.1)
    assert record.assignment.outstanding is again
    assert not subject.answered(record, answer(record, SWITCH_APPLIED, sequence=2), 2.2)
    assert record.assignment.actual == ('s1', 'gpu')
    assert subject.due(10.0) == ()


def test_a_switch_without_an_answer_is_sent_ever_more_rarely() -> None:
    subject, record, _ = handover()
    record.assignment.decide(('s1', 'gpu'), SwitchReason.TARGET)
    times = [0.1 * step for step in range(301) if subject.due(0.1 * step)]
    assert times == pytest.approx([0.0, 1.0, 3.0, 7.0, 15.0, 23.0], abs=0.11)
    assert record.assignment.changes(30.0)
    assert not record.assignment.changes(0.1 + LONGEST_PREPARATION)


@pytest.mark.parametrize('result', [SWITCH_REFUSED_SUB_NETWORK, SWITCH_FAILED])
def test_what_is_refused_is_left_out_longer_each_time(result: int) -> None:
    subject, record, _ = handover()
    assert record.table is not None
    options, now = record.table.options, 0.0
    for times, pause in enumerate((RETRY, 2 * RETRY, 4 * RETRY), 1):
        record.assignment.decide(('s1', 'gpu'), SwitchReason.TARGET)
        subject.due(now)
        assert subject.answered(record, answer(record, result, sequence=times), now)
        excluded = [o for o in options if record.is_excluded(o, now + pause - 1.0)]
        assert excluded == [('s1', 'gpu')]
        assert record.assignment.desired == record.assignment.actual == ('s3', 'gpu')
        assert record.refusal == 'no'
        now += pause
        assert not any(record.is_excluded(option, now) for option in options)


def test_a_switch_of_somebody_else_is_taken_over_if_it_was_applied() -> None:
    subject, record, _ = handover()
    assert not subject.answered(record, answer(record, SWITCH_FAILED, manager='by hand'), 0.0)
    assert record.assignment.actual == ('s3', 'gpu')
    assert not subject.answered(record, answer(record, SWITCH_APPLIED, manager='by hand'), 0.0)
    assert record.assignment.actual == record.assignment.desired == ('s1', 'gpu')


def test_a_processor_on_which_what_serves_fails_is_left_out() -> None:
    """As an accelerator vanishes: the application says that its last switch failed after all."""
    subject, record, _ = handover('dla0')
    there = [option for option in options_of(record) if option[1] == 'dla0']
    record.assignment.decide(('s1', 'dla0'), SwitchReason.MEASUREMENT)
    subject.due(0.0)
    failed = replace(answer(record, SWITCH_FAILED), processor='dla0')
    assert not subject.answered(record, replace(failed, switch_result=SWITCH_APPLIED), 3.0)
    # Its preparation took so long: others there may take as long, and the GPU is not known.
    expected = dict(zip(options_of(record), record.preparations(options_of(record))))
    assert {expected[option] for option in there} == {3.0}
    assert expected['s1', 'gpu'] == 0.0
    assert not subject.answered(record, replace(failed, switch_sequence=7), 4.0)
    assert subject.answered(record, failed, 4.0)
    assert not subject.answered(record, failed, 4.1)  # said twice, left out once
    assert [o for o in options_of(record) if record.is_excluded(o, 4.0 + 0.9 * RETRY)] == there
    assert not any(record.is_excluded(option, 4.0 + RETRY) for option in there)


def test_on_the_only_processor_what_fails_alone_is_left_out() -> None:
    subject, record, _ = handover()
    record.assignment.decide(('s1', 'gpu'), SwitchReason.MEASUREMENT)
    subject.due(0.0)
    subject.answered(record, answer(record, SWITCH_APPLIED), 0.1)
    assert subject.answered(record, answer(record, SWITCH_FAILED), 4.0)
    assert [o for o in options_of(record) if record.is_excluded(o, 5.0)] == [('s1', 'gpu')]
