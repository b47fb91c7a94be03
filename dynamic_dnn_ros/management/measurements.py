# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is measured of one application: its frames, its camera, and what it keeps busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
import math

from dynamic_dnn_ros.management.camera_variation import CameraVariation
from dynamic_dnn_ros.management.cpu_cores import CPU
from dynamic_dnn_ros.management.observations import Status

WINDOW = 128
"""Frames whose latency is kept."""

ENOUGH = 20
"""Frames after which a measured quantile counts."""

UNHURRIED = 0.8
"""Share of the camera's period within which a frame is served so that the next does not wait."""

RATE_WINDOW = 2.0
"""Seconds over which the rates of the camera and of the results are measured."""


class Measurements:
    """
    Rates, latencies and busy shares of one application.

    Latencies and the rate of results belong to the operating point in force and are forgotten
    with `restart`; the camera's rate stays.
    """

    def __init__(self) -> None:
        """Begin with nothing measured."""
        self._totals: deque[float] = deque(maxlen=WINDOW)
        self._overheads: deque[float] = deque(maxlen=WINDOW)
        self._waits: deque[float] = deque(maxlen=WINDOW)
        self._received: deque[tuple[float, int]] = deque()
        self._served: deque[tuple[float, int]] = deque()
        self._shares: dict[tuple[str, str], float] = {}
        self._last: Status | None = None
        self._camera_rate = math.nan
        self._variation = CameraVariation()

    def restart(self) -> None:
        """Forget what belongs to the operating point that is left."""
        self._totals.clear()
        self._served.clear()
        self._waits.clear()

    @property
    def frames(self) -> int:
        """Return the number of frames since the operating point was taken, up to the window."""
        return len(self._totals)

    @property
    def camera_rate(self) -> float:
        """Return the rate at which frames came last, Hz; NaN before it is known."""
        return self._camera_rate

    @property
    def camera_variation(self) -> float:
        """Return the standard deviation of the time between two frames over the period."""
        return self._variation.in_use

    @property
    def camera_is_known(self) -> bool:
        """Return whether that was measured."""
        return self._variation.is_known

    @property
    def overhead(self) -> float:
        """Return what a frame takes beside waiting for a predecessor and service, s."""
        return _quantile(sorted(self._overheads), 0.5) if self._overheads else 0.0

    @property
    def least_overhead(self) -> float:
        """Return what all frames take beside service, s, whether they wait for a turn or not."""
        return _quantile(sorted(self._overheads), 0.05) if self._overheads else 0.0

    def waiting(self, quantile: float | None = None) -> float:
        """
        Return what frames waited for their turns, s; NaN before enough were served.

        It is what they took beside service and what all of them take.

        :param quantile: of it; none: the mean
        """
        if len(self._waits) < ENOUGH:
            return math.nan
        if quantile is None:
            waited = sum(self._waits) / len(self._waits)
        else:
            waited = _quantile(sorted(self._waits), quantile)
        return max(waited - self.least_overhead, 0.0)

    @property
    def overhead_deviation(self) -> float:
        """Return the standard deviation of that, s, from its upper half."""
        if len(self._overheads) < ENOUGH:
            return 0.0
        ordered = sorted(self._overheads)
        return (_quantile(ordered, 0.9) - _quantile(ordered, 0.5)) / 1.2816

    def latency(self, quantile: float) -> float:
        """Return the measured latency at a quantile, s; NaN before enough frames were served."""
        if len(self._totals) < ENOUGH:
            return math.nan
        return _quantile(sorted(self._totals), quantile)

    def served_rate(self) -> float:
        """Return the measured rate of results, Hz; NaN before it is known."""
        return _rate(self._served) if len(self._totals) >= ENOUGH else math.nan

    def busy_share(self, processor: str, domain: str, cores: int = 1) -> float:
        """
        Return the share of its service time for which a processor keeps a domain busy, 0..1.

        Before it was measured: 1 for the domain of the processor's own name, 0 for others.

        :param cores: of the CPU, which is not busy while one of several is
        """
        share = self._shares.get((processor, domain))
        if share is None:
            return 1.0 if processor == domain else 0.0
        return min(share / cores if domain == CPU else share, 1.0)

    def count(self, status: Status, now: float) -> None:
        """Take the counters of any status into account."""
        if self._received and status.received < self._received[-1][1]:
            self._received.clear()
            self._served.clear()
        _append(self._received, now, status.received)
        _append(self._served, now, status.served)
        if now - self._received[0][0] >= 0.5:
            rate = _rate(self._received)
            if rate > 0:
                self._camera_rate = rate

    def frame(self, status: Status, period: float) -> None:
        """
        Take a served frame into account.

        :param period: of the camera, s; the overhead is learnt only from frames that were
            served well within it, since those did not wait for a predecessor
        """
        self._totals.append(status.total)
        self._variation.arrived(status.sent - status.total, period)
        self._waits.append(max(0.0, status.total - status.service))
        last, self._last = self._last, status
        # One that took a short path may have waited for one that took a long one.
        before = last.service if last is not None and last.exit_stage else 0.0
        if max(status.service, before) < UNHURRIED * period:
            self._overheads.append(max(0.0, status.total - status.service))
        if last is None or last.processor != status.processor or status.service <= 0:
            return
        if status.served == last.served + 1:
            self._learn_shares(status, last.busy)

    def _learn_shares(self, status: Status, before: Mapping[str, float]) -> None:
        for domain, busy in status.busy.items():
            if domain not in before:
                continue
            most = math.inf if domain == CPU else 1.0  # several cores are busy at once
            share = min(max((busy - before[domain]) / status.service, 0.0), most)
            key = (status.processor, domain)
            if math.isfinite(share):
                self._shares[key] = self._shares.get(key, share) * 0.9 + share * 0.1


def _quantile(ordered: Sequence[float], quantile: float) -> float:
    """Interpolate linearly; for so few values many times as fast as numpy."""
    place = quantile * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _append(samples: deque[tuple[float, int]], now: float, count: int) -> None:
    samples.append((now, count))
    while len(samples) > 2 and now - samples[0][0] > RATE_WINDOW:
        samples.popleft()


def _rate(samples: deque[tuple[float, int]]) -> float:
    if len(samples) < 2 or samples[-1][0] <= samples[0][0]:
        return math.nan
    return (samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0])
