# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PREMA: tokens of priority and waiting, then the shortest."""

from __future__ import annotations

from collections.abc import Sequence

from dynamic_dnn_ros.scheduling.contract import Job
from dynamic_dnn_ros.scheduling.policy import Policy, isolated

THRESHOLDS = (9.0, 3.0)
"""Of tokens, the highest first; below the last one it is 1."""


class Prema(Policy):
    """
    The shortest of those with many tokens.

    PREMA (Choi and Rhu, HPCA 2020), as Sparse-DySta compares with it:

        token     = priority (1 + waited / isolated)
        threshold = 9 where the largest token has 9, else 3 where it has 3, else 1

    Of the frames with `token >= threshold` the one with the least sum(est) runs. Priorities were
    1, 3, 9; 0 counts as 1. Corrected: the published simulator adds the whole time since the last
    stage anew at each decision, so tokens grew with the number of decisions. Here each second of
    waiting counts once.
    """

    name = 'prema'

    def choose(self, now: float, jobs: Sequence[Job]) -> Job:
        """Return the shortest frame above the threshold."""
        tokens = [
            max(job.priority, 1) * (1.0 + max(now - job.arrival - job.spent, 0.0) / isolated(job))
            for job in jobs
        ]
        largest = max(tokens)
        threshold = next((level for level in THRESHOLDS if largest >= level), 1.0)
        rich = [job for job, token in zip(jobs, tokens) if token >= threshold]
        return min(rich, key=lambda job: job.work.left_alone[job.stage])
