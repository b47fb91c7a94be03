# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A recorded run before a manager again: were its decisions these, and what if it had been another?

The first tells a new manager what the recorded one was told, in the same order and at the same
times, and compares decisions. The second cannot: another decision would have made other frames. It
simulates the applications by their profiles, slowed down and loaded as was recorded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
import math
import random
import statistics
from typing import NamedTuple

from dynamic_dnn_ros.management.contract import Decider
from dynamic_dnn_ros.management.decisions import TargetReport
from dynamic_dnn_ros.management.difficulty import Difficulty
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.observations import Application, Load, Status, StatusEvent
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.management.registry import MANAGER, create_decider
from dynamic_dnn_ros.management.tables import application_table
from dynamic_dnn_ros.management.targets import Target, TargetError
from dynamic_dnn_ros.scheduling.registry import DEFAULT_SCHEDULER, scheduler_names
from dynamic_dnn_ros.simulation.loop import Action, Loop, SimulatedApplication
from dynamic_dnn_ros.simulation.recorded_load import other_load
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.scenario import Camera, Delays
from dynamic_dnn_ros.simulation.scene import Scene
from dynamic_dnn_ros.simulation.server import Server
from dynamic_dnn_ros.simulation.table_board import RAIL, TableBoard

WINDOW = 1.0
"""Seconds over which recorded slow-downs are averaged."""


@dataclass(frozen=True)
class Clearing:
    """A target that was withdrawn."""

    application: str
    stamp: int
    sender: str


@dataclass(frozen=True)
class Question:
    """A target that was asked about and not set."""

    target: Target


@dataclass(frozen=True)
class Refusal:
    """A target that could not be read."""

    application: str
    sender: str
    error: TargetError


@dataclass(frozen=True)
class RecordedDecision:
    """
    What a manager said that it decided.

    `options` are sub-network and processor by application, answers to questions last;
    `frequencies` in kilohertz by domain.
    """

    options: tuple[tuple[str, str, str], ...]
    frequencies: tuple[tuple[str, int], ...]


Told = Application | Status | Load | Target | Clearing | Question | Refusal


@dataclass(frozen=True)
class Entry:
    """
    One message: when it came, s, and what it said.

    `arrival` is the same on the clock that stamps of targets are compared with, ns.
    """

    time: float
    arrival: int
    told: Told


@dataclass(frozen=True)
class Round:
    """
    What went into one decision, in the order in which the manager took it, and what it decided.

    `number` counts the decisions of the manager from 1, `time` in seconds on its own clock;
    `decision` None where the recording has only what went into it; `settings` where they changed
    right before it.
    """

    number: int
    time: float
    entries: tuple[Entry, ...]
    decision: RecordedDecision | None
    settings: ManagerSettings | None = None


@dataclass(frozen=True)
class Session:
    """One manager's decisions from its beginning on, or as far back as the recording goes."""

    instance: str
    settings: ManagerSettings
    rounds: tuple[Round, ...]
    decider: str = MANAGER

    @property
    def missing(self) -> int:
        """Return how many decisions the recording lacks before the last one that it has."""
        return self.rounds[-1].number - len(self.rounds) if self.rounds else 0


@dataclass(frozen=True)
class Recording:
    """A recorded run: all messages in the order of time, s from the first one; and sessions."""

    entries: tuple[Entry, ...]
    sessions: tuple[Session, ...] = ()

    @property
    def duration(self) -> float:
        """Return the time from the first to the last message, s."""
        return self.entries[-1].time if self.entries else 0.0


@dataclass(frozen=True)
class Comparison:
    """
    Recorded decisions beside those made again.

    `differences` are the decisions that differ, as (number, recorded, made again).
    """

    decisions: int
    differences: tuple[tuple[int, RecordedDecision, RecordedDecision], ...]


def decide_again(session: Session) -> Comparison:
    """Tell a new manager what the recorded one was told, and compare what it decides."""
    manager = create_decider(session.decider, session.instance, session.settings)
    decisions = 0
    differences = []
    for one in session.rounds:
        answers = []
        for entry in one.entries:
            if isinstance(entry.told, Question):
                answers.append(manager.ask(entry.told.target, entry.time))
            else:
                _tell(manager, entry)
        if one.settings is not None:
            manager.adjust(one.settings)
        decision = manager.decide(one.time)
        made = RecordedDecision(
            tuple(_option(report) for report in (*decision.reports, *answers)),
            tuple((d.name, round(d.maximum / 1e3)) for d in decision.domains),
        )
        if one.decision is not None:
            decisions += 1
            if made != one.decision:
                differences.append((one.number, one.decision, made))
    return Comparison(decisions, tuple(differences))


def _option(report: TargetReport) -> tuple[str, str, str]:
    return report.application, report.decision.sub_network, report.decision.processor


def _tell(manager: Decider, entry: Entry) -> None:
    told = entry.told
    if isinstance(told, Application):
        manager.add_application(told, entry.time)
    elif isinstance(told, Status):
        manager.observe(told, entry.time)
    elif isinstance(told, Load):
        manager.observe_load(told, entry.time)
    elif isinstance(told, (Target, Clearing)):
        try:
            if isinstance(told, Target):
                manager.set_target(told, entry.arrival)
            else:
                manager.clear_target(told.application, told.stamp, entry.arrival, told.sender)
        except TargetError as error:
            manager.refuse_target(told.application, told.sender, error)
    elif isinstance(told, Refusal):
        manager.refuse_target(told.application, told.sender, told.error)


@dataclass
class WhatIf:
    """
    A recorded run and the simulated one, by application.

    `recorded` and `simulated` map an application to its frames as (latency, limit, accuracy);
    latencies in seconds, limits 0 where none was in force. `energy` in joules of the whole board,
    from the profiles; NaN where they have none.
    """

    recorded: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    simulated: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    energy: float = math.nan
    switches: int = 0
    settings: int = 0


def what_if(recording: Recording, manager: Decider) -> WhatIf:
    """
    Simulate a recorded run under a manager.

    Cameras run at their mean recorded rate from their first frame on; each application is slower
    than its profile by what was measured over windows of a second, turns of the others set aside,
    and other load is what the platform reported. Pictures are as hard as their paths told.
    A target that was in force before the recording began is that which the application echoed.

    :raises ValueError: when the recording holds no application with a profile that served
    """
    applications = _profiled(recording)
    start = min((e.time for e in recording.entries if _is_frame(e, applications)), default=None)
    if start is None:
        raise ValueError(
            'the recording has no frame of an application that has a profile. Record the topics '
            'application, inference_status, performance_target and system_load'
        )
    duration = recording.duration - start
    entries = _with_echoes(recording, applications)
    frames = {name: _frames_of(recording, name) for name in applications}
    series = {
        name: _slow_downs(one, _at_once_with(one, applications, frames), start)
        for name, one in applications.items()
    }
    first = {name: own[0].arrival for name, own in frames.items() if own}
    earliest = min(first.values())
    loads = ((e.time - start, e.told) for e in recording.entries if isinstance(e.told, Load))
    foreign = other_load(loads)
    jitter = statistics.fmean(spread for _, _, spread in series.values())
    board = TableBoard(
        applications,
        jitter=jitter,
        slow_down=lambda name, now: _at(series[name][0], series[name][1], now, 1.0),
        foreign=lambda now: {d: _at(*pair, now, 0.0) for d, pair in foreign.items()},
    )
    record = Run(
        scenario='recorded',
        manager=manager.instance,
        governors={},
        domains=board.domains,
        rails=(RAIL,),
        total_rail=RAIL,
        zones=(),
        duration=duration,
        measured_from=0.0,
        seed=0,
    )
    loop = Loop(manager, board, board, Delays(0.0, 0.0), record)
    servers = _servers(applications.values())
    for name, one in applications.items():
        # Whose frames meet is a matter of phase.
        phase = first.get(name, earliest) - earliest
        camera = Camera(_camera_rate(recording, name), phase=phase)
        presented = _as_profiled(one, frames[name])
        scene = _scene(one, frames[name], start)
        server = servers.get(one.server)
        loop.add(SimulatedApplication(presented, camera, scene=scene, server=server), 0.0)
    loop.begin()
    for entry in entries:
        told = entry.told
        if isinstance(told, (Target, Clearing)) and told.application in applications:
            loop.at(max(entry.time - start, 0.0), _telling(loop, entry))
    loop.run(duration)
    found = WhatIf(
        energy=board.energy[0], switches=len(record.switches), settings=len(record.settings)
    )
    limits = _limits(entries)
    for name, one in applications.items():
        found.recorded[name] = [
            (
                frame.status.total,
                _at(*limits[name], frame.time, 0.0),
                one.accuracies.get(frame.status.sub_network, math.nan),
            )
            for frame in frames[name]
            if not frame.status.overrun
        ]
        found.simulated[name] = _simulated(record, name, one, limits[name], start)
    return found


def _telling(loop: Loop, entry: Entry) -> Action:
    def action(now: float) -> None:
        _tell(loop.manager, entry)
        loop.decide(now)

    return action


def _simulated(
    record: Run,
    name: str,
    application: Application,
    limits: tuple[list[float], list[float]],
    start: float,
) -> list[tuple[float, float, float]]:
    return [
        (f.latency, _at(*limits, f.time + start, 0.0), application.accuracies[f.sub_network])
        for f in record.applications[name].frames
    ]


def _profiled(recording: Recording) -> dict[str, Application]:
    """Return the applications that have a profile, as they presented themselves first."""
    found: dict[str, Application] = {}
    for entry in recording.entries:
        told = entry.told
        if isinstance(told, Application) and len(told.operating_points.sub_network):
            found.setdefault(told.id, told)
    return found


def _with_echoes(recording: Recording, applications: dict[str, Application]) -> list[Entry]:
    """Return all messages, and the target that an application echoed when it was heard first."""
    found = []
    for entry in recording.entries:
        found.append(entry)
        told = entry.told
        if isinstance(told, Application) and told is applications.get(told.id):
            if told.target is not None and told.target.application == told.id:
                found.append(Entry(entry.time, told.target.stamp, told.target))
    return found


def _as_profiled(application: Application, frames: Sequence[_RecordedFrame]) -> Application:
    """Return an application that begins with what its profile has: the first that it served."""
    options = application_table(application).options
    if (application.sub_network, application.processor) in options:
        return application
    served = ((frame.status.sub_network, frame.status.processor) for frame in frames)
    sub_network, processor = next((one for one in served if one in options), options[0])
    return replace(application, sub_network=sub_network, processor=processor)


def _scene(application: Application, frames: Sequence[_RecordedFrame], start: float) -> Scene:
    """Return pictures as hard as a manager would have learnt that they were."""
    paths = {name: Paths(stages) for name, stages in application.stages.items()}
    learnt = Difficulty()
    times, values = [0.0], [1.0]
    for frame in frames:
        of_frame = paths.get(frame.status.sub_network)
        between = of_frame.between(frame.status.exit_stage) if of_frame is not None else None
        if between is not None:
            learnt.observe(*between)
            times.append(frame.arrival - start)
            values.append(learnt.estimate)
    draw = random.Random(f'pictures of {application.id}')
    return Scene(paths, lambda now: _at(times, values, now, 1.0), draw)


def _is_frame(entry: Entry, applications: Container[str]) -> bool:
    told = entry.told
    return (
        isinstance(told, Status)
        and told.event is StatusEvent.SERVED
        and told.application in applications
        and math.isfinite(told.total)
        and 0 < told.service < math.inf
    )


class _RecordedFrame(NamedTuple):
    """A served frame that was recorded; when its result came, s, and the clocks then, Hz."""

    time: float
    status: Status
    granted: dict[str, float]

    @property
    def arrival(self) -> float:
        """Return when it arrived, s."""
        return self.time - self.status.total

    @property
    def begin(self) -> float:
        """Return when work on it began, s."""
        return self.time - self.status.service


def _frames_of(recording: Recording, name: str) -> list[_RecordedFrame]:
    """Return the frames of an application, in the order of their results."""
    granted: dict[str, float] = {}
    found = []
    for entry in recording.entries:
        told = entry.told
        if isinstance(told, Load):
            granted = {d.name: d.granted for d in told.domains}
        elif isinstance(told, Status) and _is_frame(entry, {name}):
            found.append(_RecordedFrame(entry.time, told, granted))
    return found


def _met(frame: _RecordedFrame, others: Sequence[_RecordedFrame], ends: Sequence[float]) -> bool:
    """
    Tell whether another application was at work on the same processor when a frame began.

    :param ends: when the results of that application's frames came
    """
    place = bisect_right(ends, frame.begin)
    if place == len(others) or others[place].begin >= frame.begin:
        return False
    return others[place].status.processor == frame.status.processor


def _servers(applications: Iterable[Application]) -> dict[str, Server]:
    """Return the servers whose applications take turns, by their names."""
    known = scheduler_names()
    return {
        one.server: Server(
            one.server, one.scheduler if one.scheduler in known else DEFAULT_SCHEDULER
        )
        for one in applications
        if one.server
    }


def _at_once_with(
    application: Application,
    applications: Mapping[str, Application],
    frames: Mapping[str, Sequence[_RecordedFrame]],
) -> dict[str, Sequence[_RecordedFrame]]:
    """Return the frames of an application, and of those that share its processor at once."""
    return {
        name: own
        for name, own in frames.items()
        if name == application.id
        or not application.server
        or applications[name].server != application.server
    }


def _slow_downs(
    application: Application, frames: Mapping[str, Sequence[_RecordedFrame]], start: float
) -> tuple[list[float], list[float], float]:
    """
    Return begins of windows, the median slow-down in each, and the spread of single frames.

    A frame that begins while others are at work on its processor lasts longer, as `TableBoard` has
    it; that is no slow-down of its own.
    """
    table = application_table(application)
    others = [own for name, own in frames.items() if name != application.id]
    ends = [[frame.time for frame in own] for own in others]
    windows: dict[int, list[float]] = {}
    for frame in frames[application.id]:
        option = table.option(frame.status.sub_network, frame.status.processor)
        if option is None or frame.status.overrun:
            continue
        met = sum(_met(frame, own, end) for own, end in zip(others, ends))
        expected = float(table.mean[option, table.nearest_row(frame.granted)]) * (1 + met)
        if expected > 0:
            ratio = frame.status.service_of_largest_path / expected
            windows.setdefault(int((frame.time - start) / WINDOW), []).append(ratio)
    times = [index * WINDOW for index in sorted(windows)]
    middles = [statistics.median(windows[index]) for index in sorted(windows)]
    spreads = [
        statistics.pstdev(values) / statistics.fmean(values)
        for values in windows.values()
        if len(values) > 3
    ]
    return times, middles, min(statistics.median(spreads), 0.5) if spreads else 0.0


def _limits(entries: Sequence[Entry]) -> dict[str, tuple[list[float], list[float]]]:
    """Return, for each application, times and the latency asked for from then on, s."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for entry in entries:
        told = entry.told
        if isinstance(told, (Target, Clearing)):
            times, values = found.setdefault(told.application, ([], []))
            times.append(entry.time)
            values.append(told.latency if isinstance(told, Target) else 0.0)
        elif isinstance(told, Application):
            found.setdefault(told.id, ([], []))
    return found


def _camera_rate(recording: Recording, name: str) -> float:
    """Return the mean rate at which frames came, Hz; 30 where that is not known."""
    counts = [
        (entry.time, entry.told.received)
        for entry in recording.entries
        if isinstance(entry.told, Status) and entry.told.application == name
    ]
    counts = [pair for pair in counts if pair[1] > 0]
    if len(counts) < 2 or counts[-1][1] <= counts[0][1] or counts[-1][0] <= counts[0][0]:
        return 30.0
    return (counts[-1][1] - counts[0][1]) / (counts[-1][0] - counts[0][0])


def _at(times: Sequence[float], values: Sequence[float], now: float, before: float) -> float:
    """Return the value that holds at a time."""
    place = bisect_right(times, now)
    if place:
        return values[place - 1]
    return values[0] if values and before == 1.0 else before
