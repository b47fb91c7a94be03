# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a target is said to stand."""

from __future__ import annotations

import math

import pytest

from dynamic_dnn_ros.management.assessment import ResourceSettings
from dynamic_dnn_ros.management.decisions import TargetReport, TargetState
from dynamic_dnn_ros.management.observations import Application, Status, StatusEvent
from dynamic_dnn_ros.management.records import Registry
from dynamic_dnn_ros.management.reports import REFUSAL_SHOWN, Reporter, prediction
from dynamic_dnn_ros.management.targets import Target, TargetError, TargetStore
from support.applications import application, empty_points

FRONT = '/front/inference_node'
ERROR = TargetError('latency', -1.0, 'is negative', 'Give seconds')


def reports(
    reporter: Reporter, registry: Registry, targets: TargetStore, now: float = 0.0
) -> dict[str, TargetReport]:
    found = reporter.reports(registry, targets, None, (), True, now)
    return {report.application: report for report in found}


def served(registry: Registry, one: Application, latency: float, frames: int = 60) -> None:
    """Have an application without a profile serve frames at 30 Hz."""
    record = registry[one.id]
    for number in range(1, frames + 1):
        frame = Status(
            one.id,
            one.instance,
            StatusEvent.SERVED,
            one.sub_network,
            one.processor,
            preprocessing=0.0,
            inference=latency,
            total=latency,
            received=number,
            served=number,
        )
        record.learnt.measurements.count(frame, number / 30)
        record.learnt.measurements.frame(frame, 1 / 30)


@pytest.mark.parametrize(
    ('limits', 'state', 'missed'),
    [
        ({'latency': 0.03}, TargetState.MET, 0.0),
        ({'latency': 0.02}, TargetState.MISSED, 0.005),
        ({'rate': 30.0}, TargetState.MET, 0.0),
        ({'rate': 30.3}, TargetState.MET, 0.0),
        ({'rate': 40.0}, TargetState.MISSED, 10.0),
        ({'accuracy': 0.9}, TargetState.MET, 0.0),
        ({'energy': 0.1}, TargetState.MET, 0.0),
    ],
)
def test_compares_measurements_with_limits(
    limits: dict[str, float], state: TargetState, missed: float
) -> None:
    registry, targets = Registry(1.0), TargetStore()
    one = application(operating_points=empty_points())
    registry.add(one, 0.0)
    served(registry, one, 0.025)
    targets.set(Target(FRONT, **limits), 1)  # type: ignore[arg-type]
    report = reports(Reporter(ResourceSettings()), registry, targets)[FRONT]
    assert report.state is state
    assert report.missed_by[0] == pytest.approx(missed, rel=0.02)


def test_too_few_frames_leave_it_pending() -> None:
    registry, targets = Registry(1.0), TargetStore()
    one = application(operating_points=empty_points())
    registry.add(one, 0.0)
    served(registry, one, 0.025, frames=5)
    targets.set(Target(FRONT, latency=0.03), 1)
    report = reports(Reporter(ResourceSettings()), registry, targets)[FRONT]
    assert report.state is TargetState.PENDING
    assert math.isnan(report.measured[0])


def test_a_target_of_nobody_waits() -> None:
    targets = TargetStore()
    targets.set(Target(FRONT, latency=0.03, rate=5.0), 1)
    report = reports(Reporter(ResourceSettings()), Registry(1.0), targets)[FRONT]
    assert report.state is TargetState.WAITING
    assert report.names == ('latency', 'rate')
    assert report.required == (0.03, 5.0)
    assert 'kept until it appears' in report.message


def test_a_refusal_is_shown_from_when_it_is_first_said() -> None:
    reporter, registry, targets = Reporter(ResourceSettings()), Registry(1.0), TargetStore()
    reporter.refuse(FRONT, 'op', ERROR)
    report = reports(reporter, registry, targets, 100.0)[FRONT]
    assert report.state is TargetState.REFUSED
    assert "'op'" in report.message and 'Give seconds' in report.message
    assert reports(reporter, registry, targets, 100.0 + REFUSAL_SHOWN)
    assert not reports(reporter, registry, targets, 100.1 + REFUSAL_SHOWN)
    reporter.refuse(FRONT, 'op', ERROR)
    reporter.accept(FRONT)
    assert not reports(reporter, registry, targets, 200.0)


def test_without_a_plan_the_prediction_is_the_accuracy() -> None:
    registry = Registry(1.0)
    registry.add(application(), 0.0)
    found = prediction(None, (), FRONT, registry[FRONT])
    assert (found.sub_network, found.accuracy) == ('s3', 0.92)
    assert math.isnan(found.latency)
