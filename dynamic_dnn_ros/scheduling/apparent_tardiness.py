# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Our own: short frames first, urgent ones before them, and batches where they are faster."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf
from typing import Final

from dynamic_dnn_ros.scheduling.contract import Decision, Drop, Job, Run, Scheduler
from dynamic_dnn_ros.scheduling.policy import SHORTEST, hopeless, isolated

URGENCY: Final = 1.0
"""How much more a frame counts that has no slack left, against one that has plenty."""

HORIZON: Final = 0.2
"""Slack, as a share of the time from arrival to deadline, below which a frame becomes urgent."""

LONGEST_PASSING: Final = 1.0
"""What a frame that passes another one may take, as a multiple of what that one takes alone."""

RESERVE: Final = 0.1
"""What a frame takes may be this much longer where a higher priority waits for it."""

PATIENCE: Final = 30.0
"""A stream waits for its next stage for so many times the time that its frames have, at most."""


class ApparentTardiness(Scheduler):
    """
    The most value for the time that is left, where value grows as slack shrinks.

    Smith's rule (1956) makes the mean of latency over isolated latency the least: the frame with
    the least `left alone` first. The apparent tardiness cost (Vepsalainen and Morton 1987) raises
    the weight of what is about to be late. Both together, with `alone` what the frame takes alone
    at its pace, time = deadline - arrival and slack = deadline - now - left:

        index = left alone / (1 + URGENCY exp(-slack / (HORIZON time)))   slack >= 0
                left alone                                                slack < 0

    The least index runs. So a frame that is late already loses against one that can still be on
    time, but is not left behind all others.

    *Passing.* A frame that would be late if it waited for the best one runs before it where the
    best one can wait for that (or is late anyway), and is not much shorter.

    *Priority.* Frames of the highest priority run first. One of a lower priority passes them only
    where it would be late otherwise, and all of higher priority are on time with it.

    *Batch.* Frames of the same work at the same stage run with it where the table says that it is
    faster, and makes nobody late.

    *Nobody starves.* A stream that waited `PATIENCE` times the time of its frame (or the frame's
    isolated latency, where that is longer) gets one stage before all others.
    """

    name = 'apparent_tardiness'

    def __init__(self) -> None:
        """Know of no stream."""
        # By stream that waits: when it has waited too long, s.
        self._starves_at: dict[str, float] = {}

    def next(self, now: float, jobs: Sequence[Job]) -> Decision:
        """Give up what is late and may be, otherwise run a stage of the best frame."""
        late = hopeless(now, jobs)
        if late:
            return Drop(late)
        starved = self._starved(now, jobs)
        batch = jobs[:1] if len(jobs) == 1 else (starved or _choose(now, jobs))
        for job in batch:
            del self._starves_at[job.stream]
        return Run(tuple(batch))

    def _starved(self, now: float, jobs: Sequence[Job]) -> Sequence[Job]:
        """Note since when streams wait; return the frame of one that waited too long."""
        known = self._starves_at
        if len(known) > len(jobs):
            streams = {job.stream for job in jobs}
            known = self._starves_at = {s: at for s, at in known.items() if s in streams}
        starved: tuple[Job, ...] = ()
        earliest = now
        for job in jobs:
            starves_at = known.get(job.stream)
            if starves_at is None:
                time, alone = job.deadline - job.arrival, isolated(job)
                starves_at = now + PATIENCE * (max(time, alone) if time < inf else alone)
                known[job.stream] = starves_at
            elif starves_at < earliest:
                earliest, starved = starves_at, (job,)
        return starved


def _choose(now: float, jobs: Sequence[Job]) -> Sequence[Job]:
    best = _best_of_all(now, jobs)
    return (best,) if best.work.largest_batch == 1 else _batch(now, best, jobs)


def _index(now: float, job: Job) -> float:
    """Return a number by which frames are ordered: the least runs first."""
    left_alone, pace = job.work.left_alone, job.pace
    left = pace * left_alone[job.stage]
    value = left * max(left_alone[0], SHORTEST) * pace
    slack = job.deadline - now - left
    if 0.0 <= slack < inf:
        horizon = max(HORIZON * (job.deadline - job.arrival), SHORTEST)
        value /= 1.0 + URGENCY * exp(-slack / horizon)
    return value


def _best(now: float, jobs: Sequence[Job]) -> Job:
    """Return the frame that runs first of those of one priority."""
    best = min(jobs, key=lambda job: _index(now, job))
    if len(jobs) == 1:
        return best
    left, slack = best.remaining, best.slack(now)
    longest = LONGEST_PASSING * isolated(best)
    if slack >= 0.0:
        longest = min(longest, slack)
    passing = [
        job
        for job in jobs
        if job.remaining <= longest and 0.0 <= job.slack(now) < left and job is not best
    ]
    return min(passing, key=lambda job: _index(now, job)) if passing else best


def _best_of_all(now: float, jobs: Sequence[Job]) -> Job:
    """Return the best frame of the highest priority, or one that may pass it."""
    highest = max(job.priority for job in jobs)
    higher = [job for job in jobs if job.priority == highest]
    best = _best(now, higher)
    if len(higher) == len(jobs):
        return best
    left = best.remaining
    for priority in sorted({job.priority for job in jobs} - {highest}, reverse=True):
        level = [job for job in jobs if job.priority == priority]
        room = _room(now, higher)
        passing = [
            job
            for job in level
            if job.remaining * (1 + RESERVE) <= room and 0.0 <= job.slack(now) < left
        ]
        if passing:
            return _best(now, passing)
        higher += level
    return best


def _room(now: float, jobs: Sequence[Job]) -> float:
    """Return how long those that can be on time can wait together, s; negative: not at all."""
    least, end = inf, now
    for job in sorted(jobs, key=lambda job: job.deadline):
        if job.slack(now) >= 0.0:
            end += job.remaining
            least = min(least, job.deadline - end)
    return least


def _batch(now: float, best: Job, jobs: Sequence[Job]) -> Sequence[Job]:
    """Return a frame and those that run with it faster than after it, without harm to any."""
    work, stage = best.work, best.stage
    fellows = [job for job in jobs if job.work is work and job.stage == stage and job is not best]
    fellows.sort(key=lambda job: (-job.priority, job.deadline))
    alone = work.remaining(stage)
    batch, taken = [best], alone
    for fellow in fellows[: work.largest_batch - 1]:
        together = work.remaining(stage, len(batch) + 1)
        if together > taken + alone:
            break
        candidate = (*batch, fellow)
        # In the batch one has no more slack than the batch leaves it; the others wait longer.
        if any(job.slack(now) >= 0.0 and job.deadline < now + together for job in candidate):
            continue
        extra = together - alone
        if any(alone <= job.slack(now) < alone + extra for job in jobs if job not in candidate):
            continue
        batch.append(fellow)
        taken = together
    return batch
