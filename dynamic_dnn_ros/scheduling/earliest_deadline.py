# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Earliest deadline first, with admission."""

from __future__ import annotations

from collections.abc import Sequence

from dynamic_dnn_ros.scheduling.contract import Job
from dynamic_dnn_ros.scheduling.policy import Policy


class EarliestDeadlineFirst(Policy):
    """
    The frame with the earliest deadline of those that can be on time: min deadline.

    Where all deadlines can be kept it keeps them (Liu and Layland 1973). Under overload plain
    earliest deadline first runs frames that are late already, and makes the next ones late: here a
    frame that would be late even if it ran at once is not admitted, and runs when no other waits.
    Of equal deadlines the higher priority is first.
    """

    name = 'earliest_deadline'

    def choose(self, now: float, jobs: Sequence[Job]) -> Job:
        """Return the most urgent frame that can be on time, or else the most urgent one."""
        return min(jobs, key=lambda job: (job.slack(now) < 0.0, job.deadline, -job.priority))
