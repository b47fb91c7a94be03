# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A probe: what frames and the board's power were at one place of a search."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
import math
import statistics

from dynamic_dnn_ros.management.baselines.baseline import SETTLED
from dynamic_dnn_ros.management.baselines.search_space import Place
from dynamic_dnn_ros.management.estimator import standard_score
from dynamic_dnn_ros.management.observations import Load, Status
from dynamic_dnn_ros.management.tables import Option
from dynamic_dnn_ros.management.targets import Target

FRAMES, LOADS = 20, 8
"""Frames of each application, and samples of the load, that a probe takes."""

LONGEST = 6.0
"""Seconds after which it ends in any case."""

HOPELESS = 5
"""Frames after which it ends if most of them are half as long again as is asked for."""

GRANTED_WITHIN = 1.5
"""Seconds within which the platform has to run at the clocks, or what it runs at is taken."""

_WINDOW = 200


@dataclass
class Probe:
    """
    One place while it serves; `options` and `clocks`, Hz, are those of the place.

    It takes only what was measured at that place: told of everything, it leaves out the rest.
    """

    place: Place
    options: Mapping[str, Option]
    clocks: Mapping[str, float]
    begun: float
    granted: float = math.inf
    totals: dict[str, deque[float]] = field(default_factory=dict)
    services: dict[str, deque[float]] = field(default_factory=dict)
    watts: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    heard: int = 0

    def take_load(self, load: Load, now: float) -> None:
        """Take a load of the platform."""
        running = {domain.name: domain.granted for domain in load.domains}
        at_it = all(abs(running.get(d, 0.0) / f - 1) < 1e-3 for d, f in self.clocks.items())
        if at_it or now - self.begun > GRANTED_WITHIN:
            self.granted = min(self.granted, now)
        if now < self.granted + SETTLED:
            return
        self.heard += 1
        if math.isfinite(load.power) and load.power > 0.0:
            self.watts.append(load.power)

    def take_frame(self, status: Status, now: float) -> None:
        """Take a served frame."""
        name = status.application
        if self.options.get(name) != (status.sub_network, status.processor):
            return
        whole = math.isfinite(status.total) and 0.0 < status.service < math.inf
        if whole and now - status.total >= self.granted + SETTLED:
            self.totals.setdefault(name, deque(maxlen=_WINDOW)).append(status.total)
            self.services.setdefault(name, deque(maxlen=_WINDOW)).append(status.service)

    def frames(self, name: str) -> int:
        """Return how many frames of an application were taken."""
        return len(self.totals.get(name, ()))

    def is_over(self, targets: Mapping[str, Target], now: float) -> bool:
        """Tell whether enough is known, or no more is to be hoped for."""
        if now - self.begun > LONGEST:
            return True
        if self.heard >= LOADS and all(self.frames(name) >= FRAMES for name in self.options):
            return True
        return any(
            self.frames(name) >= HOPELESS
            and target.latency > 0.0
            and statistics.median(self.totals[name]) > 1.5 * target.latency
            for name, target in targets.items()
        )

    def excess(self, targets: Mapping[str, Target]) -> float:
        """
        Return the share by which the worst application exceeds its latency, or its period.

        Latency is that at the quantile, as though it had a normal distribution. Less than 0: all
        is kept. An application of which nothing was served is infinitely late.
        """
        worst = -1.0
        for name in self.options:
            target = targets.get(name)
            if target is None:
                continue
            if self.frames(name) < 2:
                return math.inf
            if target.latency:
                totals = self.totals[name]
                tail = standard_score(target.quantile) * statistics.stdev(totals)
                worst = max(worst, (statistics.fmean(totals) + tail) / target.latency - 1)
            if target.rate:
                busy = statistics.fmean(self.services[name]) * target.rate
                worst = max(worst, busy - 1)
        return worst

    def power(self, highest: Mapping[str, float]) -> float:
        """
        Return the board's mean power, W.

        Without a sensor a stand-in counts, which grows with the squares of the clocks up to 1.

        :param highest: clock of each domain, Hz
        """
        if self.watts:
            return statistics.fmean(self.watts)
        return statistics.fmean((f / highest[d]) ** 2 for d, f in self.clocks.items())

    def latency(self) -> float:
        """Return the sum of the applications' mean latencies, s."""
        return sum(statistics.fmean(totals) for totals in self.totals.values() if totals)
