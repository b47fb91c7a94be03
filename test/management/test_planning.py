# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The plan in force, from what platform, targets and applications come to."""

from __future__ import annotations

import math
from typing import Any

from dynamic_dnn_ros.management.assessment import ResourceSettings
from dynamic_dnn_ros.management.decisions import SwitchReason
from dynamic_dnn_ros.management.observations import DomainLoad, Load
from dynamic_dnn_ros.management.planning import Planner
from dynamic_dnn_ros.management.platform_view import PlatformView
from dynamic_dnn_ros.management.power_budget import PowerBudget
from dynamic_dnn_ros.management.records import ApplicationRecord, Registry
from dynamic_dnn_ros.management.targets import Objective, Target, TargetStore
from support.applications import GPU, application, operating_points

FRONT, REAR = '/front/inference_node', '/rear/inference_node'


def planner(**load: Any) -> tuple[Planner, list[ApplicationRecord]]:
    """Return a planner for two applications with targets, on a board with one domain."""
    registry, targets, platform = Registry(1.0), TargetStore(), PlatformView()
    records = []
    for name in (FRONT, REAR):
        record, _ = registry.add(application(name), 0.0)
        assert record is not None
        records.append(record)
        targets.set(Target(name, latency=0.06, accuracy=0.85), 1)
    requested = load.pop('requested', 0.0)
    domain = DomainLoad('gpu', GPU, GPU[0], GPU[-1], GPU[-1], requested_maximum=requested)
    platform.observe(Load('board', 'boot', 0.1, (domain,), **load), 0.0)
    objective = Objective.MAXIMUM_ACCURACY
    return Planner(ResourceSettings(), objective, targets, platform, PowerBudget()), records


def test_applications_are_told_what_to_serve_why_and_beside_whom() -> None:
    subject, records = planner()
    assert math.isnan(subject.power)
    controllable, (domain,) = subject.make(records, 0.0, SwitchReason.TARGET)
    assert controllable
    assert domain.minimum == domain.maximum in GPU
    assert subject.planned == (FRONT, REAR)
    assert subject.plan is not None and subject.power > 0
    for index, record in enumerate(records):
        table = subject.plan.problem.joint.tables[index]
        assert record.assignment.desired == table.options[subject.plan.option(index)]
        assert record.assignment.due(None, 0.0) is SwitchReason.TARGET
        # What is predicted of the frames is what they are judged by.
        found = subject.plan.evaluation.applications[index]
        assert record.learnt.contention == found.contention[subject.plan.row] > 1.2


def test_the_same_problem_is_not_posed_again() -> None:
    subject, records = planner()
    subject.make(records, 0.0, None)
    assert subject.plan is not None
    before = subject.plan.problem
    subject.make(records, 0.1, None)
    assert subject.plan.problem is before
    subject.forget()
    assert subject.plan is None and subject.planned == ()


def test_clocks_that_another_manager_leased_stay_while_applications_are_held() -> None:
    subject, records = planner(lease_manager='another', requested=GPU[3])
    for record in records:
        record.hold(0.0, 5.0)
    _, (domain,) = subject.make(records, 0.0, SwitchReason.APPLICATION)
    assert domain.maximum == GPU[3]
    assert [record.assignment.desired for record in records] == [('s3', 'gpu')] * 2


def test_names_profiles_that_share_no_setting() -> None:
    subject, records = planner()
    strange = application(REAR, operating_points=operating_points((1e9, 9e8)))
    records[1].update(strange)
    subject.make(records, 0.0, None)
    assert subject.unjoined == (REAR,)
