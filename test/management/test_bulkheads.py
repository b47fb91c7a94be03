# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with one application is said, and costs no other one its decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.management import planning
from dynamic_dnn_ros.management.assessment import Demand
from dynamic_dnn_ros.management.decisions import Decision, TargetReport, TargetState
from dynamic_dnn_ros.management.handover import MOST_COUNTED
from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.observations import DomainLoad, Load, Status, StatusEvent
from dynamic_dnn_ros.management.records import FIRST_PAUSE, MOST_APPLICATIONS
from dynamic_dnn_ros.management.reports import MOST_REFUSALS, Reporter
from dynamic_dnn_ros.management.tables import LARGEST_JOINT
from dynamic_dnn_ros.management.targets import LONGEST_ID, MOST_ABSENT, Target, TargetError
from support.applications import GPU, application, operating_points
from support.growth import growth

FRONT, REAR = '/front/inference_node', '/rear/inference_node'
DOMAIN = DomainLoad('gpu', GPU, GPU[0], GPU[-1], GPU[-1])


def two() -> Manager:
    """Return a manager of two applications with a target each, on a board."""
    subject = Manager('me')
    subject.observe_load(Load('board', 'boot', 10.0, (DOMAIN,)), 0.0)
    for name in (FRONT, REAR):
        subject.add_application(application(name), 0.0)
        subject.set_target(Target(name, latency=0.03), 1)
    return subject


def reports(decision: Decision) -> dict[str, TargetReport]:
    return {report.application: report for report in decision.reports}


def alive(subject: Manager, now: float) -> Decision:
    for name in (FRONT, REAR):
        heard = Status(name, f'instance of {name}', StatusEvent.HEARTBEAT, 's3', 'gpu')
        subject.observe(heard, now)
    return subject.decide(now)


def fail_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every decision fail that an application takes part in."""
    usual = planning.demand_of

    def demand_of(record: Any, *arguments: Any) -> Demand:
        if record.application.id == name:
            raise ZeroDivisionError('in a profile')
        return usual(record, *arguments)

    monkeypatch.setattr(planning, 'demand_of', demand_of)


def test_an_application_that_no_decision_comes_about_with_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject = two()
    fail_for(REAR, monkeypatch)
    decision = subject.decide(0.1)
    assert FRONT in {s.application for s in decision.switches if s.sub_network != 's3'}
    assert decision.setting is not None
    found = reports(decision)
    assert found[FRONT].reason
    assert 'ZeroDivisionError: in a profile' in found[REAR].message
    assert not found[REAR].reason


def test_it_is_tried_again_later_and_with_another_target(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        fail_for(REAR, broken)
        subject = two()
        subject.decide(0.1)
    assert not reports(alive(subject, 0.2))[REAR].reason
    assert reports(alive(subject, 0.2 + FIRST_PAUSE))[REAR].reason
    with monkeypatch.context() as broken:
        fail_for(REAR, broken)
        subject = two()
        subject.decide(0.1)
    subject.set_target(Target(REAR, latency=0.05), 2)
    assert reports(alive(subject, 0.2))[REAR].reason


def test_where_only_all_together_fail_the_last_to_come_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = planning.join

    def join(tables: Any, before: Any = None) -> Any:
        if len(tables) > 1:
            raise MemoryError
        return usual(tables, before)

    monkeypatch.setattr(planning, 'join', join)
    subject = Manager('me')
    for started, name in enumerate((REAR, FRONT)):
        subject.add_application(application(name, started=started), 0.0)
    found = reports(subject.decide(0.1))
    assert found[REAR].reason and 'MemoryError' in found[FRONT].message


def test_a_report_that_fails_costs_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Reporter._planned

    def planned(self: Reporter, record: Any, *arguments: Any) -> TargetReport:
        if record.application.id == REAR:
            raise AssertionError('nothing is second')
        return usual(self, record, *arguments)

    monkeypatch.setattr(Reporter, '_planned', planned)
    found = reports(two().decide(0.1))
    assert found[FRONT].reason
    assert 'nothing is second' in found[REAR].message


@pytest.mark.parametrize('quantile', [5e-324, 1e-9, 0.5, 1 - 2**-53])
@pytest.mark.parametrize('latency', [1e-6, 1.0, 1e6])
def test_limits_at_the_edge_of_numbers_are_decided_on(latency: float, quantile: float) -> None:
    subject = two()
    subject.set_target(Target(REAR, latency=latency, latency_quantile=quantile), 2)
    found = reports(subject.decide(0.1))
    assert found[FRONT].reason and found[REAR].reason


def test_accuracies_and_powers_that_are_not_known_are_decided_on() -> None:
    subject = two()
    unknown = application(
        REAR,
        operating_points=operating_points(power=False),
        accuracies=dict.fromkeys(('s0', 's1', 's2', 's3'), np.nan),
    )
    subject.add_application(unknown, 0.1)
    found = reports(subject.decide(0.1))
    assert found[FRONT].reason and found[REAR].reason


def test_an_id_is_no_longer_than_a_topic_can_be() -> None:
    for text, problem in (('/' + 'a' * LONGEST_ID, 'application'), (FRONT, 'sender')):
        with pytest.raises(TargetError) as refused:
            Target(text, sender='s' * (LONGEST_ID + 1))
        assert refused.value.field == problem
        assert len(str(refused.value)) < 2 * LONGEST_ID


def test_targets_of_many_that_are_not_there_are_forgotten_the_oldest_first() -> None:
    subject = two()
    for number in range(2 * MOST_ABSENT):
        subject.set_target(Target(f'/absent_{number}', latency=0.1), 10 + number)
    kept = list(subject.targets)
    assert {FRONT, REAR} <= set(kept) and len(kept) == MOST_ABSENT + 2
    assert f'/absent_{MOST_ABSENT}' in kept and '/absent_0' not in kept


def test_refusals_of_many_names_are_shown_for_the_last_ones() -> None:
    subject = two()
    for number in range(5 * MOST_REFUSALS):
        name = f'no name {number}' + 'x' * 1000
        subject.refuse_target(name, 'me', TargetError('application', name, 'is none', 'Give one'))
    refused = [r for r in subject.decide(0.1).reports if r.state is TargetState.REFUSED]
    assert len(refused) == MOST_REFUSALS
    assert max(len(report.application) for report in refused) <= LONGEST_ID


def test_so_many_applications_are_managed_and_the_first_ones_stay() -> None:
    subject = two()
    for number in range(MOST_APPLICATIONS):
        subject.add_application(application(f'/a{number}'), 0.1)
    assert len(subject.applications) == MOST_APPLICATIONS
    assert {FRONT, REAR} <= set(subject.applications)


def test_settings_of_disjoint_domains_do_not_multiply_without_end() -> None:
    subject = Manager('me')
    size = int(LARGEST_JOINT**0.5) + 10
    for name, domain in ((FRONT, 'gpu'), (REAR, 'dla')):
        clocks = [1e8 + 1e5 * step for step in range(size)]
        points = operating_points(clocks, {'s0': (0.004, 0.8)}, domain)
        one = application(name, operating_points=points, sub_network='s0', processor=domain)
        subject.add_application(one, 0.0)
    decision = subject.decide(0.1)
    assert 'or too many' in decision.message
    assert all(report.reason for report in decision.reports)


def test_applications_that_come_and_go_leave_nothing_behind() -> None:
    """Each under another name, with a target that cannot be met, and on other domains."""
    subject = Manager('me')
    points = operating_points()

    def come_and_go(number: int) -> None:
        now, name = 4.0 * number, f'/camera{number:06}/inference_node'
        other = DomainLoad(f'domain{number:06}', GPU, GPU[0], GPU[-1], GPU[-1], 0.5)
        load = Load('board', 'boot', now + 1.0, (DOMAIN, other), monotonic_time=now + 1.0)
        subject.observe_load(load, now)
        subject.add_application(application(name, operating_points=points), now)
        subject.set_target(Target(name, latency=1e-6), 10 * number + 1)
        (report,) = [r for r in subject.decide(now).reports if r.application == name]
        assert report.state is TargetState.INFEASIBLE

    # At times a dictionary grows by 6 kB and stays so: over 500 times that is hardly seen.
    assert growth(come_and_go, MOST_COUNTED + 20, 500) < 100
