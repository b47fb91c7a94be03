# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Streams in turns, a stage each."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from dynamic_dnn_ros.scheduling.contract import Job
from dynamic_dnn_ros.scheduling.policy import Policy


class RoundRobin(Policy):
    """
    The frame whose last stage ended longest ago, or that has waited longest: min last_run.

    Frames advance side by side, as where the operating system shares a processor.
    """

    name = 'round_robin'

    def choose(self, now: float, jobs: Sequence[Job]) -> Job:
        """Return the frame that was idle for longest."""
        return min(jobs, key=attrgetter('last_run'))
