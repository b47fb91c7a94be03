# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What served frames and the platform's load told, kept as means of each operating point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.observations import Load, Status

FloatArray = NDArray[np.float64]
Clocks = tuple[float, ...]
Option = tuple[str, str]

ENOUGH_FRAMES = 8
"""Frames at one operating point from which on their mean counts."""

ENOUGH_LOADS = 5
"""Samples of the load at one setting from which on their mean counts."""

MOST_POINTS = 128
"""Operating points that are remembered; the one that was heard of longest ago is forgotten."""

FRAME_DEVIATION = 0.04
"""Of one frame, as a share of the mean."""

QUIET = 0.02
"""Share of a domain up to which load that is not ours is no disturbance."""

CONTENTION = 0.03
"""Deviation that a mean gains where others make its frames last twice as long."""

AGEING = 2e-5
"""Deviation that a mean gains with each second since it was measured: boards and rooms change."""


@dataclass
class FramePoint:
    """Frames of one sub-network on one processor at one setting; sums, seconds."""

    frames: int = 0
    seconds: float = 0.0
    disturbance: float = 0.0
    busy: dict[str, float] = field(default_factory=dict)
    counted: int = 0
    last: float = 0.0

    @property
    def mean(self) -> float:
        """Return the mean of preprocessing and inference, s."""
        return self.seconds / self.frames

    def deviation(self, now: float) -> float:
        """Return the standard deviation of the mean, as a share of it."""
        return math.sqrt(
            FRAME_DEVIATION**2 / self.frames
            + (self.disturbance / self.frames) ** 2
            + (AGEING * max(now - self.last, 0.0)) ** 2
        )


@dataclass
class LoadPoint:
    """Samples of the load at one setting while the same served; sums."""

    samples: int = 0
    watts: float = 0.0
    busy: FloatArray = field(default_factory=lambda: np.zeros(0))
    last: float = 0.0


class FrameEvidence:
    """The frames of one application."""

    def __init__(self) -> None:
        """Begin with none."""
        self.points: dict[tuple[Option, Clocks], FramePoint] = {}
        self._last: Status | None = None

    @property
    def frames(self) -> int:
        """Return how many frames count."""
        return sum(point.frames for point in self.points.values())

    def take(
        self, status: Status, clocks: Clocks, contention: float, disturbance: float, now: float
    ) -> FramePoint:
        """
        Take a frame that was worked on at one setting.

        :param contention: factor by which others on its processor made it last longer
        :param disturbance: share of the time that load took which is not ours
        """
        key = ((status.sub_network, status.processor), clocks)
        point = self.points.pop(key, None) or FramePoint()
        self.points[key] = point
        while len(self.points) > MOST_POINTS:
            del self.points[next(iter(self.points))]
        point.frames += 1
        point.seconds += status.service_of_largest_path / contention
        point.disturbance += max(disturbance - QUIET, 0.0) + CONTENTION * (contention - 1.0)
        point.last = now
        last, self._last = self._last, status
        whole = status.work >= 1.0
        if last is not None and whole and status.served == last.served + 1:
            point.counted += 1
            for domain, seconds in status.busy.items():
                since = seconds - last.busy.get(domain, seconds)
                point.busy[domain] = point.busy.get(domain, 0.0) + max(since, 0.0)
        return point

    def known(self) -> list[tuple[Option, Clocks, FramePoint]]:
        """Return the operating points with enough frames."""
        return [
            (option, clocks, point)
            for (option, clocks), point in self.points.items()
            if point.frames >= ENOUGH_FRAMES
        ]


class LoadEvidence:
    """The power of the board, and what was busy meanwhile."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.points: dict[tuple[Clocks, tuple[Option, ...]], LoadPoint] = {}

    def take(
        self,
        load: Load,
        domains: Sequence[str],
        clocks: Clocks,
        served: Iterable[Option],
        stand_in: float,
        now: float,
    ) -> None:
        """
        Take a sample of a time in which clocks and sub-networks were the same.

        :param stand_in: what counts for a domain whose load nobody reports, 0..1
        """
        if not (math.isfinite(load.power) and load.power > 0.0):
            return
        busy = np.zeros(len(domains))
        for index, name in enumerate(domains):
            domain = load.domain(name)
            own = domain.utilisation_own if domain is not None else math.nan
            other = domain.utilisation_foreign if domain is not None else math.nan
            own = own if math.isfinite(own) else stand_in
            busy[index] = min(own + (other if math.isfinite(other) else 0.0), 1.0)
        key = (clocks, tuple(sorted(served)))
        point = self.points.pop(key, None) or LoadPoint(busy=np.zeros(len(domains)))
        self.points[key] = point
        while len(self.points) > MOST_POINTS:
            del self.points[next(iter(self.points))]
        point.samples += 1
        point.watts += load.power
        point.busy = point.busy + busy
        point.last = now

    def settings(self) -> set[Clocks]:
        """Return the settings with enough samples."""
        known = self.points.items()
        return {clocks for (clocks, _), point in known if point.samples >= ENOUGH_LOADS}

    def known(self) -> tuple[FloatArray, FloatArray, FloatArray] | None:
        """Return clocks, busy shares and watts of the settings with enough samples, if any."""
        rows = [
            (clocks, point)
            for (clocks, _), point in self.points.items()
            if point.samples >= ENOUGH_LOADS
        ]
        if not rows:
            return None
        return (
            np.array([clocks for clocks, _ in rows]),
            np.array([point.busy / point.samples for _, point in rows]),
            np.array([point.watts / point.samples for _, point in rows]),
        )


def stable_clocks(load: Load, domains: Sequence[str]) -> Clocks | None:
    """Return the clocks that a platform runs at, Hz; none where one is not known."""
    found = []
    for name in domains:
        domain = load.domain(name)
        if domain is None or not (math.isfinite(domain.granted) and domain.granted > 0.0):
            return None
        found.append(domain.granted)
    return tuple(found)


def disturbance(load: Load) -> float:
    """Return the largest share of a domain that load takes which is not ours."""
    shares: Mapping[str, float] = {d.name: d.utilisation_foreign for d in load.domains}
    return max((share for share in shares.values() if math.isfinite(share)), default=0.0)
