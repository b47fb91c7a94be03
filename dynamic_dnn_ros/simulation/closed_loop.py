# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Applications x manager x board in simulated time. Every figure of it is simulated.

The manager is the very object that the node runs. Applications serve a camera by a newest-frame
mailbox, as the inference node does; a board says how long each frame takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
import heapq
import math
from typing import Protocol

import numpy as np

from dynamic_dnn_ros.management.contract import Decider
from dynamic_dnn_ros.management.decisions import Decision, DomainFrequency, Switch
from dynamic_dnn_ros.management.observations import (
    SWITCH_APPLIED,
    Application,
    DomainLoad,
    Load,
    Status,
    StatusEvent,
)
from dynamic_dnn_ros.management.tables import application_table
from dynamic_dnn_ros.management.targets import Target

DECISION_PERIOD = 0.5
LOAD_PERIOD = 0.1
HEARTBEAT_PERIOD = 1.0


class Board(Protocol):
    """What the loop asks of a board; times in seconds of simulated time."""

    def apply(self, setting: Sequence[DomainFrequency] | None, manager: str, now: float) -> None:
        """Take a setting for as long as it is renewed, or none to leave the clocks alone."""

    def load(self, now: float) -> Load:
        """Return a sample of the load."""

    def service(
        self, application: str, sub_network: str, processor: str, others: int, now: float
    ) -> float:
        """
        Return how long a frame that begins now takes, preprocessing + inference, s.

        :param others: applications that are busy on the same processor
        """

    def power(self, busy: Sequence[tuple[str, str, str]], now: float) -> float:
        """Return what the board takes while these (application, sub-network, processor) run, W."""


class TableBoard:
    """
    A board that behaves as the profiles of its applications say, but for bias and jitter.

    :param applications: those that it runs, by id
    :param jitter: standard deviation of single frames, as a share of their latency
    :param slow_down: factor for an application at a time; 1 throughout by default
    :param foreign: cycles a second, Hz by domain, that other load takes at a time
    :param seed: of the jitter
    """

    def __init__(
        self,
        applications: dict[str, Application],
        jitter: float = 0.0,
        slow_down: Callable[[str, float], float] | None = None,
        foreign: Callable[[float], dict[str, float]] | None = None,
        seed: int = 0,
    ) -> None:
        """Begin at the highest frequencies."""
        self._tables = {name: application_table(a) for name, a in applications.items()}
        self._jitter = jitter
        self._slow_down = slow_down or (lambda _, __: 1.0)
        self._foreign = foreign or (lambda _: {})
        self._random = np.random.default_rng(seed)
        available: dict[str, set[float]] = {}
        for table in self._tables.values():
            for column, name in enumerate(table.domains):
                available.setdefault(name, set()).update((table.rows[:, column] * 1e3).tolist())
        self._available = {name: tuple(sorted(values)) for name, values in available.items()}
        self.limits = {name: values[-1] for name, values in self._available.items()}
        self._requested: dict[str, float] = {}
        self._manager = ''

    def apply(self, setting: Sequence[DomainFrequency] | None, manager: str, now: float) -> None:
        """Run at the frequencies of a setting, at the highest without one."""
        self._manager = manager if setting is not None else ''
        self._requested = {d.name: d.maximum for d in setting} if setting is not None else {}

    def frequencies(self) -> dict[str, float]:
        """Return the frequencies that are granted, Hz by domain."""
        return {
            name: min(self._requested.get(name, math.inf), limit)
            for name, limit in self.limits.items()
        }

    def load(self, now: float) -> Load:
        """Return what a platform node would publish."""
        granted, foreign = self.frequencies(), self._foreign(now)
        return Load(
            platform='table_simulated',
            boot_id='simulated',
            period=LOAD_PERIOD,
            domains=tuple(
                DomainLoad(
                    name,
                    values,
                    values[0],
                    self.limits[name],
                    granted[name],
                    utilisation_own=0.0,
                    utilisation_foreign=min(foreign.get(name, 0.0) / granted[name], 1.0),
                    requested_minimum=self._requested.get(name, 0.0),
                    requested_maximum=self._requested.get(name, 0.0),
                )
                for name, values in self._available.items()
            ),
            lease_manager=self._manager,
            lease_remaining=1.0 if self._manager else 0.0,
            setting_manager=self._manager,
            monotonic_time=now,
        )

    def service(
        self, application: str, sub_network: str, processor: str, others: int, now: float
    ) -> float:
        """Return the profiled mean, times slow-down, jitter and time sharing."""
        table = self._tables[application]
        option = table.options.index((sub_network, processor))
        mean = float(table.mean[table.nearest_row(self.frequencies()), option])
        spread = max(1 + self._jitter * float(self._random.standard_normal()), 0.3)
        return mean * self._slow_down(application, now) * spread * (1 + others)

    def power(self, busy: Sequence[tuple[str, str, str]], now: float) -> float:
        """Return idle power, and the dynamic power of what runs."""
        total, idle = 0.0, 0.0
        for name, table in self._tables.items():
            row = table.nearest_row(self.frequencies())
            idle = max(idle, float(np.fmax.reduce(table.idle_power[row])))
            for application, sub_network, processor in busy:
                if application == name:
                    option = table.options.index((sub_network, processor))
                    total += float(table.power[row, option] - table.idle_power[row, option])
        return idle + total


@dataclass
class SimulatedApplication:
    """One application of the loop: a camera, a mailbox of one frame, and one worker."""

    application: Application
    camera_rate: float
    offset: float = 0.0
    serving: tuple[str, str] = ('', '')
    mailbox: float | None = None
    working: tuple[float, float, float, tuple[str, str]] | None = None
    received: int = 0
    served: int = 0
    replaced: int = 0
    busy: dict[str, float] = field(default_factory=dict)
    target: Target | None = None
    switched_by: tuple[str, int] = ('', 0)

    @property
    def id(self) -> str:
        """Return the application's id."""
        return self.application.id

    def presentation(self) -> Application:
        """Return what the application says of itself now."""
        return replace(
            self.application,
            sub_network=self.serving[0],
            processor=self.serving[1],
            target=self.target,
            switch_manager=self.switched_by[0],
            switch_sequence=self.switched_by[1],
        )


@dataclass(frozen=True)
class Frame:
    """One served frame: when its result came, its latency in seconds, and what computed it."""

    time: float
    application: str
    latency: float
    sub_network: str
    processor: str
    frequencies: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Event:
    """Something that happens to the loop at a time, e.g. a target that arrives."""

    time: float
    action: Callable[[ClosedLoop, float], bool]


@dataclass
class Record:
    """What a run has come to; all of it simulated. `energy` in joules, whole board."""

    frames: list[Frame] = field(default_factory=list)
    switches: list[tuple[float, Switch]] = field(default_factory=list)
    settings: list[tuple[float, tuple[DomainFrequency, ...] | None]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    energy: float = 0.0

    def latencies(
        self, application: str, start: float = 0.0, end: float = math.inf
    ) -> list[float]:
        """Return the latencies of an application's frames in a stretch of time, s."""
        return [
            frame.latency
            for frame in self.frames
            if frame.application == application and start <= frame.time < end
        ]


class ClosedLoop:
    """
    Run applications, a manager and a board against each other.

    :param manager: the one to begin with; an event may put another in its place
    :param events: what happens when
    """

    def __init__(
        self,
        manager: Decider,
        board: Board,
        applications: Sequence[SimulatedApplication],
        events: Sequence[Event] = (),
    ) -> None:
        """Begin at time 0, the manager knowing nothing."""
        self.manager = manager
        self.board = board
        self.record = Record()
        self.applications: dict[str, SimulatedApplication] = {}
        self._queue: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0
        self._counted = 0.0
        for application in applications:
            self.add(application, 0.0)
        self._at(0.0, self._load)
        self._at(0.0, self._heartbeats)
        self._at(DECISION_PERIOD, self._decide_regularly)
        for event in events:
            self._at(event.time, self._happen(event))

    def add(self, application: SimulatedApplication, now: float) -> None:
        """Let an application appear."""
        application.serving = (
            application.application.sub_network,
            application.application.processor,
        )
        self.applications[application.id] = application
        self.manager.add_application(application.presentation(), now)
        self._at(now + application.offset, lambda time: self._frame(application, time))

    def remove(self, name: str) -> None:
        """Let an application depart."""
        del self.applications[name]
        self.manager.remove_application(name)

    def replace_manager(self, manager: Decider, now: float) -> None:
        """Put another manager in the place of the first, as after a restart."""
        self.manager = manager
        for application in self.applications.values():
            manager.add_application(application.presentation(), now)
        manager.observe_load(self.board.load(now), now)

    def run(self, until: float) -> Record:
        """Run until a time, s, and return the record so far."""
        while self._queue and self._queue[0][0] <= until:
            time, _, action = heapq.heappop(self._queue)
            self._count_energy(time)
            action(time)
        self._count_energy(until)
        return self.record

    def decide(self, now: float) -> None:
        """Have the manager decide, and carry it out."""
        decision = self.manager.decide(now)
        self.record.decisions.append(decision)
        self.record.switches += [(now, switch) for switch in decision.switches]
        before = self.record.settings[-1][1] if self.record.settings else None
        if decision.setting != before:
            self.record.settings.append((now, decision.setting))
        self.board.apply(decision.setting, self.manager.instance, now)
        if self.manager.observe_load(self.board.load(now), now):
            self._at(now, self.decide)
        for switch in decision.switches:
            application = self.applications[switch.application]
            application.serving = (switch.sub_network, switch.processor)
            application.target = switch.target
            application.switched_by = (self.manager.instance, switch.sequence)
            answer = replace(
                self._status(application, StatusEvent.SWITCH),
                switch_manager=self.manager.instance,
                switch_sequence=switch.sequence,
                switch_result=SWITCH_APPLIED,
            )
            self.manager.observe(answer, now)
            self.manager.add_application(application.presentation(), now)

    def _at(self, time: float, action: Callable[[float], None]) -> None:
        heapq.heappush(self._queue, (time, self._count, action))
        self._count += 1

    def _happen(self, event: Event) -> Callable[[float], None]:
        def action(now: float) -> None:
            if event.action(self, now):
                self.decide(now)

        return action

    def _load(self, now: float) -> None:
        self._at(now + LOAD_PERIOD, self._load)
        if self.manager.observe_load(self.board.load(now), now):
            self.decide(now)

    def _heartbeats(self, now: float) -> None:
        self._at(now + HEARTBEAT_PERIOD, self._heartbeats)
        for application in self.applications.values():
            self.manager.observe(self._status(application, StatusEvent.HEARTBEAT), now)

    def _decide_regularly(self, now: float) -> None:
        self._at(now + DECISION_PERIOD, self._decide_regularly)
        self.decide(now)

    def _frame(self, application: SimulatedApplication, now: float) -> None:
        if self.applications.get(application.id) is not application:
            return
        self._at(now + 1 / application.camera_rate, lambda t: self._frame(application, t))
        application.received += 1
        if application.mailbox is not None:
            application.replaced += 1
        application.mailbox = now
        if application.working is None:
            self._work(application, now)

    def _work(self, application: SimulatedApplication, now: float) -> None:
        arrival, application.mailbox = application.mailbox, None
        if arrival is None:
            return
        sub_network, processor = application.serving
        others = sum(
            other.working is not None and other.working[3][1] == processor
            for other in self.applications.values()
            if other is not application
        )
        service = self.board.service(application.id, sub_network, processor, others, now)
        application.working = (arrival, now, service, application.serving)
        self._at(now + service, lambda time: self._served(application, time))

    def _served(self, application: SimulatedApplication, now: float) -> None:
        if application.working is None or application.id not in self.applications:
            return
        arrival, started, service, option = application.working
        application.working = None
        application.served += 1
        busy = application.busy
        busy[option[1]] = busy.get(option[1], 0.0) + now - started
        granted = {d.name: d.granted for d in self.board.load(now).domains}
        self.record.frames.append(
            Frame(now, application.id, now - arrival, *option, tuple(granted.items()))
        )
        status = replace(
            self._status(application, StatusEvent.SERVED),
            sub_network=option[0],
            processor=option[1],
            preprocessing=0.0,
            inference=service,
            total=now - arrival,
        )
        self._work(application, now)
        if self.manager.observe(status, now):
            self.decide(now)

    def _status(self, application: SimulatedApplication, event: StatusEvent) -> Status:
        return Status(
            application.id,
            application.application.instance,
            event,
            *application.serving,
            busy=dict(application.busy),
            received=application.received,
            served=application.served,
        )

    def _count_energy(self, now: float) -> None:
        busy = [(a.id, *a.working[3]) for a in self.applications.values() if a.working is not None]
        self.record.energy += self.board.power(busy, now) * (now - self._counted)
        self._counted = now


def target_event(time: float, target: Target) -> Event:
    """Return the event that a target arrives."""

    def action(loop: ClosedLoop, now: float) -> bool:
        loop.manager.set_target(target, round(now * 1e9) + 1)
        return True

    return Event(time, action)
