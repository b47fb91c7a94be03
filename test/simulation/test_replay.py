# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded runs before a manager again; here what is recorded is a simulated run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import math
import random
import statistics

import pytest

from dynamic_dnn_ros.management.baselines.static import Static
from dynamic_dnn_ros.management.decisions import Decision
from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.observations import Application, Load, Status
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.simulation.loop import SimulatedApplication
from dynamic_dnn_ros.simulation.replay import (
    Entry,
    Question,
    RecordedDecision,
    Recording,
    Round,
    Session,
    Told,
    decide_again,
    what_if,
)
from dynamic_dnn_ros.simulation.scenario import Camera
from dynamic_dnn_ros.simulation.scene import Scene
from dynamic_dnn_ros.simulation.server import Server
from dynamic_dnn_ros.simulation.table_board import TableBoard
from support.applications import GPU, STAGES, application, operating_points
from support.table_loop import TableLoop, target_event, with_camera

FRONT, REAR = '/front/inference_node', '/rear/inference_node'
TARGET = Target(FRONT, latency=0.03, accuracy=0.85)


class Recorded(Manager):
    """A manager that takes down what it is told and what it decides."""

    def __init__(self) -> None:
        super().__init__('recorded')
        self.entries: list[Entry] = []
        self.rounds: list[Round] = []
        self._taken: list[Entry] = []

    def _note(self, told: Told, now: float, arrival: int = 0) -> None:
        entry = Entry(now, arrival or round(now * 1e9), told)
        self.entries.append(entry)
        self._taken.append(entry)

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
        taken, self._taken = self._taken, []
        told = RecordedDecision(
            tuple(
                (r.application, r.decision.sub_network, r.decision.processor)
                for r in decision.reports
            ),
            tuple((d.name, round(d.maximum / 1e3)) for d in decision.domains),
        )
        self.rounds.append(Round(len(self.rounds) + 1, now, tuple(taken), told))
        return decision


@pytest.fixture(scope='module')
def recording() -> Recording:
    """Return 12 s of one application, which becomes slower after 6 s."""
    one = application(FRONT)
    manager = Recorded()
    board = TableBoard(
        {FRONT: one}, jitter=0.05, slow_down=lambda _, now: 1.4 if now > 6 else 1.0, seed=2
    )
    loop = TableLoop(manager, board, [with_camera(one, 20.0)], [target_event(1.0, TARGET)])
    loop.run(12.0)
    session = Session('recorded', manager.settings, tuple(manager.rounds))
    return Recording(tuple(manager.entries), (session,))


@pytest.fixture(scope='module')
def session(recording: Recording) -> Session:
    return recording.sessions[0]


def test_the_same_manager_decides_the_same(session: Session) -> None:
    found = decide_again(session)
    assert found.decisions == len(session.rounds) > 20
    assert found.differences == ()
    assert session.missing == 0
    assert len({one.decision for one in session.rounds}) > 2, 'the run is to hold decisions'


def told_otherwise(session: Session, told: Callable[[Target], Told | None]) -> Session:
    """Return a session in which the target reads otherwise, or is not there."""

    def changed(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        read = [
            (entry, told(entry.told) if isinstance(entry.told, Target) else entry.told)
            for entry in entries
        ]
        return tuple(replace(entry, told=now) for entry, now in read if now is not None)

    return replace(
        session,
        rounds=tuple(replace(one, entries=changed(one.entries)) for one in session.rounds),
    )


def test_a_run_that_was_told_otherwise_is_found_out(session: Session) -> None:
    found = decide_again(told_otherwise(session, lambda told: replace(told, accuracy=0.91)))
    number, recorded, made = found.differences[0]
    assert session.rounds[number - 1].time >= 1.0
    assert recorded.options != made.options


def test_a_question_is_answered_again_and_sets_nothing(session: Session) -> None:
    found = decide_again(told_otherwise(session, Question))
    without = decide_again(told_otherwise(session, lambda told: None))
    number, recorded, made = found.differences[0]
    assert len(made.options) == len(recorded.options) + 1, 'the answer'
    later = [one for one in found.differences if one[0] > number]
    assert later == [one for one in without.differences if one[0] > number]


def test_settings_of_the_recorded_manager_are_those_of_the_new_one(session: Session) -> None:
    advising = replace(session, settings=replace(session.settings, floors={'gpu': 1e9}))
    assert decide_again(advising).differences


def test_decisions_that_were_not_recorded_are_counted(session: Session) -> None:
    late = replace(session, rounds=session.rounds[5:])
    assert late.missing == 5
    holed = replace(session, rounds=(*session.rounds[:3], *session.rounds[4:]))
    assert holed.missing == 1
    silent = replace(
        session, rounds=(replace(session.rounds[0], decision=None), *session.rounds[1:])
    )
    found = decide_again(silent)
    assert found.decisions == len(session.rounds) - 1
    assert found.differences == ()


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


@pytest.mark.parametrize('offset', [0.004, 0.05])
def test_two_that_share_a_processor_hold_each_other_up_once(offset: float) -> None:
    # One sub-network alone is accurate enough, and no clock can be set.
    points = operating_points(())
    both = [application(name, operating_points=points) for name in (FRONT, REAR)]
    manager = Recorded()
    loop = TableLoop(
        manager,
        TableBoard({one.id: one for one in both}, jitter=0.02, slow_down=lambda _, __: 1.2),
        [with_camera(one, 10.0, index * offset) for index, one in enumerate(both)],
        [target_event(1.0, Target(name, accuracy=0.92)) for name in (FRONT, REAR)],
    )
    loop.run(8.0)
    found = what_if(Recording(tuple(manager.entries)), Manager('simulated'))
    for name in (FRONT, REAR):
        recorded, simulated = (
            statistics.median(latency for latency, _, _ in frames[name])
            for frames in (found.recorded, found.simulated)
        )
        assert simulated == pytest.approx(recorded, rel=0.05)


def test_two_that_took_turns_take_turns_again() -> None:
    points = operating_points(())
    both = [
        replace(application(name, operating_points=points), server='one', scheduler='first_come')
        for name in (FRONT, REAR)
    ]
    manager, server = Recorded(), Server('one', 'first_come')
    cameras = [with_camera(one, 10.0, index * 0.004) for index, one in enumerate(both)]
    for camera in cameras:
        camera.server = server
    loop = TableLoop(
        manager,
        TableBoard({one.id: one for one in both}, jitter=0.02, slow_down=lambda _, __: 1.2),
        cameras,
        [target_event(1.0, Target(name, accuracy=0.92)) for name in (FRONT, REAR)],
    )
    loop.run(8.0)
    found = what_if(Recording(tuple(manager.entries)), Manager('simulated'))
    for name, waits in ((FRONT, False), (REAR, True)):
        # The rate of a camera is not known to the last digit: later on other frames meet.
        recorded, simulated = (
            statistics.median(latency for latency, _, _ in frames[name][:5])
            for frames in (found.recorded, found.simulated)
        )
        assert simulated == pytest.approx(recorded, rel=0.05)
        service = statistics.median(
            frame.inference for frame in loop.record.applications[name].frames
        )
        assert (recorded > 1.3 * service) == waits


def test_a_target_from_before_the_recording_is_the_one_that_was_echoed(
    recording: Recording,
) -> None:
    entries = []
    for entry in recording.entries:
        told = entry.told
        if isinstance(told, Application) and told.target is None:
            entry = replace(entry, told=replace(told, target=replace(TARGET, stamp=1)))
        if not isinstance(told, Target):
            entries.append(entry)
    found = what_if(Recording(tuple(entries)), Manager('simulated'))
    assert {limit for _, limit, _ in found.recorded[FRONT]} == {TARGET.latency}
    assert {limit for _, limit, _ in found.simulated[FRONT]} == {TARGET.latency}
    late = [latency > limit for latency, limit, _ in found.simulated[FRONT]]
    assert sum(late) < 0.2 * len(late)
    assert min(accuracy for _, _, accuracy in found.simulated[FRONT]) < 0.92


def test_one_that_began_with_what_its_profile_lacks_begins_with_what_it_served(
    recording: Recording,
) -> None:
    entries = tuple(
        replace(entry, told=replace(entry.told, processor='cpu'))
        if isinstance(entry.told, Application) and entry.time == 0
        else entry
        for entry in recording.entries
    )
    found = what_if(Recording(entries), Static(-1))
    assert len(found.simulated[FRONT]) > 100


def test_paths_are_decided_on_again_and_pictures_are_as_hard_as_they_were() -> None:
    one = application(FRONT, stages=dict.fromkeys(('s2', 's3'), STAGES))
    paths = {name: Paths(stages) for name, stages in one.stages.items()}
    scene = Scene(paths, lambda now: 0.1 if now < 8.0 else 5.0, random.Random(3))
    manager = Recorded()
    camera = SimulatedApplication(one, Camera(30.0), scene=scene)
    target = Target(FRONT, latency=0.03, accuracy=0.89)
    loop = TableLoop(manager, TableBoard({FRONT: one}), [camera], [target_event(0.5, target)])
    loop.run(14.0)
    session = Session('recorded', manager.settings, tuple(manager.rounds))
    assert decide_again(session).differences == ()
    unaware = [
        replace(r, entries=tuple(_without_paths(entry) for entry in r.entries))
        for r in session.rounds
    ]
    assert decide_again(replace(session, rounds=tuple(unaware))).differences
    found = what_if(Recording(tuple(manager.entries)), Static(-1))
    latencies = [latency for latency, _, _ in found.simulated[FRONT]]
    early, late = latencies[60:220], latencies[260:]
    assert sum(latency > 0.015 for latency in early) < 0.2 * len(early)
    assert sum(latency > 0.015 for latency in late) > 0.25 * len(late)


def _without_paths(entry: Entry) -> Entry:
    told = entry.told
    if isinstance(told, Application):
        return replace(entry, told=replace(told, stages={}))
    if isinstance(told, Status):
        return replace(entry, told=replace(told, work=1.0, exit_stage=''))
    return entry


def test_what_others_took_before_a_clock_rose_is_no_more_for_that(recording: Recording) -> None:
    """The first load after a setting tells of the time before it, and of the new clock."""
    cycles = 0.2 * GPU[0]
    clock, entries = GPU[0], []
    for entry in recording.entries:
        gpu = entry.told.domain('gpu') if isinstance(entry.told, Load) else None
        if isinstance(entry.told, Load) and gpu is not None:
            before, clock = clock, GPU[-1] if entry.time > 9.0 else GPU[0]
            gpu = replace(gpu, granted=clock, utilisation_foreign=cycles / before)
            domains = tuple(gpu if d.name == 'gpu' else d for d in entry.told.domains)
            entry = replace(entry, told=replace(entry.told, domains=domains))
        entries.append(entry)
    shown = Recorded()
    what_if(Recording(tuple(entries)), shown)
    loads = [entry.told.domain('gpu') for entry in shown.entries if isinstance(entry.told, Load)]
    taken = [gpu.utilisation_foreign * gpu.granted / cycles for gpu in loads if gpu is not None]
    assert statistics.median(taken) == pytest.approx(1.0)
    assert max(taken) < 1.05


def test_a_recording_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match='has no frame'):
        what_if(Recording(()), Manager('simulated'))
