# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SDRM3: urgency and fairness."""

from __future__ import annotations

from collections.abc import Sequence
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

        def score(job: Job) -> float:
            time = job.deadline - now
            left = job.work.remaining(job.stage)
            urgency = 1.0 if time <= left else left / time
            following = max(job.work.times[job.stage][0], SHORTEST)
            return urgency + ALPHA * (now - job.last_run) / following

        return max(jobs, key=score)
