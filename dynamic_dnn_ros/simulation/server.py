# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Applications that take turns on each processor, a stage each, as a scheduler says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from dynamic_dnn_ros.management.observations import Application, points_digest
from dynamic_dnn_ros.scheduling.contract import Decision, Job, Scheduler, Work
from dynamic_dnn_ros.scheduling.registry import create_scheduler

WEIGHT = 0.1
"""Of what a stage took last, in the mean of what it takes."""


class Turn:
    """
    A frame that has begun.

    :param job: as the scheduler sees it
    :param shares: of its sub-network's cost, by stage
    :param path: the share of that cost that its picture takes, and the stage after which it leaves
    :param factor: by which it is slower than the board has it
    :ivar batch: frames that ran together in its last stage, itself included
    """

    def __init__(
        self, job: Job, shares: Sequence[float], path: tuple[float, str], factor: float
    ) -> None:
        """Begin with its first stage."""
        self.job = job
        self.shares = shares
        self.factor = factor
        self.busy: dict[str, float] = {}
        self.took = 0.0
        self.batch = 1
        self._path = path[0]
        self._expected = 0.0

    def advance(self, now: float, seconds: float, busy: Mapping[str, float], batch: int) -> None:
        """
        Take a stage that has ended into account, with what it took and kept busy, s.

        :param batch: frames that ran together, of which each counts as busy for its part
        """
        job = self.job
        self.took = seconds
        self.batch = batch
        self._expected += job.work.times[job.stage][batch - 1]
        job.stage += 1
        job.spent += seconds
        job.last_run = now
        job.pace = job.spent / self._expected
        for domain, of_all in busy.items():
            self.busy[domain] = self.busy.get(domain, 0.0) + of_all / batch

    @property
    def done(self) -> bool:
        """Tell whether its picture leaves here."""
        return sum(self.shares[: self.job.stage]) >= self._path - 1e-9


class Server:
    """
    Applications of one process, which take turns. What their stages take is learnt.

    :param name: of the process
    :param scheduler: name of what decides, for each processor by itself
    """

    def __init__(self, name: str, scheduler: str) -> None:
        """Begin with idle processors."""
        self.name = name
        self.scheduler = scheduler
        self._schedulers: dict[str, Scheduler] = {}
        self._running: dict[str, str] = {}
        # By sub-network, processor, and application, or network where that takes batches.
        self._seconds: dict[tuple[str, str, str], float] = {}
        self._works: dict[tuple[str, str, str], Work] = {}
        self._networks: dict[int, str] = {}

    def is_busy(self, processor: str) -> bool:
        """Tell whether a stage runs on a processor."""
        return processor in self._running

    def begin(self, processor: str, application: str) -> None:
        """Note that a stage of an application begins."""
        self._running[processor] = application

    def end(self, application: str) -> None:
        """Note that it has ended."""
        self._running = {p: a for p, a in self._running.items() if a != application}

    leave = end

    def hand_over(self, application: str, heir: str) -> None:
        """Note that the stage of an application, which leaves, goes on for another one."""
        self._running = {p: heir if a == application else a for p, a in self._running.items()}

    def decide(self, processor: str, now: float, jobs: Sequence[Job]) -> Decision:
        """Ask the scheduler of a processor."""
        if processor not in self._schedulers:
            self._schedulers[processor] = create_scheduler(self.scheduler)
        return self._schedulers[processor].next(now, jobs)

    def shares(self, application: Application, sub_network: str) -> tuple[float, ...]:
        """Return what each stage of a sub-network takes of its cost; 1 where it is one piece."""
        stages = application.stages.get(sub_network)
        if not stages:
            return (1.0,)
        return tuple(b - a for a, b in pairwise((0.0, *(stage.work for stage in stages))))

    def work(self, application: Application, sub_network: str, processor: str) -> Work:
        """
        Return what a frame is expected to take: of the profile at first, then what was seen.

        Of a network that takes batches it is the same object for all its applications, until one
        of them has learnt.
        """
        key = (self._learns(application), sub_network, processor)
        found = self._works.get(key)
        if found is None:
            found = self._works[key] = self._made(key, application)
        return found

    def _learns(self, application: Application) -> str:
        """Return the name of what is learnt for an application."""
        points = application.operating_points
        if not points.largest_batch:
            return application.id
        name = self._networks.get(id(points))
        if name is None:
            name = f'{points.sub_networks} {points_digest(points)}'
            self._networks[id(points)] = name
        return name

    def _made(self, key: tuple[str, str, str], application: Application) -> Work:
        _, sub_network, processor = key
        seconds = self._seconds.get(key)
        if seconds is None:
            points = application.operating_points
            of_it = points.sub_network == points.sub_networks.index(sub_network)
            if points.processors:
                of_it = of_it & (points.processor == points.processors.index(processor))
            seconds = self._seconds[key] = float(points.latency_mean[of_it].min())
        shares = self.shares(application, sub_network)
        reached, left = [], 1.0
        for stage in application.stages.get(sub_network, ()) or (None,):
            reached.append(max(left, 0.0))
            left -= stage.taken if stage is not None else 0.0
        multiples = application.operating_points.batch_multiples(sub_network) or (1.0,)
        times = tuple(tuple(seconds * share * each for each in multiples) for share in shares)
        return Work(key, times, tuple(reached))

    def learn(
        self, application: Application, sub_network: str, processor: str, turn: Turn
    ) -> None:
        """Learn from the stage of a frame, or of a batch, that has just ended."""
        share = turn.shares[turn.job.stage - 1]
        if share > 0.0:
            share *= multiple(application, sub_network, turn.batch)
            key = (self._learns(application), sub_network, processor)
            before = self._seconds[key]
            self._seconds[key] = before + WEIGHT * (turn.took / share - before)
            self._works.pop(key, None)


def multiple(application: Application, sub_network: str, frames: int) -> float:
    """Return what so many frames together take, as a multiple of what one takes."""
    if frames == 1:
        return 1.0
    return application.operating_points.batch_multiples(sub_network)[frames - 1]
