# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Applications x decider x board in simulated time: the one event loop. Every figure is simulated.

The decider is the very object that the node runs, and so is the scheduler where applications take
turns. Applications serve a camera by a newest-frame mailbox, as the inference node does. A heap of
what is to come, and the next event of the board, which is asked for it: nothing ever has to be
taken out of the heap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
import heapq
import math
import random
from time import process_time
from typing import Protocol

from dynamic_dnn_ros.management.contract import Decider
from dynamic_dnn_ros.management.decisions import DomainFrequency, Switch
from dynamic_dnn_ros.management.observations import (
    SWITCH_APPLIED,
    Application,
    Load,
    Status,
    StatusEvent,
)
from dynamic_dnn_ros.management.targets import LateFrames, Target
from dynamic_dnn_ros.scheduling.contract import Drop, Job, Wait
from dynamic_dnn_ros.simulation.runs import ApplicationRun, Run, Sample, SimulatedFrame
from dynamic_dnn_ros.simulation.scenario import Camera, Delays
from dynamic_dnn_ros.simulation.scene import WHOLE, Scene
from dynamic_dnn_ros.simulation.server import Server, Turn, multiple

DECISION_PERIOD = 0.5
LOAD_PERIOD = 0.1
HEARTBEAT_PERIOD = 1.0

_NOBODY = -1.0

Action = Callable[[float], None]
"""What happens at a time, which it is told, s."""


class InWork(Protocol):
    """A frame that a board works on."""

    @property
    def finish(self) -> float:
        """Return when it will be done as things stand, s."""

    @property
    def busy(self) -> Mapping[str, float]:
        """Return for how long it kept each domain busy, s; known once it is done."""


class Board(Protocol):
    """
    What the loop asks of a board; times in seconds of simulated time.

    `advance` moves it, everything else acts at the present.
    """

    @property
    def energy(self) -> Sequence[float]:
        """Return the energy of each rail since the beginning, J."""

    @property
    def granted(self) -> tuple[float, ...]:
        """Return the frequency of each domain, Hz."""

    def next_event(self) -> float:
        """Return when something happens here by itself at the earliest."""

    def advance(self, now: float) -> None:
        """Let time pass in which nothing changes, to `next_event` at most."""

    def happen(self) -> None:
        """Let happen what is due now by itself."""

    def begin(
        self, application: str, sub_network: str, processor: str, factor: float, path: float
    ) -> InWork:
        """
        Let work on a frame begin.

        :param factor: by which it is slower than the board has it
        :param path: share of the sub-network's cost that its picture takes
        """

    def end(self, work: InWork) -> None:
        """Take a frame off, done or not."""

    def apply(self, setting: Sequence[DomainFrequency] | None) -> None:
        """Take ranges of the frequencies, or none to leave them to the governors."""

    def temperatures(self) -> Mapping[str, float]:
        """Return the temperature of each zone, degrees Celsius."""


class Senses(Protocol):
    """What of a board and its frames a decider gets to know."""

    def sample(self, now: float, manager: str) -> Load:
        """Return what a platform node would publish now."""

    def latency(self, seconds: float) -> float:
        """Return a latency as the application would measure it, s."""

    def delay(self, now: float) -> float | None:
        """Return after how many seconds a sample arrives; none: it is lost."""


def exactly() -> float:
    """Return the factor of a frame that is as slow as the board has it."""
    return 1.0


class SimulatedApplication:
    """One application: a camera, a mailbox of one frame, and one worker."""

    def __init__(
        self,
        application: Application,
        camera: Camera,
        factor: Callable[[], float] = exactly,
        arrivals: random.Random | None = None,
        scene: Scene | None = None,
        server: Server | None = None,
    ) -> None:
        """
        Prepare it; it is not there yet.

        :param application: as it presents itself first, with what it begins to serve
        :param factor: draws by which factor the next frame is slower than the board has it
        :param arrivals: of the camera's jitter
        :param scene: tells the paths of pictures; without one each takes the largest
        :param server: where it takes turns with others; none: its frames share the board
        """
        self.application = application
        self.camera = camera
        self.factor = factor
        self.arrivals = arrivals or random.Random()
        self.scene = scene or Scene({}, lambda _: 1.0, random.Random())
        self.server = server
        self.turn: Turn | None = None
        self.run = ApplicationRun(application.id, accuracies=application.accuracies)
        self.serving = (application.sub_network, application.processor)
        self.present = False
        self.nominal = 0.0
        self.mailbox = _NOBODY
        self.working: InWork | None = None
        # Those whose frames `working` is of, where several take turns: the first of them has it.
        self.batch: tuple[SimulatedApplication, ...] = ()
        self.work_arrival = 0.0
        self.work_started = 0.0
        self.work_option = self.serving
        self.work_path = WHOLE
        self.received = 0
        self.served = 0
        self.busy: dict[str, float] = {}
        self.target: Target | None = None
        self.echo: Target | None = None
        self.switched_by = ('', 0)

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
            target=self.echo,
            switch_manager=self.switched_by[0],
            switch_sequence=self.switched_by[1],
        )

    def status(self, event: StatusEvent) -> Status:
        """Return what the application reports."""
        return Status(
            self.id,
            self.application.instance,
            event,
            *self.serving,
            busy=dict(self.busy),
            received=self.received,
            served=self.served,
        )


class Loop:
    """
    Runs applications, a decider and a board against each other.

    :param manager: the decider to begin with
    :param senses: what it gets to know of the board
    :param delays: from a decision to its effect
    :param record: where the run is kept
    """

    def __init__(
        self, manager: Decider, board: Board, senses: Senses, delays: Delays, record: Run
    ) -> None:
        """Begin at time 0, the decider knowing nothing."""
        self.manager = manager
        self.board = board
        self.record = record
        self.applications: dict[str, SimulatedApplication] = {}
        self._senses = senses
        self._delays = delays
        self._queue: list[tuple[float, int, Action]] = []
        self._count = 0
        self._sampled_energy = list(board.energy)
        self._sampled = 0.0

    def begin(self) -> None:
        """Have loads, heartbeats and regular decisions come; after what is to come before them."""
        self.at(0.0, self._load)
        self.at(0.0, self._heartbeats)
        self.at(DECISION_PERIOD, self._decide_regularly)

    def at(self, time: float, action: Action) -> None:
        """Have something happen at a time, s; of two at one time in the order of the calls."""
        heapq.heappush(self._queue, (time, self._count, action))
        self._count += 1

    def run(self, until: float) -> None:
        """Run until a time, s."""
        board, queue = self.board, self._queue
        events = 0
        while True:
            due = min(queue[0][0] if queue else math.inf, board.next_event())
            finished = None
            for application in self.applications.values():
                working = application.working
                if working is not None and working.finish < due:
                    due, finished = working.finish, application
            if due > until:
                break
            events += 1
            board.advance(due)
            if finished is not None:
                if finished.server is None:
                    self._served(finished, due)
                else:
                    self._stage_done(finished, finished.server, due)
            elif queue and queue[0][0] <= due:
                _, _, action = heapq.heappop(queue)
                action(due)
            else:
                board.happen()
        board.advance(until)
        self.record.events += events

    # Applications.

    def add(self, application: SimulatedApplication, now: float) -> None:
        """Let an application appear."""
        self.applications[application.id] = application
        self.record.applications[application.id] = application.run
        application.present = True
        if self.manager.add_application(application.presentation(), now):
            self.decide(now)
        application.nominal = now + application.camera.phase
        self.at(application.nominal, lambda at: self._frame(application, at))

    def remove(self, application: SimulatedApplication, now: float) -> None:
        """Let an application depart; a frame in work is lost."""
        application.present = False
        work, application.working = application.working, None
        others = tuple(each for each in application.batch if each.present)
        if work is not None and others and application.server is not None:
            # What it ran together with goes on.
            others[0].working, others[0].batch = work, application.batch
            application.server.hand_over(application.id, others[0].id)
        elif work is not None:
            self.board.end(work)
        del self.applications[application.id]
        if application.server is not None:
            application.turn, application.mailbox = None, _NOBODY
            application.server.leave(application.id)
            self._take_turns(application.server, now)
        if self.manager.remove_application(application.id):
            self.decide(now)

    def target(self, application: SimulatedApplication, target: Target | None, now: float) -> None:
        """Set a target, or withdraw the one in force."""
        stamp = round(now * 1e9) + 1
        application.target = target
        application.run.targets.append((now, target))
        if target is None:
            self.manager.clear_target(application.id, stamp, stamp, 'scenario')
        else:
            self.manager.set_target(target, stamp)
        self.decide(now)

    def _frame(self, application: SimulatedApplication, now: float) -> None:
        if not application.present:
            return
        camera = application.camera
        period = 1.0 / camera.rate_at(now)
        application.nominal += period
        at = application.nominal
        if camera.jitter:
            off = application.arrivals.gauss(0.0, 1.0) * camera.jitter
            at += period * min(max(off, -0.45), 0.45)
        self.at(max(at, now), lambda then: self._frame(application, then))
        application.received += 1
        application.run.arrivals.append(now)
        if application.mailbox != _NOBODY:
            application.run.replaced.append(application.mailbox)
        application.mailbox = now
        if application.server is not None:
            self._take_turns(application.server, now)
        elif application.working is None:
            self._work(application, now)

    def _work(self, application: SimulatedApplication, now: float) -> None:
        if application.mailbox == _NOBODY:
            return
        application.work_arrival, application.mailbox = application.mailbox, _NOBODY
        application.work_started = now
        application.work_option = application.serving
        application.work_path = application.scene.path(application.serving[0], now)
        application.working = self.board.begin(
            application.id, *application.serving, application.factor(), application.work_path[0]
        )

    def _served(self, application: SimulatedApplication, now: float) -> None:
        work = application.working
        assert work is not None
        application.working = None
        self.board.end(work)
        service = now - application.work_started
        status = self._account(application, work.busy, service, now)
        self._work(application, now)
        self._tell(status, now)

    def _account(
        self,
        application: SimulatedApplication,
        busy: Mapping[str, float],
        service: float,
        now: float,
        batch: int = 1,
    ) -> Status:
        """
        Count a frame that is done; return what the decider is to be told once others go on.

        :param service: s that it was worked on
        :param batch: frames that ran together at its end
        """
        application.served += 1
        for domain, seconds in busy.items():
            application.busy[domain] = application.busy.get(domain, 0.0) + seconds
        sub_network, processor = application.work_option
        path, exit_stage = application.work_path
        total = now - application.work_arrival
        asked = application.target
        application.run.frames.append(
            SimulatedFrame(
                application.work_arrival,
                now,
                service,
                sub_network,
                processor,
                application.application.accuracies[sub_network],
                asked.latency if asked is not None else 0.0,
                asked.quantile if asked is not None else 0.0,
                path,
            )
        )
        read = self._senses.latency(service)
        return replace(
            application.status(StatusEvent.SERVED),
            sub_network=sub_network,
            processor=processor,
            preprocessing=0.0,
            inference=read,
            total=total + read - service,
            work=path,
            exit_stage=exit_stage,
            batch=batch,
            sent=now,
        )

    def _tell(self, status: Status, now: float) -> None:
        if self._observe(status, now):
            self.decide(now)

    # Applications that take turns.

    def _take_turns(self, server: Server, now: float) -> None:
        """Have each idle processor run the stage that the scheduler wants."""
        members = [a for a in self.applications.values() if a.server is server]
        while True:
            waiting: dict[str, list[tuple[Job, SimulatedApplication]]] = {}
            for application in members:
                job = self._head(application, server, now)
                if job is not None:
                    processor = _processor(application)
                    waiting.setdefault(processor, []).append((job, application))
            dropped = False
            for processor, heads in waiting.items():
                if server.is_busy(processor):
                    continue
                heads.sort(key=lambda pair: pair[0].arrival)
                decision = server.decide(processor, now, [job for job, _ in heads])
                if isinstance(decision, Wait):
                    self.at(decision.until, lambda at: self._take_turns(server, at))
                    continue
                chosen = [a for job, a in heads if any(job is each for each in decision.jobs)]
                if isinstance(decision, Drop):
                    dropped = True
                    for application in chosen:
                        self._drop(application)
                    continue
                self._run_stage(chosen, server, processor, now)
            if not dropped:
                return

    def _head(self, application: SimulatedApplication, server: Server, now: float) -> Job | None:
        """Return the frame of an application that is next, none where there is none."""
        if application.turn is not None:
            job = application.turn.job
            job.work = server.work(application.application, *application.work_option)
            return job
        if application.mailbox == _NOBODY:
            return None
        arrival, target = application.mailbox, application.target
        time = target.latency if target is not None and target.latency else None
        if time is None:
            time = 1.0 / application.camera.rate_at(arrival)
        return Job(
            application.id,
            server.work(application.application, *application.serving),
            arrival,
            arrival + time,
            target.priority if target is not None else 0,
            target is not None and target.late_frames is LateFrames.DROP,
        )

    def _drop(self, application: SimulatedApplication) -> None:
        if application.turn is not None:
            application.run.dropped.append(application.turn.job.arrival)
            application.turn = None
        else:
            application.run.dropped.append(application.mailbox)
            application.mailbox = _NOBODY

    def _run_stage(
        self,
        chosen: Sequence[SimulatedApplication],
        server: Server,
        processor: str,
        now: float,
    ) -> None:
        """Let the next stage of some applications' frames begin, together."""
        turns = [self._turn(application, server, now) for application in chosen]
        first, stage = chosen[0], turns[0].job.stage
        first.batch = tuple(chosen)
        first.working = self.board.begin(
            first.id,
            *first.work_option,
            max(turn.factor for turn in turns),
            turns[0].shares[stage]
            * multiple(first.application, first.work_option[0], len(chosen)),
        )
        server.begin(processor, first.id)

    def _turn(self, application: SimulatedApplication, server: Server, now: float) -> Turn:
        """Return an application's frame in work, which is begun where there is none."""
        application.work_started = now
        if application.turn is not None:
            return application.turn
        job = self._head(application, server, now)
        assert job is not None
        application.work_arrival, application.mailbox = application.mailbox, _NOBODY
        application.work_option = application.serving
        application.work_path = application.scene.path(application.serving[0], now)
        application.turn = Turn(
            job,
            server.shares(application.application, application.serving[0]),
            application.work_path,
            application.factor(),
        )
        return application.turn

    def _stage_done(self, application: SimulatedApplication, server: Server, now: float) -> None:
        work, batch = application.working, application.batch
        assert work is not None
        application.working, application.batch = None, ()
        self.board.end(work)
        server.end(application.id)
        statuses = []
        for each in batch:
            turn = each.turn
            if not each.present or turn is None:
                continue
            turn.advance(now, now - each.work_started, work.busy, len(batch))
            if each is application:
                server.learn(each.application, *each.work_option, turn)
            if turn.done:
                each.turn = None
                statuses.append(self._account(each, turn.busy, turn.job.spent, now, turn.batch))
        self._take_turns(server, now)
        for status in statuses:
            self._tell(status, now)

    # The decider.

    def replace_manager(self, manager: Decider, now: float) -> None:
        """Put another decider in the place of the first, as after a restart."""
        self.manager = manager
        for application in self.applications.values():
            manager.add_application(application.presentation(), now)
        self._deliver(now)

    def decide(self, now: float) -> None:
        """Have the decider decide, and carry it out after what that takes."""
        begun = process_time()
        decision = self.manager.decide(now)
        record = self.record
        record.deciding += process_time() - begun
        record.decisions.append(decision)
        effect = now + self._delays.decision
        before = record.settings[-1][1] if record.settings else None
        if decision.setting != before:
            record.settings.append((now, decision.setting))
            self.at(effect, lambda at: self._apply(decision.setting, at))
        for switch in decision.switches:
            record.switches.append((now, switch))
            application = self.applications.get(switch.application)
            if application is None:
                continue
            new = (switch.sub_network, switch.processor) != application.serving
            prepared = effect + (self._delays.switch if new else 0.0)
            self.at(prepared, self._switching(application, switch, self.manager.instance))

    def _apply(self, setting: tuple[DomainFrequency, ...] | None, now: float) -> None:
        self.board.apply(setting)
        self._deliver(now)

    def _switching(
        self, application: SimulatedApplication, switch: Switch, instance: str
    ) -> Action:
        def action(now: float) -> None:
            by, sequence = application.switched_by
            if not application.present or (by == instance and switch.sequence <= sequence):
                return
            if (switch.sub_network, switch.processor) != application.serving:
                application.run.switches.append((now, switch.sub_network))
            application.serving = (switch.sub_network, switch.processor)
            application.echo = switch.target
            application.switched_by = (instance, switch.sequence)
            answer = replace(
                application.status(StatusEvent.SWITCH),
                switch_manager=instance,
                switch_sequence=switch.sequence,
                switch_result=SWITCH_APPLIED,
            )
            at_once = self._observe(answer, now)
            at_once |= self.manager.add_application(application.presentation(), now)
            if at_once:
                self.decide(now)

        return action

    def _observe(self, status: Status, now: float) -> bool:
        begun = process_time()
        at_once = self.manager.observe(status, now)
        self.record.observing += process_time() - begun
        return at_once

    def _load(self, now: float) -> None:
        self.at(now + LOAD_PERIOD, self._load)
        board = self.board
        span = now - self._sampled
        if span > 0:
            power = tuple((e - b) / span for e, b in zip(board.energy, self._sampled_energy))
            temperatures = tuple(board.temperatures().values())
            self.record.samples.append(Sample(now, board.granted, power, temperatures))
        self._sampled, self._sampled_energy = now, list(board.energy)
        self._deliver(now)

    def _deliver(self, now: float) -> None:
        delay = self._senses.delay(now)
        if delay is None:
            return
        load = self._senses.sample(now, self.manager.instance)
        if delay > 0.0:
            self.at(now + delay, lambda at: self._receive(load, at))
        else:
            self._receive(load, now)

    def _receive(self, load: Load, now: float) -> None:
        begun = process_time()
        at_once = self.manager.observe_load(load, now)
        self.record.observing += process_time() - begun
        if at_once:
            self.decide(now)

    def _heartbeats(self, now: float) -> None:
        self.at(now + HEARTBEAT_PERIOD, self._heartbeats)
        for application in list(self.applications.values()):
            if self._observe(application.status(StatusEvent.HEARTBEAT), now):
                self.decide(now)

    def _decide_regularly(self, now: float) -> None:
        self.at(now + DECISION_PERIOD, self._decide_regularly)
        self.decide(now)


def _processor(application: SimulatedApplication) -> str:
    """Return where an application's next stage runs."""
    return (application.serving if application.turn is None else application.work_option)[1]
