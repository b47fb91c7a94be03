# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SDRM3: urgency and fairness."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final

from dynamic_dnn_ros.scheduling.contract import Job
from dynamic_dnn_ros.scheduling.policy import SHORTEST, Policy

ALPHA: Final = 1.0
"""What fairness counts against urgency."""


class Sdrm3(Policy):
    """
    The highest sum of urgency and fairness.

    SDRM3 (Kim et al., 2022), as Sparse-DySta compares with it:

        score = min(1, sum(est) / (deadline - now)) + alpha (now - last_run) / est[next stage]

    Corrected: in the published simulator the urgency of a frame past its deadline is negative, so
    late frames lost against all others. Here it is 1, the highest.
    """

    name = 'sdrm3'

    def choose(self, now: float, jobs: Sequence[Job]) -> Job:
        """Return the frame of the highest score."""
        best, highest = jobs[0], -inf
        for job in jobs:  # one pass without a function a job: it is asked before each stage
            work, stage = job.work, job.stage
            time, left = job.deadline - now, work.left_alone[stage]
            following = max(work.times[stage][0], SHORTEST)
            score = 1.0 if time <= left else left / time
            score += ALPHA * (now - job.last_run) / following
            if score > highest:
                best, highest = job, score
        return best
