# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shortest job first, at stages."""

from __future__ import annotations

from collections.abc import Sequence

from dynamic_dnn_ros.scheduling.contract import Job
from dynamic_dnn_ros.scheduling.policy import Policy


class ShortestJobFirst(Policy):
    """
    The frame of which least is left: min sum(est).

    `est` are the averages that are known of the stages left. As published with Sparse-DySta
    (MICRO 2023) it does not look at what the stages of this very frame took. Long frames may
    wait for ever.
    """

    name = 'shortest_job'

    def choose(self, now: float, jobs: Sequence[Job]) -> Job:
        """Return the frame of which least is left."""
        return min(jobs, key=lambda job: job.work.left_alone[job.stage])
