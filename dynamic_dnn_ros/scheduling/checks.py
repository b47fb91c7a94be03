# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What every scheduler must keep, as a check for tests: of this package's schedulers and of yours.

    from dynamic_dnn_ros.scheduling.checks import check_scheduler

    def test_my_scheduler():
        check_scheduler(MyScheduler)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math
import random

from dynamic_dnn_ros.scheduling.contract import Drop, Job, Scheduler, Wait, Work
from dynamic_dnn_ros.scheduling.rules import broken_rule

#: Drawn schedules; together some thousand frames.
_SCHEDULES = 40

#: Streams and frames of a schedule, at most.
_STREAMS = 6
_FRAMES = 8

#: s, for which a scheduler may let the processor idle while nothing arrives.
_IDLE = 60.0


@dataclass(frozen=True)
class Frame:
    """
    A frame that will arrive, with what its stages really take.

    :param stream: whose it is
    :param job: as it is offered
    :param times: s, of each stage that it goes through: fewer than its work has where it leaves
        early
    """

    stream: str
    job: Job
    times: tuple[float, ...]


def check_scheduler(make: Callable[[], Scheduler]) -> None:
    """
    Check that a scheduler keeps its contract, on drawn schedules, the same ones each time.

    :param make: makes one that has seen nothing yet
    :raises AssertionError: naming what is not kept
    """
    name = make().name
    assert isinstance(name, str) and name, 'a scheduler has a name'
    for seed in range(_SCHEDULES):
        run_schedule(make(), drawn_frames(random.Random(seed)))


def drawn_frames(draw: random.Random) -> list[Frame]:
    """Draw frames of some streams: works, early exits, deadlines, priorities of any kind."""
    works = []
    for index in range(draw.randint(1, 3)):
        stages, batch = draw.randint(1, 4), draw.randint(1, 3)
        gain = draw.uniform(0.3, 1.0)
        alone = [draw.uniform(0.001, 0.02) for _ in range(stages)]
        reached = [1.0]
        for _ in alone[1:]:
            reached.append(reached[-1] * draw.choice((1.0, 0.5)))
        times = tuple(
            tuple(each * (1 + gain * (frames - 1)) for frames in range(1, batch + 1))
            for each in alone
        )
        works.append(Work(f's{index}', times, tuple(reached)))
    crowded = draw.choice((0.2, 1.0, 3.0))
    priorities = draw.choice(((0,), (0, 1, 9), tuple(range(256))))
    frames = []
    for index in range(draw.randint(1, _STREAMS)):
        stream, at = f'/stream{index}', draw.uniform(0.0, 0.02)
        time = draw.choice((math.inf, 0.0, 1e-6, 0.01, 0.1, 1.0))
        priority, droppable = draw.choice(priorities), draw.random() < 0.3
        for _ in range(draw.randint(1, _FRAMES)):
            work = draw.choice(works)
            job = Job(stream, work, at, at + time, priority, droppable)
            pace = draw.choice((1.0, draw.uniform(0.5, 2.0)))
            gone = draw.randint(1, work.stages) if work.reached[-1] < 1.0 else work.stages
            frames.append(Frame(stream, job, tuple(row[0] * pace for row in work.times[:gone])))
            at += draw.expovariate(crowded / 0.02)
    return frames


def run_schedule(scheduler: Scheduler, frames: Sequence[Frame]) -> dict[int, float | None]:
    """
    Run frames to the end and check each decision; streams are first in, first out.

    :return: by the place of a frame, when it was done, s; None: it was given up
    :raises AssertionError: naming what is not kept
    """
    queue = sorted(range(len(frames)), key=lambda index: frames[index].job.arrival)
    ends: dict[int, float | None] = {}
    waiting: dict[str, list[int]] = {}
    now = 0.0
    decisions = sum(frame.job.work.stages + 2 for frame in frames)
    idle = 0.0
    while queue or waiting:
        while queue and frames[queue[0]].job.arrival <= now:
            index = queue.pop(0)
            waiting.setdefault(frames[index].stream, []).append(index)
        if not waiting:
            now = frames[queue[0]].job.arrival
            continue
        heads = sorted(
            (each[0] for each in waiting.values()), key=lambda index: frames[index].job.arrival
        )
        jobs = [frames[index].job for index in heads]
        before = [vars(job).copy() for job in jobs]
        decision = scheduler.next(now, jobs)
        assert before == [vars(job) for job in jobs], 'a scheduler changes no job'
        problem = broken_rule(decision, now, jobs)
        assert not problem, f'a scheduler keeps the contract, and here {problem}'
        if isinstance(decision, Wait):
            until = min([decision.until, *(frames[index].job.arrival for index in queue[:1])])
            idle += until - now
            assert idle < _IDLE, 'a processor does not idle for ever while frames wait'
            now = until
            continue
        decisions -= 1
        assert decisions >= 0, 'no stage runs twice'
        chosen = [index for index in heads if any(frames[index].job is j for j in decision.jobs)]
        if isinstance(decision, Drop):
            for index in chosen:
                ends[index] = None
                _leave(waiting, frames[index].stream)
            continue
        now = _run(now, [frames[index] for index in chosen])
        for index in chosen:
            if frames[index].job.stage == len(frames[index].times):
                assert index not in ends, 'no frame is served twice'
                ends[index] = now
                _leave(waiting, frames[index].stream)
    assert len(ends) == len(frames), 'no frame is lost'
    return ends


def _run(now: float, batch: Sequence[Frame]) -> float:
    """Run a stage of a batch, and return when it ends, s."""
    stage = batch[0].job.stage
    row = batch[0].job.work.times[stage]
    slowest = max(frame.times[stage] for frame in batch)
    took = slowest * row[len(batch) - 1] / row[0]
    for frame in batch:
        job = frame.job
        expected = sum(each[0] for each in job.work.times[: stage + 1])
        job.pace = sum(frame.times[: stage + 1]) / expected
        job.stage, job.spent, job.last_run = stage + 1, job.spent + took, now + took
    return now + took


def _leave(waiting: dict[str, list[int]], stream: str) -> None:
    waiting[stream].pop(0)
    if not waiting[stream]:
        del waiting[stream]
