# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One processor, requests that arrive, and a scheduler that is asked before each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import random

import numpy as np

from dynamic_dnn_ros.scheduling.contract import Drop, Job, Scheduler, Wait, Work
from dynamic_dnn_ros.scheduling.dysta import Dysta
from dynamic_dnn_ros.simulation.requests.traces import Trace
from dynamic_dnn_ros.simulation.requests.workload import RequestWorkload

ORACLE = 'oracle'
"""Dysta that knows what each layer will take; for simulation only."""

PATTERN_BLIND = ('shortest_job', 'prema', 'sdrm3')
"""Schedulers that were published with the averages of a network over all patterns of pruning."""


class Request(Job):
    """
    A request, and what its layers really take.

    :ivar latency: s, by layer
    :ivar true_left: s, from each layer on
    :ivar paces: the published gamma before each layer: the mean of density over mean density
    """

    latency: Sequence[float]
    true_left: Sequence[float]
    paces: Sequence[float]


class Oracle(Dysta):
    """Dysta with what the layers will really take; knows only requests of traces."""

    name = ORACLE

    def left(self, job: Job) -> float:
        """Return what is really left, s."""
        assert isinstance(job, Request)
        return job.true_left[job.stage]

    def isolated(self, job: Job) -> float:
        """Return what it really takes alone, s."""
        assert isinstance(job, Request)
        return job.true_left[0]


@dataclass(frozen=True)
class Served:
    """A request that was served: when it came and was done, s; alone it takes `isolated`."""

    arrival: float
    deadline: float
    finish: float
    isolated: float
    priority: int


@dataclass(frozen=True, eq=False)
class RequestRun:
    """What a scheduler made of a workload at a rate, with deadlines of a multiple."""

    scheduler: str
    rate: float
    multiple: float
    switch_cost: float
    seed: int
    served: tuple[Served, ...]
    parked: int

    @property
    def violation_rate(self) -> float:
        """Return the share of the requests that were done after their deadline."""
        return sum(each.finish > each.deadline for each in self.served) / len(self.served)

    @property
    def normalised_turnaround(self) -> float:
        """Return ANTT: the mean of turnaround over what a request takes alone."""
        return float(np.mean([(e.finish - e.arrival) / e.isolated for e in self.served]))

    @property
    def throughput(self) -> float:
        """Return STP: requests a second, from the first arrival to the last finish."""
        first = min(each.arrival for each in self.served)
        return len(self.served) / (max(each.finish for each in self.served) - first)


class Known:
    """
    What a scheduler knows of the traces: averages.

    :param blind: whether it does not know the pattern in which a network was pruned
    """

    def __init__(self, traces: Sequence[Trace], blind: bool) -> None:
        groups: dict[tuple[str, str], list[Trace]] = {}
        for trace in traces:
            groups.setdefault((trace.network, '' if blind else trace.pattern), []).append(trace)
        self._works: dict[tuple[str, str], Work] = {}
        for key, members in groups.items():
            layers = {trace.latency.shape[1] for trace in members}
            parts = [members] if len(layers) == 1 else [[trace] for trace in members]
            for part in parts:
                mean = np.concatenate([trace.latency for trace in part]).mean(axis=0)
                work = Work(key, tuple((float(each),) for each in mean), (1.0,) * len(mean))
                self._works.update({(t.network, t.pattern): work for t in part})

    def work(self, trace: Trace) -> Work:
        """Return what a request to a network is expected to take."""
        return self._works[trace.network, trace.pattern]


def requests(
    workload: RequestWorkload, known: Known, rate: float, multiple: float, seed: int
) -> list[Request]:
    """
    Draw the requests of a run, by arrival; the same seed gives the same ones at each multiple.

    :param rate: Hz
    :param multiple: of the mean isolated latency of a network over its patterns
    """
    draw = random.Random(f'{seed}/{rate}')
    isolated: dict[str, list[float]] = {}
    for trace in workload.traces:
        isolated.setdefault(trace.network, []).append(trace.isolated)
    at, made = 0.0, []
    for index in range(workload.count):
        at += draw.expovariate(rate)
        trace = draw.choice(workload.traces)
        priority = draw.choice(workload.priorities)
        sample = draw.randrange(len(trace.latency))
        time = multiple * float(np.mean(isolated[trace.network]))
        request = Request(f'/{index}', known.work(trace), at, at + time, priority)
        request.latency, request.true_left, request.paces = trace.paths[sample]
        made.append(request)
    return made


def run(
    workload: RequestWorkload,
    scheduler: Scheduler,
    rate: float,
    multiple: float = 10.0,
    switch_cost: float | None = None,
    seed: int | None = None,
) -> RequestRun:
    """
    Serve the requests of a workload.

    :param scheduler: that has seen nothing yet
    :param switch_cost: s; that of the workload if none
    :param seed: that of the workload if none
    """
    cost = workload.switch_cost if switch_cost is None else switch_cost
    seed = workload.seed if seed is None else seed
    known = Known(workload.traces, scheduler.name in PATTERN_BLIND)
    coming = requests(workload, known, rate, multiple, seed)
    coming.reverse()
    now, parked = 0.0, 0
    waiting: list[Request] = []
    last: Request | None = None
    served = []
    while coming or waiting:
        if not waiting:
            now = max(now, coming[-1].arrival)
        while coming and coming[-1].arrival <= now:
            waiting.append(coming.pop())
        decision = scheduler.next(now, waiting)
        if isinstance(decision, Wait):
            now = min([decision.until, *(each.arrival for each in coming[-1:])])
            continue
        # Nobody may be dropped here, and a trace tells nothing of batches: a work has no larger.
        assert not isinstance(decision, Drop) and len(decision.jobs) == 1
        (job,) = decision.jobs
        assert isinstance(job, Request)
        if last is not None and last is not job:
            parked += 1
            now += cost
        now += job.latency[job.stage]
        job.spent += job.latency[job.stage]
        job.stage += 1
        job.last_run = now
        last = job
        if job.stage == len(job.latency):
            last = None
            waiting.remove(job)
            served.append(Served(job.arrival, job.deadline, now, job.true_left[0], job.priority))
        else:
            job.pace = job.paces[job.stage]
    return RequestRun(scheduler.name, rate, multiple, cost, seed, tuple(served), parked)
