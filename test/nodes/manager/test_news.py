# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the log says of targets: once each, and in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynamic_dnn_ros.management.decisions import Prediction, TargetReport, TargetState
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.nodes.manager.news import (
    MISSED_FOR,
    REPEATED_AFTER,
    UNMANAGED_FOR,
    TargetNews,
    UnmanagedNews,
)

FRONT = '/front/inference_node'
TARGET = Target(FRONT, latency=0.025, accuracy=0.85, sender='docking')
S3 = Prediction('s3', 'gpu', (('gpu', 510e6),))


class Told:
    """A log: what is told, and of a list of reports what each decision adds to it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.news = TargetNews(
            lambda text: self.lines.append(f'INFO {text}'),
            lambda text: self.lines.append(f'WARN {text}'),
        )

    def decided(self, report: TargetReport, now: float, advises: bool = False) -> list[str]:
        before = len(self.lines)
        there = () if report.state is TargetState.WAITING else (report.application,)
        self.news.decided([report], there, {FRONT: 's9 on cpu'} if advises else None, now)
        return self.lines[before:]


def report(state: TargetState, latency: float = 0.02, **fields: object) -> TargetReport:
    values: dict[str, object] = {
        'target': TARGET,
        'names': ('latency', 'accuracy'),
        'required': (0.025, 0.85),
        'predicted': (0.02, 0.9),
        'measured': (latency, 0.9),
        'missed_by': (max(0.0, latency - 0.025), 0.0),
        'decision': S3,
        'metric': 'top1',
    }
    return TargetReport(FRONT, state, **{**values, **fields})  # type: ignore[arg-type]


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_target_and_whom_it_replaces_is_told_once(told: Told) -> None:
    told.news.accepted(TARGET, None, 'top1', 0.0)
    told.news.accepted(TARGET, TARGET, 'top1', 1.0)
    other = replace(TARGET, sender='cleaning', latency=0.05)
    told.news.accepted(other, TARGET, 'top1', 2.0)
    told.news.cleared(FRONT, other, 'docking', 3.0)
    told.news.cleared(FRONT, None, 'docking', 4.0)
    assert told.lines == [
        f'INFO {FRONT}: target of docking: latency ≤ 25 ms for 0.95 of frames, '
        'accuracy (top-1) ≥ 85.0%',
        f'INFO {FRONT}: target of cleaning: latency ≤ 50 ms for 0.95 of frames, '
        'accuracy (top-1) ≥ 85.0%. It replaces the target of docking',
        f'INFO {FRONT}: target of cleaning cleared by docking',
    ]


def test_two_senders_that_take_turns_do_not_flood_the_log(told: Told) -> None:
    other = replace(TARGET, sender='cleaning', latency=0.05)
    for turn in range(100):
        one, before = (TARGET, other) if turn % 2 else (other, TARGET)
        told.news.accepted(one, before, 'top1', 0.05 * turn)
    assert len(told.lines) == 2
    told.news.accepted(TARGET, other, 'top1', 0.05 + REPEATED_AFTER)
    assert len(told.lines) == 3


def test_met_is_told_once(told: Told) -> None:
    assert told.decided(report(TargetState.PENDING), 0.0) == []
    (line,) = told.decided(report(TargetState.MET), 0.5)
    assert line == (
        f'INFO {FRONT}: met by s3 on gpu, gpu 510 MHz: latency 20 ms (≤ 25 ms), '
        'accuracy (top-1) 90.0% (≥ 85.0%)'
    )
    assert [told.decided(report(TargetState.MET, 0.001 * n), n) for n in range(1, 20)] == [[]] * 19


def test_a_target_that_is_missed_for_a_while_is_one_warning_and_news_when_it_is_met(
    told: Told,
) -> None:
    told.decided(report(TargetState.MET), 0.0)
    slow = report(TargetState.MISSED, 0.031, slow_down=1.5)
    # A few late frames are no news.
    for now in (1.0, 2.0, 3.0):
        assert told.decided(slow, now) == []
        assert told.decided(report(TargetState.MET), now + 0.5) == []
    assert told.decided(slow, 10.0) == []
    (line,) = told.decided(slow, 10.0 + MISSED_FOR)
    assert line == (
        f'WARN {FRONT}: missed for 5 s: latency is 31 ms, 6 ms above the limit. Served is s3 on '
        'gpu, gpu 510 MHz, which takes 1.50 times what its profile says'
    )
    for now in range(16, 100):
        assert told.decided(slow, now) == []
    assert told.decided(report(TargetState.MET), 100.0) == []
    (line,) = told.decided(report(TargetState.MET), 101.0)
    assert line.startswith(f'INFO {FRONT}: met after 90 s by s3 on gpu')


def test_what_cannot_be_met_is_told_at_once_and_then_a_warning(told: Told) -> None:
    hopeless = report(
        TargetState.INFEASIBLE,
        predicted=(0.02, 0.7),
        missed_by=(0.0, 0.15),
        message='No operating point meets accuracy (top-1) 0.85.',
    )
    (line,) = told.decided(hopeless, 0.0)
    assert line == (
        f'INFO {FRONT}: missed: accuracy (top-1) is 70.0%, 15.0% below the limit. Served is s3 '
        'on gpu, gpu 510 MHz. No operating point meets accuracy (top-1) 0.85.'
    )
    assert told.decided(hopeless, 4.0) == []
    (line,) = told.decided(hopeless, 6.0)
    assert line.startswith(f'WARN {FRONT}: missed for 6 s: accuracy')
    # Another target is another story.
    other = replace(hopeless, target=replace(TARGET, accuracy=0.9))
    assert len(told.decided(other, 20.0)) == 1
    assert told.decided(replace(other, target=None, state=TargetState.NO_TARGET), 21.0) == []


def test_a_target_for_nobody_leaves_one_warning(told: Told) -> None:
    waiting = report(TargetState.WAITING)
    (line,) = told.decided(waiting, 0.0)
    assert line == (
        f'WARN {FRONT} is not there: the target of docking is kept until it appears. No '
        'application is there: start an inference_node.'
    )
    for now in range(1, 100):
        assert told.decided(waiting, now) == []
    assert len(told.decided(report(TargetState.MET), 100.0)) == 1
    assert 'Those that are there: /a, /b.' in _warned_of(told, waiting, ('/b', '/a'))


def _warned_of(told: Told, waiting: TargetReport, there: tuple[str, ...]) -> str:
    told.news.decided([waiting], there, None, 200.0)
    return told.lines[-1]


def test_what_serves_beside_advice_is_named(told: Told) -> None:
    """A target is missed, or met, by what serves, which is not what is advised."""
    (missed, advised) = told.decided(report(TargetState.MISSED, 0.031, reason='r'), 0.0, True)
    assert 'Served is s9 on cpu' in missed and 's3' not in missed
    assert 'would serve s3' in advised
    told.decided(report(TargetState.MET, reason='r'), 8.0, True)
    (met,) = told.decided(report(TargetState.MET, reason='r'), 10.0, True)
    assert 'by s9 on cpu' in met


def test_advice_is_told_when_it_changes(told: Told) -> None:
    idle = report(TargetState.NO_TARGET, target=None, reason='the first decision')
    (line,) = told.decided(idle, 0.0, advises=True)
    assert line == (f'INFO {FRONT}: would serve s3 on gpu, gpu 510 MHz (the first decision)')
    assert told.decided(idle, 1.0, advises=True) == []
    assert told.decided(replace(idle, reason='', decision=Prediction('s9')), 1.5, True) == []
    other = replace(idle, decision=Prediction('s1', 'gpu', (('gpu', 510e6),)))
    assert 'would serve s1' in told.decided(other, 2.0, advises=True)[0]
    assert told.decided(idle, 20.0, advises=False) == []
    assert 'would serve s3' in told.decided(idle, 21.0, advises=True)[0]


def test_an_application_that_nobody_manages_is_a_warning_once(told: Told) -> None:
    news = UnmanagedNews(told.lines.append, lambda text: told.lines.append(f'WARN {text}'))
    for now in (0.0, 5.0):
        news.decided({FRONT: 'it refuses'}, now)
    assert told.lines == [], 'it may only just have come'
    for now in (UNMANAGED_FOR, 2 * UNMANAGED_FOR):
        news.decided({FRONT: 'it refuses'}, now)
    assert told.lines == [f'WARN {FRONT} is not managed: it refuses']
    news.decided({}, 30.0)
    news.decided({FRONT: 'it refuses'}, 31.0)
    assert len(told.lines) == 2
