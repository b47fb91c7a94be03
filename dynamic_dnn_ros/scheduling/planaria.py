# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Planaria: priority against the time to the deadline."""

from __future__ import annotations

from collections.abc import Sequence

from dynamic_dnn_ros.scheduling.contract import Job
from dynamic_dnn_ros.scheduling.policy import Policy


class Planaria(Policy):
    """
    The highest priority against time.

    Planaria (Ghodrati et al., MICRO 2020), without its fission of the processor, as Sparse-DySta
    compares with it:

        score = priority / (deadline - now)

    Priority 0 counts as 1. Corrected: in the published simulator the score of a frame past its
    deadline is negative, so late frames lost against all others. Here they come first, by
    priority and then by deadline.
    """

    name = 'planaria'

    def choose(self, now: float, jobs: Sequence[Job]) -> Job:
        """Return the frame of the highest score."""

        def score(job: Job) -> tuple[bool, float, float]:
            priority = max(job.priority, 1)
            time = job.deadline - now
            if time <= 0.0:
                return True, priority, -job.deadline
            return False, priority / time, 0.0

        return max(jobs, key=score)
