# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What policies share: one frame at a time, and what becomes of those that cannot be on time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from dynamic_dnn_ros.scheduling.contract import Decision, Drop, Job, Run, Scheduler

SHORTEST = 1e-9
"""s; no work counts as shorter where something is divided by it."""


def hopeless(now: float, jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Return those that may be given up and would be late even if they ran at once."""
    may = [job for job in jobs if job.droppable]
    return tuple(job for job in may if job.slack(now) < 0.0)


def isolated(job: Job) -> float:
    """Return what a frame is expected to take alone, from its first stage, s, above 0."""
    return max(job.work.left_alone[0], SHORTEST)


class Policy(Scheduler):
    """A scheduler that runs one frame at a time, and drops late ones where it may."""

    def next(self, now: float, jobs: Sequence[Job]) -> Decision:
        """Give up what is late and may be, otherwise run one stage of one frame."""
        late = hopeless(now, jobs)
        if late:
            return Drop(late)
        return Run((self.choose(now, jobs),))

    @abstractmethod
    def choose(self, now: float, jobs: Sequence[Job]) -> Job:
        """
        Return whose stage runs next.

        :param now: s
        :param jobs: as `next` has them
        """
