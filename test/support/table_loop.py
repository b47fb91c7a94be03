# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs of applications and a decider on a board that behaves as their profiles say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math

from dynamic_dnn_ros.management.contract import Decider
from dynamic_dnn_ros.management.observations import Application
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.simulation.loop import Loop, SimulatedApplication
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.scenario import Camera, Delays
from dynamic_dnn_ros.simulation.table_board import RAIL, TableBoard


@dataclass(frozen=True)
class Event:
    """Something that happens to a run at a time; the action tells whether to decide at once."""

    time: float
    action: Callable[[TableLoop, float], bool]


class TableLoop(Loop):
    """A loop on such a board, without delays."""

    board: TableBoard

    def __init__(
        self,
        manager: Decider,
        board: TableBoard,
        applications: Sequence[SimulatedApplication],
        events: Sequence[Event] = (),
        delays: Delays | None = None,
    ) -> None:
        record = Run('test', manager.instance, {}, board.domains, (RAIL,), RAIL, (), 0.0, 0.0, 0)
        super().__init__(manager, board, board, delays or Delays(0.0, 0.0), record)
        for application in applications:
            self.add(application, 0.0)
        self.begin()
        for event in events:
            self.at(event.time, self._happening(event))

    @property
    def energy(self) -> float:
        return self.board.energy[0]

    def latencies(self, name: str, start: float = 0.0, end: float = math.inf) -> list[float]:
        """Return the latencies of frames whose results came in a stretch of time, s."""
        frames = self.record.applications[name].frames
        return [frame.latency for frame in frames if start <= frame.time < end]

    def clocks(self, domain: str, since: float) -> set[float]:
        """Return the clocks that a domain had at the samples from a time on, Hz."""
        place = self.board.domains.index(domain)
        return {s.granted[place] for s in self.record.samples if s.time >= since}

    def _happening(self, event: Event) -> Callable[[float], None]:
        def action(now: float) -> None:
            if event.action(self, now):
                self.decide(now)

        return action


def with_camera(application: Application, rate: float, phase: float = 0.0) -> SimulatedApplication:
    """Return an application with a camera of a constant rate, Hz."""
    return SimulatedApplication(application, Camera(rate, phase=phase))


def target_event(time: float, target: Target) -> Event:
    """Return the event that a target arrives."""

    def action(loop: TableLoop, now: float) -> bool:
        loop.manager.set_target(target, round(now * 1e9) + 1)
        return True

    return Event(time, action)
