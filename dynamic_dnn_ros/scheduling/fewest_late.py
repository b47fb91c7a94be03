# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Our own: as many frames on time as can be, and among these the quickest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import heapq
import math

from dynamic_dnn_ros.scheduling.contract import Decision, Drop, Job, Run, Scheduler
from dynamic_dnn_ros.scheduling.policy import hopeless, isolated

PATIENCE = 10.0
"""A stream waits for its next stage for so many times the time that its frames have, at most."""

RESERVE = 0.1
"""What a frame takes may be this much longer than expected where another one lets it pass."""


class FewestLate(Scheduler):
    """
    Admits the largest set of frames that can all be on time, and lets short ones pass in it.

    1. *Admission.* In the order of deadlines, whenever a frame would be late, the longest so far
       is put back (Moore 1968, Hodgson): no other order has fewer late ones. Frames of a higher
       priority are admitted first, and none of a lower one is if it makes them late.
    2. *Order.* Of the frames that all admitted ones have enough slack for, admitted or not, the
       one of the highest priority runs, and of these the one with the least `left isolated`,
       which makes the mean of latency over isolated latency the least (Smith 1956). The most
       urgent admitted frame needs no slack of others, so one always can run. So urgent frames
       wait no longer than their slack, and what is late already runs while it harms nobody.
    3. *Batch.* Frames of the same work at the same stage run with it where the table says that
       it is faster and no admitted frame becomes late.
    4. *Nobody starves.* A stream that waited `PATIENCE` times its time for a frame (or the frame's
       isolated latency, where that is longer) gets one stage before all others.
    """

    name = 'fewest_late'

    def __init__(self) -> None:
        """Know of no stream."""
        self._waits_since: dict[str, float] = {}

    def next(self, now: float, jobs: Sequence[Job]) -> Decision:
        """Give up what is late and may be, otherwise run a stage of the best frame."""
        late = hopeless(now, jobs)
        if late:
            return Drop(late)
        batch = (jobs[0],) if len(jobs) == 1 else self._choose(now, jobs)
        self._waits_since = {job.stream: self._waits_since.get(job.stream, now) for job in jobs}
        for job in batch:
            del self._waits_since[job.stream]
        return Run(batch)

    def _choose(self, now: float, jobs: Sequence[Job]) -> tuple[Job, ...]:
        starved = self._starved(now, jobs)
        if starved is not None:
            return (starved,)
        left = {id(job): job.remaining for job in jobs}
        admitted = _admitted(now, jobs, left)
        passing = _may_pass(now, admitted, left)
        room = passing[-1]
        positions = {id(job): index for index, job in enumerate(admitted)}
        best, worth = admitted[0] if admitted else jobs[0], (-math.inf, math.inf)
        for job in jobs:
            remaining = left[id(job)]
            index = positions.get(id(job))
            slack = room if index is None else passing[index]
            if remaining * (1.0 + RESERVE) <= slack:
                value = (job.priority, -remaining * isolated(job))
                if value > worth:
                    best, worth = job, value
        if best.work.largest_batch == 1:
            return (best,)
        return _batch(now, best, jobs, admitted, left)

    def _starved(self, now: float, jobs: Sequence[Job]) -> Job | None:
        """Return the frame of the stream that waited longest of those that waited too long."""
        found, longest = None, 0.0
        for job in jobs:
            waited = now - self._waits_since.get(job.stream, now)
            if waited > longest:
                time = job.deadline - job.arrival
                alone = isolated(job)
                if waited > PATIENCE * (max(time, alone) if math.isfinite(time) else alone):
                    found, longest = job, waited
        return found


def _admitted(now: float, jobs: Sequence[Job], left: Mapping[int, float]) -> list[Job]:
    """Return the largest set that can be on time, higher priorities first, by deadline."""
    levels: dict[int, list[Job]] = {}
    for job in jobs:
        if now + left[id(job)] <= job.deadline:
            levels.setdefault(job.priority, []).append(job)
    admitted: list[Job] = []
    for priority in sorted(levels, reverse=True):
        admitted = _with(now, admitted, levels[priority], left)
    return admitted


def _with(
    now: float, admitted: Sequence[Job], level: Sequence[Job], left: Mapping[int, float]
) -> list[Job]:
    """Return what is admitted, and as many of a lower priority as keep all on time."""
    higher = {id(job) for job in admitted}
    ordered = sorted((*admitted, *level), key=lambda job: job.deadline)
    longest: list[tuple[float, int]] = []
    put_back: set[int] = set()
    end = now
    for index, job in enumerate(ordered):
        end += left[id(job)]
        if id(job) not in higher:
            heapq.heappush(longest, (-left[id(job)], index))
        while end > job.deadline and longest:
            negative, which = heapq.heappop(longest)
            end += negative
            put_back.add(which)
    return [job for index, job in enumerate(ordered) if index not in put_back]


def _may_pass(now: float, admitted: Sequence[Job], left: Mapping[int, float]) -> list[float]:
    """
    Return what all admitted frames before a place can wait, s, for each place and after the last.

    :param admitted: by deadline
    """
    least, end = math.inf, now
    found = [least]
    for job in admitted:
        end += left[id(job)]
        least = min(least, job.deadline - end)
        found.append(least)
    return found


def _batch(
    now: float, best: Job, jobs: Sequence[Job], admitted: Sequence[Job], left: Mapping[int, float]
) -> tuple[Job, ...]:
    """Return a frame and those that run with it faster than after it, without harm to any."""
    work, stage = best.work, best.stage
    fellows = sorted(
        (each for each in jobs if each.work is work and each.stage == stage and each is not best),
        key=lambda job: (-job.priority, job.deadline),
    )
    batch = [best]
    for fellow in fellows[: work.largest_batch - 1]:
        frames = len(batch) + 1
        together = work.remaining(stage, frames)
        if together > work.remaining(stage, frames - 1) + work.remaining(stage):
            break
        if _on_time(now + together, (*batch, fellow), admitted, left):
            batch.append(fellow)
    return tuple(batch)


def _on_time(
    end: float, batch: Sequence[Job], admitted: Sequence[Job], left: Mapping[int, float]
) -> bool:
    """Tell whether all admitted frames stay on time where a batch runs first, to an end, s."""
    members = {id(job) for job in batch}
    after = end
    for job in admitted:
        if id(job) not in members:
            after += left[id(job)]
        if (end if id(job) in members else after) > job.deadline:
            return False
    return True
