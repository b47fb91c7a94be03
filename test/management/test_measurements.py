# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is measured of an application."""

from __future__ import annotations

import math

import pytest

from dynamic_dnn_ros.management.measurements import ENOUGH, Measurements
from dynamic_dnn_ros.management.observations import Status, StatusEvent

RATE = 20.0


def status(number: int, service: float = 0.01, extra: float = 0.002, start: int = 0) -> Status:
    return Status(
        '/a',
        'first',
        StatusEvent.SERVED,
        's0',
        'gpu',
        preprocessing=0.0,
        inference=service,
        total=service + extra,
        busy={'gpu': number * service, 'cpu': number * 0.25 * service},
        received=start + number,
        served=number,
    )


def measured(frames: int) -> Measurements:
    measurements = Measurements()
    for number in range(1, frames + 1):
        measurements.count(status(number), number / RATE)
        measurements.frame(status(number), 1 / RATE)
    return measurements


def test_knows_nothing_at_first() -> None:
    measurements = Measurements()
    assert math.isnan(measurements.camera_rate)
    assert math.isnan(measurements.latency(0.95))
    assert math.isnan(measurements.served_rate())
    assert measurements.overhead == 0.0
    assert measurements.busy_share('gpu', 'gpu') == 1.0
    assert measurements.busy_share('gpu', 'cpu') == 0.0


def test_measures_rates_latency_overhead_and_shares() -> None:
    measurements = measured(100)
    assert measurements.camera_rate == pytest.approx(RATE, rel=0.01)
    assert measurements.served_rate() == pytest.approx(RATE, rel=0.01)
    assert measurements.latency(0.95) == pytest.approx(0.012)
    assert measurements.overhead == pytest.approx(0.002)
    assert measurements.busy_share('gpu', 'gpu') == pytest.approx(1.0)
    assert measurements.busy_share('gpu', 'cpu') == pytest.approx(0.25)


def test_few_frames_do_not_count() -> None:
    assert math.isnan(measured(ENOUGH - 1).latency(0.5))
    assert not math.isnan(measured(ENOUGH).latency(0.5))


def test_a_stopped_camera_leaves_its_rate() -> None:
    measurements = measured(100)
    for second in range(1, 10):
        measurements.count(status(100), 5.0 + second)
    assert measurements.camera_rate == pytest.approx(RATE, rel=0.6)
    assert measurements.camera_rate > 0


def test_counters_that_begin_anew_are_no_negative_rate() -> None:
    measurements = measured(100)
    for number in range(1, 60):
        measurements.count(status(number), 5.0 + number / RATE)
    assert measurements.camera_rate == pytest.approx(RATE, rel=0.05)


def test_frames_that_waited_for_another_say_nothing_of_overhead() -> None:
    measurements = measured(50)
    for number in range(51, 100):
        measurements.frame(status(number, service=0.2, extra=0.05), 1 / RATE)
    assert measurements.overhead == pytest.approx(0.002)


def test_restart_forgets_latency_only() -> None:
    measurements = measured(100)
    measurements.restart()
    assert measurements.frames == 0
    assert math.isnan(measurements.latency(0.5))
    assert measurements.camera_rate == pytest.approx(RATE, rel=0.01)
