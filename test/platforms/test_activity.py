# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Utilisation from busy times."""

import pytest

from dynamic_dnn_ros.platforms.activity import SILENCE, ActivityTracker


def feed(tracker: ActivityTracker, start: float, frames: int, busy: float, period: float) -> float:
    for frame in range(frames):
        now = start + frame * period
        tracker.observe(now, '/a', 'one', 'gpu', {'gpu': (frame + 1) * busy})
    return start + (frames - 1) * period


def test_rate_of_a_steady_camera() -> None:
    tracker = ActivityTracker()
    now = feed(tracker, 10.0, 60, busy=0.02, period=1 / 30)
    assert tracker.total(now, 'gpu') == pytest.approx(0.6, rel=1e-6)
    assert tracker.total(now, 'cpu') == 0.0


def test_first_report_gives_no_rate() -> None:
    """A node that ran for hours before the platform node must not count as a burst."""
    tracker = ActivityTracker()
    tracker.observe(5.0, '/a', 'one', 'gpu', {'gpu': 9999.0})
    assert tracker.total(5.0, 'gpu') == 0.0


def test_restarted_application_begins_afresh() -> None:
    tracker = ActivityTracker()
    now = feed(tracker, 0.0, 30, busy=0.02, period=0.04)
    tracker.observe(now + 0.1, '/a', 'two', 'gpu', {'gpu': 0.01})
    assert tracker.total(now + 0.1, 'gpu') == 0.0
    tracker.observe(now + 1.1, '/a', 'two', 'gpu', {'gpu': 0.51})
    assert tracker.total(now + 1.1, 'gpu') == pytest.approx(0.5)


def test_counter_that_falls_begins_afresh() -> None:
    tracker = ActivityTracker()
    now = feed(tracker, 0.0, 30, busy=0.02, period=0.04)
    tracker.observe(now + 1.0, '/a', 'one', 'gpu', {'gpu': 0.0})
    assert tracker.total(now + 1.0, 'gpu') == 0.0


def test_silent_application_is_forgotten() -> None:
    tracker = ActivityTracker()
    now = feed(tracker, 0.0, 30, busy=0.02, period=0.04)
    assert len(list(tracker.applications(now + SILENCE))) == 1
    assert tracker.total(now + SILENCE + 0.01, 'gpu') == 0.0
    assert list(tracker.applications(now + SILENCE + 0.01)) == []


def test_applications_add_up() -> None:
    tracker = ActivityTracker()
    for step in range(20):
        for name, busy in (('/a', 0.01), ('/b', 0.03)):
            tracker.observe(step * 0.1, name, name, 'gpu', {'gpu': step * busy})
    assert tracker.total(1.9, 'gpu') == pytest.approx(0.4)
