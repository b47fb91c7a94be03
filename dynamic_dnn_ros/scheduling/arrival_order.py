# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whole frames in the order of their arrival: the first, or the newest."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from dynamic_dnn_ros.scheduling.contract import Job
from dynamic_dnn_ros.scheduling.policy import Policy


class FirstComeFirstServed(Policy):
    """The frame that arrived first: min arrival. No frame passes another one."""

    name = 'first_come'

    def choose(self, now: float, jobs: Sequence[Job]) -> Job:
        """Return the frame that arrived first."""
        return min(jobs, key=attrgetter('arrival'))


class NewestFrame(Policy):
    """
    Whole frames, the newest that waits first: max arrival.

    A frame that has begun runs to its end. Results are as young as can be, but where frames come
    faster than they are served, a stream may wait for ever.
    """

    name = 'newest_frame'

    def choose(self, now: float, jobs: Sequence[Job]) -> Job:
        """Return the frame that has begun, or the newest one."""
        return max(jobs, key=lambda job: (job.begun, job.last_run if job.begun else job.arrival))
