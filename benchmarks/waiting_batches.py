# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What streaming systems do without a scheduler of frames: wait for a batch, then run it."""

from __future__ import annotations

from collections.abc import Sequence

from dynamic_dnn_ros.scheduling.contract import Decision, Job, Run, Scheduler, Wait

WINDOW = 1.0 / 60.0
"""s that the first frame of a batch waits for others at most: half a period of 30 Hz."""


class BatchAndWait(Scheduler):
    """Whole batches in the order in which their first frames arrived; a timeout ends the wait."""

    name = 'batch_and_wait'

    def __init__(self, streams: int, largest_batch: int, window: float = WINDOW) -> None:
        """
        Wait for a frame of each stream, or as many as run together.

        :param window: s that the first one waits at most
        """
        self._wanted = min(streams, largest_batch)
        self._window = window

    def next(self, now: float, jobs: Sequence[Job]) -> Decision:
        """Run what began; else the batch of the first frame, if it is full or waited enough."""
        begun = [job for job in jobs if job.begun]
        if begun:
            return Run((begun[0],))
        first = jobs[0]
        batch = [job for job in jobs if job.work is first.work][: self._wanted]
        until = first.arrival + self._window
        if len(batch) < self._wanted and now < until:
            return Wait(until)
        return Run(tuple(batch[: first.work.largest_batch]))
