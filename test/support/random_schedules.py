# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Drawn schedules of a processor: streams, frames, switches, and schedulers of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import random
import time
from typing import Any

from hypothesis import strategies as st

from dynamic_dnn_ros.scheduling.contract import Decision, Drop, Job, Run, Scheduler, Wait
from dynamic_dnn_ros.scheduling.registry import create_scheduler, scheduler_names
from dynamic_dnn_ros.serving.frames import CameraFrame
from dynamic_dnn_ros.serving.processor_loop import ProcessorLoop
from dynamic_dnn_ros.serving.stage_times import StageTimes
from dynamic_dnn_ros.serving.stream import Terms
from support.streams import (
    FAILS,
    CountingLender,
    NotingNetwork,
    Outcome,
    answer,
    frame,
    make_stream,
    picture,
    undisturbed,
)

STREAMS = 4


class Moody(Scheduler):
    """Keeps the contract, and decides at random within it."""

    name = 'moody'

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def next(self, now: float, jobs: Sequence[Job]) -> Decision:
        draw = self.draw
        first = draw.choice(list(jobs))
        if draw.random() < 0.1:
            return Wait(now + draw.choice((0.1, 5.0)))
        droppable = tuple(job for job in jobs if job.droppable and job.slack(now) < 0.0)
        if droppable and draw.random() < 0.2:
            return Drop(droppable)
        alike = [
            job
            for job in jobs
            if job is not first and job.work is first.work and job.stage == first.stage
        ]
        more = draw.randint(0, min(len(alike), first.work.largest_batch - 1))
        return Run((first, *alike[:more]))


class Hostile(Moody):
    """Keeps nothing."""

    name = 'hostile'

    def next(self, now: float, jobs: Sequence[Job]) -> Any:
        draw = self.draw
        one = draw.choice(list(jobs))
        kind = draw.randint(0, 9)
        if kind == 0:
            raise ValueError('no idea')
        return {
            1: None,
            2: Run(()),
            3: Run((one, one)),
            4: Drop(tuple(jobs)),
            5: Wait(now - 1.0),
            6: Wait(),
            7: Run(tuple(jobs)),
            8: Run((Job('nobody', one.work, now),)),
        }.get(kind) or super().next(now, jobs)


@dataclass(frozen=True)
class Schedule:
    """
    What happens on a processor.

    :param scheduler: a name, or `moody`, `hostile` or nothing
    :param actions: what each is: a name, a stream, and a choice of its own
    """

    scheduler: str
    seed: int
    stages: tuple[int, int]
    largest_batch: int
    actions: list[tuple[str, int, int]] = field(default_factory=list)


_KINDS = ('frame', 'frame', 'frame', 'turn', 'turn', 'turn', 'bad', 'switch', 'terms', 'remove')

SCHEDULES = st.builds(
    Schedule,
    st.sampled_from(['', 'moody', 'moody', 'hostile', *scheduler_names()]),
    st.integers(0, 2**16),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from(_KINDS), st.integers(0, STREAMS - 1), st.integers(0, 3)),
        max_size=60,
    ),
)


def _scheduler(schedule: Schedule) -> Scheduler | None:
    own = {'moody': Moody, 'hostile': Hostile}
    if schedule.scheduler in own:
        return own[schedule.scheduler](schedule.seed)
    return create_scheduler(schedule.scheduler) if schedule.scheduler else None


class _Play:
    """A processor without a thread, whose turns are taken one by one."""

    def __init__(self, schedule: Schedule) -> None:
        self.networks = [
            NotingNetwork(f's{index}', stages, schedule.largest_batch)
            for index, stages in enumerate(schedule.stages)
        ]
        self.loop = ProcessorLoop('cpu', _scheduler(schedule), lambda stream, processor: None)
        times = StageTimes()
        self.lenders = [CountingLender(self.networks[0]) for _ in range(STREAMS)]
        self.outcomes = [Outcome() for _ in range(STREAMS)]
        self.streams = [
            make_stream(f'stream{index}', lender, outcome, times)
            for index, (lender, outcome) in enumerate(zip(self.lenders, self.outcomes))
        ]
        for stream in self.streams:
            self.loop.add(stream)
        self.put: list[list[int]] = [[] for _ in self.streams]
        self.broken: set[int] = set()
        self.count = 0
        self.ahead = 0.0

    def act(self, kind: str, index: int, choice: int) -> None:
        stream = self.streams[index]
        if kind in ('frame', 'bad') and not stream.leaving:
            # Values from both halves, since the second leaves early.
            value, self.count = (self.count * 2 + self.count // 64) % FAILS, self.count + 1
            self.put[index].append(value)
            if kind == 'bad':
                self.broken.add(value)
                bad = CameraFrame(picture(FAILS), time.monotonic(), value)
                stream.put(frame(value, broken=True) if choice % 2 else bad)
            else:
                stream.put(frame(value))
        elif kind == 'turn':
            self.turn()
        elif kind == 'switch':
            self.lenders[index].serving = self.networks[choice % 2]
        elif kind == 'terms':
            latency = (None, 1e-6, 0.01, 10.0)[choice]
            stream.terms = Terms(latency, priority=choice, droppable=choice < 3)
        elif kind == 'remove' and choice == 0:
            stream.mailbox.close()
            stream.leaving = True
            stream.abandoned = bool(index % 2)

    def turn(self) -> bool:
        """Take one; tell whether something was left to be done."""
        now = time.monotonic() + self.ahead
        until = self.loop.turn(now)
        if until is None:
            return True
        if until == float('inf'):
            return False
        assert until > now
        self.ahead += until - now
        return True


def play(schedule: Schedule) -> None:
    """
    Let a schedule happen, to its end.

    :raises AssertionError: where a frame is lost, served twice, before an earlier one, or
        otherwise than undisturbed; where a stage runs twice, or a lease is kept
    """
    playing = _Play(schedule)
    for action in schedule.actions:
        playing.act(*action)
    turns = 0
    while playing.turn():
        turns += 1
        assert turns < 1000, 'it comes to an end'
    for stream in playing.streams:
        stream.mailbox.close()
        stream.leaving = True
    playing.turn()
    for network in playing.networks:
        assert all(count == 1 for count in network.ran.values()), 'nothing is computed twice'
        assert all(len(batch) <= schedule.largest_batch for batch in network.batches)
    for index, (stream, outcome) in enumerate(zip(playing.streams, playing.outcomes)):
        assert stream.gone.is_set() and playing.lenders[index].lent == 0
        told = [value for _, value in outcome.told]
        put = playing.put[index]
        assert [value for value in put if value in set(told)] == told, 'in order, each once'
        counts = (stream.served, stream.rejected, stream.dropped, stream.mailbox.replaced)
        assert sum(counts) == len(put) == stream.mailbox.received, 'none is lost'
        for served in outcome.served:
            value = served.frame.origin
            assert value not in playing.broken
            (network,) = [each for each in playing.networks if _is(each, served.sub_network)]
            stage, scores = undisturbed(network, value)
            assert (served.exit_stage, answer(served.result)) == (stage, scores)
            assert served.batch <= schedule.largest_batch and served.parked >= 0


def _is(network: NotingNetwork, name: str) -> bool:
    return network.sub_network.id == name
