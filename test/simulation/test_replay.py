# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded runs before a manager again; here what is recorded is a simulated run."""

from __future__ import annotations

from dataclasses import replace
import math

import pytest

from dynamic_dnn_ros.management.decisions import Decision
from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.observations import Application, Load, Status
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.simulation.closed_loop import (
    ClosedLoop,
    SimulatedApplication,
    TableBoard,
    target_event,
)
from dynamic_dnn_ros.simulation.managers.static import Static
from dynamic_dnn_ros.simulation.replay import (
    Entry,
    RecordedDecision,
    Recording,
    decide_again,
    what_if,
)
from support.applications import application

FRONT = '/front/inference_node'
TARGET = Target(FRONT, latency=0.03, accuracy=0.85)


class Recorded(Manager):
    """A manager that takes down what it is told and what it decides."""

    def __init__(self) -> None:
        super().__init__('recorded')
        self.entries: list[Entry] = []

    def _note(self, told: object, now: float, arrival: int = 0) -> None:
        self.entries.append(Entry(now, arrival or round(now * 1e9), told))  # type: ignore[arg-type]

    def add_application(self, application: Application, now: float) -> bool:
        self._note(application, now)
        return super().add_application(application, now)

    def observe(self, status: Status, now: float) -> bool:
        self._note(status, now)
        return super().observe(status, now)

    def observe_load(self, load: Load, now: float) -> bool:
        self._note(load, now)
        return super().observe_load(load, now)

    def set_target(self, target: Target, arrival: int) -> Target:
        self._note(target, arrival * 1e-9, arrival)
        return super().set_target(target, arrival)

    def decide(self, now: float) -> Decision:
        decision = super().decide(now)
        told = RecordedDecision.of(decision, self.instance)
        self._note(told, now)
        return decision


@pytest.fixture(scope='module')
def recording() -> Recording:
    """Return 12 s of one application, which becomes slower after 6 s."""
    one = application(FRONT)
    manager = Recorded()
    board = TableBoard(
        {FRONT: one}, jitter=0.05, slow_down=lambda _, now: 1.4 if now > 6 else 1.0, seed=2
    )
    loop = ClosedLoop(
        manager, board, [SimulatedApplication(one, 20.0)], [target_event(1.0, TARGET)]
    )
    loop.run(12.0)
    return Recording(tuple(manager.entries))


def test_the_same_manager_decides_the_same(recording: Recording) -> None:
    found = decide_again(recording, Manager('recorded'))
    assert found.decisions > 20
    assert found.differences == ()
    decisions = {e.told for e in recording.entries if isinstance(e.told, RecordedDecision)}
    assert len(decisions) > 2, 'the run is to hold different decisions'


def test_a_run_that_was_told_otherwise_is_found_out(recording: Recording) -> None:
    entries = [
        replace(entry, told=replace(TARGET, accuracy=0.91, stamp=entry.told.stamp))
        if isinstance(entry.told, Target)
        else entry
        for entry in recording.entries
    ]
    found = decide_again(Recording(tuple(entries)), Manager('recorded'))
    assert found.differences
    time, recorded, made = found.differences[0]
    assert time >= 1.0
    assert recorded.options != made.options


def test_decisions_of_other_managers_are_left_out(recording: Recording) -> None:
    assert decide_again(recording, Manager('another')).decisions == 0
    assert recording.managers() == ['recorded']


def test_what_if_repeats_the_run_with_another_manager(recording: Recording) -> None:
    same = what_if(recording, Manager('simulated'))
    largest = what_if(recording, Static(-1))
    accuracy = {
        name: [a for _, _, a in found.simulated[FRONT]]
        for name, found in (('same', same), ('largest', largest))
    }
    recorded = same.recorded[FRONT]
    assert len(same.simulated[FRONT]) == pytest.approx(len(recorded), rel=0.05)
    assert set(accuracy['largest']) == {0.92}
    assert min(accuracy['same']) < 0.92
    assert math.isfinite(same.energy)
    late = [latency > limit for latency, limit, _ in same.simulated[FRONT] if limit]
    was_late = [latency > limit for latency, limit, _ in recorded if limit]
    assert sum(late) == pytest.approx(sum(was_late), abs=0.1 * len(late))


def test_a_recording_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match='has no frame'):
        what_if(Recording(()), Manager('simulated'))
