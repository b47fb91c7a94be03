# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A scenario on a simulated board: what is to happen when, laid out on the one event loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import random
from time import process_time

from dynamic_dnn_ros.management.contract import Decider
from dynamic_dnn_ros.management.decisions import DomainFrequency
from dynamic_dnn_ros.management.observations import Application, ApplicationState
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.platforms.board_model import (
    SIMULATED_SUFFIX,
    BoardModel,
    MeasuredNetwork,
    NetworkCost,
)
from dynamic_dnn_ros.simulation.board import BoardInTime, FrameInWork
from dynamic_dnn_ros.simulation.loop import LOAD_PERIOD, Action, InWork, Loop, SimulatedApplication
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.scenario import ApplicationScript, Scenario, ScenarioError
from dynamic_dnn_ros.simulation.scene import Scene
from dynamic_dnn_ros.simulation.sensing import Sensing
from dynamic_dnn_ros.simulation.server import Server
from dynamic_dnn_ros.simulation.workload import Workload


class ModelledBoard:
    """
    A board model in time, as the loop asks for it.

    :param costs: what each sub-network of each application asks of the board
    """

    def __init__(
        self,
        board: BoardInTime,
        costs: Mapping[str, Mapping[str, NetworkCost | MeasuredNetwork]],
    ) -> None:
        """Stand before a board."""
        self._board = board
        self._costs = costs
        # Asked for at each event: the board's own methods, without a call between.
        self.next_event = board.next_event
        self.advance = board.advance
        self.happen = board.happen
        self.temperatures = board.temperatures

    @property
    def energy(self) -> Sequence[float]:
        """Return the energy of each rail since the beginning, J."""
        return self._board.energy

    @property
    def granted(self) -> tuple[float, ...]:
        """Return the frequency of each domain, Hz."""
        return self._board.granted

    def begin(
        self, application: str, sub_network: str, processor: str, factor: float, path: float
    ) -> InWork:
        """Let work on a frame begin."""
        frame = FrameInWork(self._costs[application][sub_network], processor, factor, path)
        self._board.begin(frame)
        return frame

    def end(self, work: InWork) -> None:
        """Take a frame off."""
        assert isinstance(work, FrameInWork)
        self._board.end(work)

    def apply(self, setting: Sequence[DomainFrequency] | None) -> None:
        """Take ranges of the frequencies, or none to leave them to the governors."""
        self._board.apply(setting)


class Slowness:
    """By which factor frames of an application are slower than the board model has them."""

    def __init__(self, sigma: float, bias: float) -> None:
        """Begin without a slow-down."""
        self.frames = random.Random()
        self.slow_down = 1.0
        self._sigma = sigma
        self._bias = bias

    def __call__(self) -> float:
        """Draw the factor of the next frame, log-normal of mean 1, times bias and slow-down."""
        sigma = self._sigma
        jitter = self.frames.lognormvariate(-0.5 * sigma * sigma, sigma) if sigma else 1.0
        return self._bias * self.slow_down * jitter


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
        self.seed = scenario.seed if seed is None else seed
        self._boards = boards
        model = boards(scenario.power_mode)
        self.board = BoardInTime(model, governors)
        sensing = Sensing(
            self.board, model.name + SIMULATED_SUFFIX, scenario.sensors, LOAD_PERIOD, self.seed
        )
        self._measured_energy = [0.0] * len(self.board.rails)
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
            schedulers=tuple(server.scheduler for server in scenario.servers),
            idle_power=dict(zip(self.board.rails, idle)),
        )
        self._loop = Loop(
            manager,
            ModelledBoard(self.board, {name: each.costs for name, each in workloads.items()}),
            sensing,
            scenario.delays,
            self.run_record,
        )
        self._servers: dict[str, Server] = {}
        for script in scenario.servers:
            server = Server(script.name, script.scheduler)
            self._servers.update(dict.fromkeys(script.applications, server))
        self._all: list[tuple[ApplicationScript, SimulatedApplication, Slowness]] = []
        self._lay_out(model, workloads)

    def run(self) -> Run:
        """Run to the end of the scenario."""
        begun = process_time()
        record, board = self.run_record, self.board
        self._loop.run(self.scenario.duration)
        record.energy = {
            rail: joules - before
            for rail, joules, before in zip(board.rails, board.energy, self._measured_energy)
        }
        record.foreign_late = (
            board.foreign_late / board.foreign_time if board.foreign_time else 0.0
        )
        record.clock_changes = board.changes
        record.wall = process_time() - begun
        return record

    def reseed_frames(self, salt: str) -> None:
        """Draw other frames and other moments of the camera, of the same distributions."""
        for script, application, slowness in self._all:
            application.arrivals.seed(f'{self.seed}/{script.id}/camera/{salt}')
            slowness.frames.seed(f'{self.seed}/{script.id}/frames/{salt}')
            application.scene.draw.seed(f'{self.seed}/{script.id}/pictures/{salt}')

    # What is to come.

    def _lay_out(self, model: BoardModel, workloads: Mapping[str, Workload]) -> None:
        scenario, at = self.scenario, self._loop.at
        for script in scenario.applications:
            self._all.append(self._application(script, workloads[script.id], model))
        for script, application, slowness in self._all:
            self.run_record.applications[script.id] = application.run
            at(script.starts, self._starting(application))
            if script.ends is not None:
                at(script.ends, self._ending(application))
            for change in script.targets:
                at(change.at, self._targeting(application, change.target))
            for time, factor in script.slow_down:
                at(time, _slowing(slowness, factor))
        for entry in scenario.other_load:
            at(entry.at, self._other_load)
            at(entry.until, self._other_load)
        for cooling in scenario.cooling:
            at(
                cooling.at,
                lambda _, c=cooling: self.board.set_cooling(c.ambient, c.resistance),  # type: ignore[misc]
            )
        for time, mode in scenario.power_modes:
            at(time, self._moding(mode))
        for held in scenario.held_clocks:
            if held.domain not in model.domains:
                raise ScenarioError(
                    f'held_clocks: domain = {held.domain!r}',
                    f'{model.name} has no such domain',
                    f'Choose of: {", ".join(model.domains)}',
                )
            at(held.at, self._hold)
        self._loop.begin()
        at(scenario.measured_from, self._begin_measuring)

    def _application(
        self, script: ApplicationScript, workload: Workload, model: BoardModel
    ) -> tuple[ApplicationScript, SimulatedApplication, Slowness]:
        ordered = workload.by_size()
        first = script.sub_network or ordered[-1]
        if first not in workload.points.sub_networks:
            raise ScenarioError(
                f'{script.id}: sub_network = {first!r}',
                f'{workload.name} has no such sub-network',
                f'Choose of: {", ".join(ordered)}',
            )
        sigma = model.jitter_deviation if script.jitter is None else script.jitter
        slowness = Slowness(sigma, model.bias(self.seed, script.id))
        slowness.frames.seed(f'{self.seed}/{script.id}/frames')
        server = self._servers.get(script.id)
        application = SimulatedApplication(
            Application(
                script.id,
                f'instance of {script.id}',
                1,
                ApplicationState.ACTIVE,
                workload.points,
                workload.accuracies,
                first,
                workload.points.processors[0],
                stages=workload.stages,
                server=server.name if server is not None else '',
                scheduler=server.scheduler if server is not None else '',
            ),
            script.camera,
            slowness,
            random.Random(f'{self.seed}/{script.id}/camera'),
            Scene(
                workload.paths,
                script.difficulty_at,
                random.Random(f'{self.seed}/{script.id}/pictures'),
            ),
            server,
        )
        return script, application, slowness

    def _starting(self, application: SimulatedApplication) -> Action:
        return lambda now: self._loop.add(application, now)

    def _ending(self, application: SimulatedApplication) -> Action:
        return lambda now: self._loop.remove(application, now)

    def _targeting(self, application: SimulatedApplication, target: Target | None) -> Action:
        return lambda now: self._loop.target(application, target, now)

    def _moding(self, mode: str) -> Action:
        model = self._boards(mode)  # A mode that the board lacks is refused before the run.
        return lambda now: self.board.set_power_mode(model)

    def _other_load(self, now: float) -> None:
        scenario = self.scenario
        self.board.set_foreign(scenario.other_load_at(now), scenario.other_load_at(now, True))

    def _hold(self, now: float) -> None:
        self.board.hold(self.scenario.held_clocks_at(now))

    def _begin_measuring(self, now: float) -> None:
        self._measured_energy = list(self.board.energy)


def _slowing(slowness: Slowness, factor: float) -> Action:
    def action(now: float) -> None:
        slowness.slow_down = factor

    return action
