# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fluid Batching: batches that are parked at an exit while others catch up, and then merge."""

from __future__ import annotations

from collections.abc import Sequence

from dynamic_dnn_ros.scheduling.contract import Decision, Drop, Job, Run, Scheduler, Work
from dynamic_dnn_ros.scheduling.policy import hopeless


class FluidBatching(Scheduler):
    """
    Batches of what waits. A running batch is parked at a stage where others can join it.

    After Fluid Batching (Kouris, Venieris, Laskaridis and Lane, ICCAD 2022): samples that leave at
    an exit make holes in a batch. At each stage the scheduler may park the batch, bring waiting
    samples to the same stage, and merge them, where a table T(stage, batch) says that every
    sample still has

        slack = deadline - now - (what is left of it) >= 0

    and that both together are done sooner than one after the other. Else the batch goes on. Only
    the scheduling is here, not their processor; where several networks wait, the one with the
    most urgent frame that can be on time is next, which they do not treat.
    """

    name = 'fluid_batching'

    def next(self, now: float, jobs: Sequence[Job]) -> Decision:
        """Give up what is late and may be, otherwise run a batch."""
        late = hopeless(now, jobs)
        if late:
            return Drop(late)
        first = min(jobs, key=lambda job: (job.slack(now) < 0.0, job.deadline, -job.priority))
        stages: dict[int, list[Job]] = {}
        for job in jobs:
            if job.work is first.work:
                stages.setdefault(job.stage, []).append(job)
        for each in stages.values():
            each.sort(key=lambda job: job.deadline)
        deepest, *behind = sorted(stages, reverse=True)
        batch = _batch(now, first.work, deepest, stages[deepest])
        room = first.work.largest_batch - len(batch)
        # Where stages branch, frames behind may never come to where these are.
        for stage in () if first.work.onward else behind:
            joining = stages[stage][:room]
            if not joining or not _merges(now, first.work, deepest, batch, stage, joining):
                break
            # Whoever lies behind them may catch up with them in turn.
            deepest, batch, room = stage, joining, room - len(joining)
        return Run(tuple(batch))


def _batch(now: float, work: Work, stage: int, jobs: Sequence[Job]) -> Sequence[Job]:
    """Return the largest batch of the most urgent that makes none of them late, or one frame."""
    for frames in range(min(len(jobs), work.largest_batch), 1, -1):
        batch = jobs[:frames]
        together = work.remaining(stage, frames)
        # One that is late anyway holds nobody up.
        if all(job.slack(now) < 0.0 or job.deadline >= now + together for job in batch) and (
            together <= frames * work.remaining(stage)
        ):
            return batch
    return jobs[:1]


def _merges(
    now: float, work: Work, deepest: int, batch: Sequence[Job], stage: int, joining: Sequence[Job]
) -> bool:
    """Tell whether a parked batch should wait for others to join it."""
    few, more = len(joining), len(joining) + len(batch)
    caught_up = work.remaining(stage, few) - work.remaining(deepest, few) * (
        work.reached[deepest] / (work.reached[stage] or 1.0)
    )
    merged = caught_up + work.remaining(deepest, more)
    apart = work.remaining(deepest, len(batch)) + work.remaining(stage, few)
    return merged < apart and all(
        job.slack(now) < 0.0 or job.deadline >= now + merged for job in (*batch, *joining)
    )
