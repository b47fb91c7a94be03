# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is learnt of one application from its frames."""

from __future__ import annotations

from copy import copy
import math

from dynamic_dnn_ros.management.application_level import ApplicationLevel
from dynamic_dnn_ros.management.difficulty import Difficulty
from dynamic_dnn_ros.management.estimator import SlowDownFilter
from dynamic_dnn_ros.management.measurements import Measurements
from dynamic_dnn_ros.management.observations import Status
from dynamic_dnn_ros.management.queueing import AS_PREDICTED, Waited
from dynamic_dnn_ros.management.tables import Option

PREPROCESSING_WEIGHT = 0.1
"""Weight of one frame in the time that preprocessing takes."""

DISTURBED = 20
"""Frames after a step of the slow-down before frames count as waiting behind timely ones again."""

PREPROCESSING_STEP = 1.25
"""Factor by which that time departs from the one in use before that follows."""

PAUSE = 2.0
"""
Seconds without a frame after which a processor may have gone to sleep: a GPU whose power is gated,
clocks at their lowest, caches that others have filled. The frame that wakes it up is slow.
"""

PAUSE_PERIODS = 3.0
"""Periods of its camera that have to be missed too: one frame every 3 s is no pause."""

QUEUEING_STEP = 1.25
"""Factor by which waiting for turns departs from what is in use before that follows."""

QUEUEING_BOUNDS = (0.25, 16.0)
"""Between which what frames waited is believed, as multiples of what was predicted."""


OCCUPANCY_WEIGHT = 0.05
"""Weight of one frame in what it has of the processor, as a share of what it takes alone."""

OCCUPANCY_STEP = 1.1
"""Factor by which that share departs from the one in use before that follows."""


class Learning:
    """
    Slow-down, difficulty of the scene, rates, latencies, and what the last frame gave reason to
    suspect.

    Only the methods below change what is learnt; all else reads.

    :param dwell: of the application level, s
    """

    def __init__(self, dwell: float) -> None:
        """Begin at what the profile says."""
        self.measurements = Measurements()
        self.level = ApplicationLevel(dwell)
        self.scene = Difficulty()
        self._preprocessing = 0.0
        self._preprocessing_in_use = 0.0
        self._slow_down = SlowDownFilter()
        self._contention = 1.0
        self._is_planned_for = False
        self._queueing = AS_PREDICTED
        self._occupancy = 1.0
        self._occupancy_in_use = 1.0
        self._suspected = 0.0
        # Frames still to come before those that waited behind a late one are through.
        self._disturbed = 0
        # Frames still to come that belong to a change and say nothing of the operating point.
        self._skip = 0
        self._behind_overrun = False
        self._served = math.inf
        self._last: Option = ('', '')

    @property
    def slow_down(self) -> SlowDownFilter:
        """Return the slow-down as it is estimated."""
        return self._slow_down

    @property
    def contention(self) -> float:
        """Return the factor by which others on its processor make service last longer."""
        return self._contention

    @property
    def is_disturbed(self) -> bool:
        """Tell whether its frames have just become slower, so that some wait behind late ones."""
        return self._disturbed > 0

    @property
    def is_planned_for(self) -> bool:
        """
        Tell whether a plan has said yet what others on its processor make of its frames.

        Before that, a slow frame may be a busy neighbour as well as a slow board.
        """
        return self._is_planned_for

    @property
    def queueing(self) -> Waited:
        """Return what frames waited for their turns, as multiples of what was predicted."""
        return self._queueing

    @property
    def occupancy(self) -> float:
        """Return what a frame has of its processor, as a share of what it takes alone."""
        return self._occupancy_in_use

    def occupy(self, share: float) -> None:
        """Take that share of a frame into account, 1 where it ran alone."""
        self._occupancy += OCCUPANCY_WEIGHT * (share - self._occupancy)
        low, high = sorted((self._occupancy, self._occupancy_in_use))
        if high > low * OCCUPANCY_STEP:
            self._occupancy_in_use = self._occupancy

    @property
    def supposed(self) -> SlowDownFilter:
        """Return a copy of the slow-down, or what one frame gives reason to suspect of it."""
        slow_down = self._slow_down
        return slow_down.supposing(self._suspected) if self._suspected else copy(slow_down)

    @property
    def preprocessing(self) -> float:
        """Return what each path takes besides its work, s, by the clock of the profile."""
        return self._preprocessing_in_use

    def learn_preprocessing(self, seconds: float) -> None:
        """Take the preprocessing of a frame into account; what is in use follows in steps."""
        profiled = seconds / (self._slow_down.mean * self._contention)
        weight = PREPROCESSING_WEIGHT if self._preprocessing else 1.0
        self._preprocessing += weight * (profiled - self._preprocessing)
        low, high = sorted((self._preprocessing, self._preprocessing_in_use))
        if high > low * PREPROCESSING_STEP:
            self._preprocessing_in_use = self._preprocessing

    def measure(self, status: Status, settling: bool, now: float) -> bool:
        """
        Measure a served frame; tell whether it says something of the operating point.

        It does not where it is no figure of the board, may have waited for such a one, belongs to
        a change, or is the first after a pause: a processor that was idle wakes up for it.

        :param settling: whether the clocks may have changed while it was in work
        :param now: when it was heard of, s
        """
        rested = self._has_rested(now)
        told = math.isfinite(status.total) and 0 < status.service < math.inf
        if status.overrun or not told:
            self._behind_overrun = True
            return False
        if self._behind_overrun:
            self._behind_overrun = False
            return False
        option = (status.sub_network, status.processor)
        if option != self._last:
            self._last = option
            self.restart()
        rate = self.measurements.camera_rate
        self.measurements.frame(status, 1 / rate if rate > 0 else math.inf)
        if rested:
            return False
        if self._skip or settling:
            self._skip = max(self._skip - 1, 0)
            return False
        return True

    def _has_rested(self, now: float) -> bool:
        """Return whether nothing was served for a while, as is usual for its camera, till now."""
        rate, last, self._served = self.measurements.camera_rate, self._served, now
        pause = max(PAUSE, PAUSE_PERIODS / rate) if rate > 0 else PAUSE
        return now - last > pause

    def restart(self) -> None:
        """Note that a frame may have been in work when clocks or sub-network changed."""
        self.measurements.restart()
        self._skip = 1

    def forget(self) -> None:
        """Forget the slow-down: the profile is another one."""
        self._slow_down = SlowDownFilter()

    def rebase(self, factor: float) -> None:
        """Keep what is measured where the profile is another one: it was `factor` times it."""
        if 0.0 < factor < math.inf:
            self._slow_down.rebase(factor)

    def suspect(self, ratio: float) -> None:
        """Suspect that all frames will be as slow as one was; 0: nothing is suspected."""
        self._suspected = ratio
        if ratio:
            self._disturbed = DISTURBED

    def meet(self, contention: float) -> None:
        """Note the factor by which others on its processor make service last longer."""
        self._contention, self._is_planned_for = contention, True

    def queue(self, predicted: tuple[float, float], quantile: float) -> None:
        """
        Learn from what frames waited; what is in use follows in steps.

        :param predicted: what they were to wait for their turns by what is in use, s, in the mean
            and at a quantile; 0: nobody takes turns with it
        """
        least, most = QUEUEING_BOUNDS
        measured = (self.measurements.waiting(), self.measurements.waiting(quantile))
        in_use = list(self._queueing)
        for place, (was, expected) in enumerate(zip(measured, predicted)):
            if expected > 0.0 and math.isfinite(was):
                found = min(max(in_use[place] * was / expected, least), most)
                low, high = sorted((found, in_use[place]))
                if high > low * QUEUEING_STEP:
                    in_use[place] = found
        self._queueing = Waited(*in_use)

    def update(self, ratio: float, dispersion: float) -> bool:
        """
        Take a frame into account; tell whether the slow-down has stepped.

        :param ratio: measured over profiled mean latency
        :param dispersion: standard deviation over mean of the profile's latency
        """
        stepped = self._slow_down.update(ratio, dispersion)
        self._disturbed = max(self._disturbed - 1, 0)
        if stepped:
            self.level.confirm()
            self._disturbed = DISTURBED
        return stepped
