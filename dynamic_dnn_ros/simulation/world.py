# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Applications x manager x board in simulated time: runs a scenario. Every figure is simulated.

The manager is the very object that the node runs, or one with its interface. Applications serve
a camera by a newest-frame mailbox, as the inference node does. A heap of what is to come, and the
next event of the board, which is asked for it: nothing ever has to be taken out of the heap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
import heapq
import random
from time import process_time

from dynamic_dnn_ros.management.contract import Decider
from dynamic_dnn_ros.management.decisions import DomainFrequency, Switch
from dynamic_dnn_ros.management.observations import (
    SWITCH_APPLIED,
    Application,
    ApplicationState,
    Load,
    Status,
    StatusEvent,
)
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, BoardModel
from dynamic_dnn_ros.simulation.board import BoardInTime, FrameInWork
from dynamic_dnn_ros.simulation.record import ApplicationRun, Frame, Run, Sample
from dynamic_dnn_ros.simulation.scenario import ApplicationScript, Scenario, ScenarioError
from dynamic_dnn_ros.simulation.sensing import Sensing
from dynamic_dnn_ros.simulation.workload import Workload

DECISION_PERIOD = 0.5
LOAD_PERIOD = 0.1
HEARTBEAT_PERIOD = 1.0

_NOBODY = -1.0


class SimulatedApplication:
    """One application: a camera, a mailbox of one frame, and one worker."""

    def __init__(self, script: ApplicationScript, workload: Workload, board: BoardModel) -> None:
        """Prepare it; it is not there yet."""
        self.script = script
        self.workload = workload
        ordered = workload.by_size()
        first = script.sub_network or ordered[-1]
        if first not in workload.points.sub_networks:
            raise ScenarioError(
                f'{script.id}: sub_network = {first!r}',
                f'{workload.name} has no such sub-network',
                f'Choose of: {", ".join(ordered)}',
            )
        self.serving = (first, workload.points.processors[0])
        self.arrivals = random.Random()
        self.frames = random.Random()
        self.sigma = board.jitter_deviation if script.jitter is None else script.jitter
        self.bias = 1.0
        self.slow_down = 1.0
        self.present = False
        self.nominal = 0.0
        self.mailbox = _NOBODY
        self.working: FrameInWork | None = None
        self.work_arrival = 0.0
        self.work_started = 0.0
        self.work_option = self.serving
        self.received = 0
        self.served = 0
        self.busy: dict[str, float] = {}
        self.target: Target | None = None
        self.echo: Target | None = None
        self.switched_by = ('', 0)
        self.run = ApplicationRun(script.id)
        self.application = Application(
            script.id,
            f'instance of {script.id}',
            1,
            ApplicationState.ACTIVE,
            workload.points,
            workload.accuracies,
            *self.serving,
        )

    def factor(self) -> float:
        """Draw by which factor the next frame is slower than the model, log-normal of mean 1."""
        sigma = self.sigma
        jitter = self.frames.lognormvariate(-0.5 * sigma * sigma, sigma) if sigma else 1.0
        return self.bias * self.slow_down * jitter

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
            self.script.id,
            self.application.instance,
            event,
            *self.serving,
            busy=dict(self.busy),
            received=self.received,
            served=self.served,
        )


class World:
    """
    Everything of one run.

    :param boards: the board of the scenario in a power mode; the empty name is its default
    :param workloads: by application id
    :param governors: by domain, in place of the board's own
    :param seed: of the board, cameras, frames and sensors; that of the scenario if none
    """

    def __init__(
        self,
        scenario: Scenario,
        boards: Callable[[str], BoardModel],
        workloads: Mapping[str, Workload],
        manager: Decider,
        name: str = '',
        governors: Mapping[str, str] | None = None,
        seed: int | None = None,
    ) -> None:
        """Lay out what is to happen."""
        self.scenario = scenario
        self.manager = manager
        self.seed = scenario.seed if seed is None else seed
        self._boards = boards
        model = boards(scenario.power_mode)
        self.board = BoardInTime(model, governors)
        self._sensing = Sensing(
            self.board, model.name + SIMULATED_SUFFIX, scenario.sensors, LOAD_PERIOD, self.seed
        )
        self.applications: dict[str, SimulatedApplication] = {}
        self._queue: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0
        self._measured_energy = [0.0] * len(self.board.rails)
        self._sampled_energy = [0.0] * len(self.board.rails)
        self._sampled = 0.0
        lowest = tuple(row.available[0] for row in model.limits())
        idle = self.board.power_at(lowest, [0.0] * len(lowest))
        self.run_record = Run(
            scenario=scenario.name,
            manager=name,
            governors=dict(self.board.governor_names),
            domains=self.board.domains,
            rails=self.board.rails,
            total_rail=model.total_power_rail,
            zones=tuple(self.board.temperatures()),
            duration=scenario.duration,
            measured_from=scenario.measured_from,
            seed=self.seed,
            idle_power=dict(zip(self.board.rails, idle)),
        )
        self._lay_out(model, workloads)

    def run(self) -> Run:
        """Run to the end of the scenario."""
        begun = process_time()
        record, board, queue = self.run_record, self.board, self._queue
        end = self.scenario.duration
        events = 0
        while True:
            due = min(queue[0][0], board.next_event())
            finished = None
            for application in self._working():
                if application.working.finish < due:  # type: ignore[union-attr]
                    due, finished = application.working.finish, application  # type: ignore[union-attr]
            if due > end:
                break
            events += 1
            board.advance(due)
            if finished is not None:
                self._served(finished, due)
            elif queue[0][0] <= due:
                _, _, action = heapq.heappop(queue)
                action(due)
            else:
                board.happen()
        board.advance(end)
        record.energy = {
            rail: joules - before
            for rail, joules, before in zip(board.rails, board.energy, self._measured_energy)
        }
        record.foreign_late = (
            board.foreign_late / board.foreign_time if board.foreign_time else 0.0
        )
        record.clock_changes = board.changes
        record.events = events
        record.wall = process_time() - begun
        return record

    def reseed_frames(self, salt: str) -> None:
        """Draw other frames and other moments of the camera, of the same distributions."""
        for application in self._all:
            application.arrivals.seed(f'{self.seed}/{application.script.id}/camera/{salt}')
            application.frames.seed(f'{self.seed}/{application.script.id}/frames/{salt}')

    # What is to come.

    def _lay_out(self, model: BoardModel, workloads: Mapping[str, Workload]) -> None:
        scenario = self.scenario
        self._all = [
            SimulatedApplication(script, workloads[script.id], model)
            for script in scenario.applications
        ]
        for application in self._all:
            script = application.script
            application.bias = model.bias(self.seed, script.id)
            application.arrivals.seed(f'{self.seed}/{script.id}/camera')
            application.frames.seed(f'{self.seed}/{script.id}/frames')
            self.run_record.applications[script.id] = application.run
            self._at(script.starts, self._bound(self._start, application))
            if script.ends is not None:
                self._at(script.ends, self._bound(self._end, application))
            for change in script.targets:
                self._at(change.at, self._targeting(application, change.target))
            for at, factor in script.slow_down:
                self._at(at, self._slowing(application, factor))
        for entry in scenario.other_load:
            self._at(entry.at, self._other_load)
            self._at(entry.until, self._other_load)
        for cooling in scenario.cooling:
            self._at(
                cooling.at,
                lambda _, c=cooling: self.board.set_cooling(c.ambient, c.resistance),  # type: ignore[misc]
            )
        for at, mode in scenario.power_modes:
            self._at(at, self._moding(mode))
        self._at(0.0, self._load)
        self._at(0.0, self._heartbeats)
        self._at(DECISION_PERIOD, self._decide_regularly)
        self._at(scenario.measured_from, self._begin_measuring)

    def _at(self, time: float, action: Callable[[float], None]) -> None:
        heapq.heappush(self._queue, (time, self._count, action))
        self._count += 1

    @staticmethod
    def _bound(
        method: Callable[[SimulatedApplication, float], None], application: SimulatedApplication
    ) -> Callable[[float], None]:
        return lambda now: method(application, now)

    def _targeting(
        self, application: SimulatedApplication, target: Target | None
    ) -> Callable[[float], None]:
        def action(now: float) -> None:
            stamp = round(now * 1e9) + 1
            application.target = target
            application.run.targets.append((now, target))
            if target is None:
                self.manager.clear_target(application.script.id, stamp, stamp, 'scenario')
            else:
                self.manager.set_target(target, stamp)
            self.decide(now)

        return action

    def _slowing(
        self, application: SimulatedApplication, factor: float
    ) -> Callable[[float], None]:
        def action(now: float) -> None:
            application.slow_down = factor

        return action

    def _moding(self, mode: str) -> Callable[[float], None]:
        model = self._boards(mode)  # A mode that the board lacks is refused before the run.
        return lambda now: self.board.set_power_mode(model)

    def _other_load(self, now: float) -> None:
        self.board.set_foreign(self.scenario.other_load_at(now))

    def _begin_measuring(self, now: float) -> None:
        self._measured_energy = list(self.board.energy)

    # Applications.

    def _working(self) -> list[SimulatedApplication]:
        return [a for a in self.applications.values() if a.working is not None]

    def _start(self, application: SimulatedApplication, now: float) -> None:
        self.applications[application.script.id] = application
        application.present = True
        if self.manager.add_application(application.presentation(), now):
            self.decide(now)
        application.nominal = now + application.script.camera.phase
        self._at(application.nominal, self._bound(self._frame, application))

    def _end(self, application: SimulatedApplication, now: float) -> None:
        application.present = False
        if application.working is not None:
            self.board.end(application.working)
            application.working = None
        del self.applications[application.script.id]
        if self.manager.remove_application(application.script.id):
            self.decide(now)

    def _frame(self, application: SimulatedApplication, now: float) -> None:
        if not application.present:
            return
        camera = application.script.camera
        period = 1.0 / camera.rate_at(now)
        application.nominal += period
        at = application.nominal
        if camera.jitter:
            off = application.arrivals.gauss(0.0, 1.0) * camera.jitter
            at += period * min(max(off, -0.45), 0.45)
        self._at(max(at, now), self._bound(self._frame, application))
        application.received += 1
        application.run.arrivals.append(now)
        if application.mailbox != _NOBODY:
            application.run.replaced.append(application.mailbox)
        application.mailbox = now
        if application.working is None:
            self._work(application, now)

    def _work(self, application: SimulatedApplication, now: float) -> None:
        if application.mailbox == _NOBODY:
            return
        application.work_arrival, application.mailbox = application.mailbox, _NOBODY
        application.work_started = now
        application.work_option = application.serving
        sub_network, processor = application.serving
        frame = FrameInWork(
            application.workload.costs[sub_network], processor, application.factor()
        )
        application.working = frame
        self.board.begin(frame)

    def _served(self, application: SimulatedApplication, now: float) -> None:
        frame = application.working
        assert frame is not None
        application.working = None
        self.board.end(frame)
        application.served += 1
        for domain, seconds in frame.work.busy.items():
            application.busy[domain] = application.busy.get(domain, 0.0) + seconds
        sub_network, processor = application.work_option
        service = now - application.work_started
        total = now - application.work_arrival
        asked = application.target
        application.run.frames.append(
            Frame(
                application.work_arrival,
                now,
                service,
                sub_network,
                processor,
                application.workload.accuracies[sub_network],
                asked.latency if asked is not None else 0.0,
                asked.quantile if asked is not None else 0.0,
            )
        )
        read = self._sensing.latency(service)
        status = replace(
            application.status(StatusEvent.SERVED),
            sub_network=sub_network,
            processor=processor,
            preprocessing=0.0,
            inference=read,
            total=total + read - service,
        )
        self._work(application, now)
        if self._observe(status, now):
            self.decide(now)

    # The manager.

    def decide(self, now: float) -> None:
        """Have the manager decide, and carry it out after what that takes."""
        begun = process_time()
        decision = self.manager.decide(now)
        record = self.run_record
        record.deciding += process_time() - begun
        record.decisions.append(decision)
        effect = now + self.scenario.delays.decision
        before = record.settings[-1][1] if record.settings else None
        if decision.setting != before:
            record.settings.append((now, decision.setting))
            self._at(effect, lambda at: self._apply(decision.setting, at))
        for switch in decision.switches:
            record.switches.append((now, switch))
            application = self.applications.get(switch.application)
            if application is None:
                continue
            new = (switch.sub_network, switch.processor) != application.serving
            prepared = effect + (self.scenario.delays.switch if new else 0.0)
            self._at(prepared, self._switching(application, switch))

    def _apply(self, setting: tuple[DomainFrequency, ...] | None, now: float) -> None:
        self.board.apply(setting)
        self._deliver(now)

    def _switching(
        self, application: SimulatedApplication, switch: Switch
    ) -> Callable[[float], None]:
        def action(now: float) -> None:
            if not application.present or switch.sequence <= application.switched_by[1]:
                return
            if (switch.sub_network, switch.processor) != application.serving:
                application.run.switches.append((now, switch.sub_network))
            application.serving = (switch.sub_network, switch.processor)
            application.echo = switch.target
            application.switched_by = (self.manager.instance, switch.sequence)
            answer = replace(
                application.status(StatusEvent.SWITCH),
                switch_manager=self.manager.instance,
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
        self.run_record.observing += process_time() - begun
        return at_once

    def _load(self, now: float) -> None:
        self._at(now + LOAD_PERIOD, self._load)
        board = self.board
        span = now - self._sampled
        if span > 0:
            power = tuple((e - b) / span for e, b in zip(board.energy, self._sampled_energy))
            temperatures = tuple(board.temperatures().values())
            self.run_record.samples.append(Sample(now, board.granted, power, temperatures))
        self._sampled, self._sampled_energy = now, list(board.energy)
        self._deliver(now)

    def _deliver(self, now: float) -> None:
        delay = self._sensing.delay(now)
        if delay is None:
            return
        load = self._sensing.sample(now, self.manager.instance)
        if delay > 0.0:
            self._at(now + delay, lambda at: self._receive(load, at))
        else:
            self._receive(load, now)

    def _receive(self, load: Load, now: float) -> None:
        begun = process_time()
        at_once = self.manager.observe_load(load, now)
        self.run_record.observing += process_time() - begun
        if at_once:
            self.decide(now)

    def _heartbeats(self, now: float) -> None:
        self._at(now + HEARTBEAT_PERIOD, self._heartbeats)
        for application in list(self.applications.values()):
            if self._observe(application.status(StatusEvent.HEARTBEAT), now):
                self.decide(now)

    def _decide_regularly(self, now: float) -> None:
        self._at(now + DECISION_PERIOD, self._decide_regularly)
        self.decide(now)
