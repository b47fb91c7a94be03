# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Dysta: what is known of a network before, and what its own path tells while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final

from dynamic_dnn_ros.scheduling.contract import Job
from dynamic_dnn_ros.scheduling.policy import Policy, isolated

BETA: Final = 0.01
"""What urgency and idling count against the time that is left."""


class Dysta(Policy):
    """
    Least time left, corrected by urgency and by how long it was idle.

    Sparse-DySta (Fan et al., MICRO 2023), with N frames that wait:

        left  = gamma sum(est)
        score = left + beta (max(0, deadline - now - left) + (now - last_run) / isolated / N)

    The least score runs. `est` is the static part, a table by sparsity pattern; gamma the dynamic
    one: how much more or less the stages so far took than expected (`Job.pace`). Deadlines that
    are infinite count last.
    """

    name = 'dysta'

    def left(self, job: Job) -> float:
        """Return what is left of a frame, s."""
        return job.remaining

    def isolated(self, job: Job) -> float:
        """Return what a frame takes alone, s."""
        return isolated(job)

    def choose(self, now: float, jobs: Sequence[Job]) -> Job:
        """Return the frame of the least score."""
        count = len(jobs)
        best, least, shortest = jobs[0], inf, inf
        for job in jobs:  # one pass without a function a job: it is asked before each stage
            left = self.left(job)
            urgency = job.deadline - now - left
            idle = (now - job.last_run) / self.isolated(job) / count
            score = left + BETA * ((urgency if urgency > 0.0 else 0.0) + idle)
            if score < least or (score == least and left < shortest):
                best, least, shortest = job, score, left
        return best
