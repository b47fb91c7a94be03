# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
One application without a profile: its laws, and the operating points that follow from them.

What is not known well widens the quantiles of latency, so the manager's ordinary choice keeps
more room there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.management.no_profile.evidence import FrameEvidence
from dynamic_dnn_ros.management.no_profile.latency import LatencyLaw, Measured
from dynamic_dnn_ros.management.no_profile.power import PowerLaw
from dynamic_dnn_ros.management.no_profile.regression import Fit, Prior, fit
from dynamic_dnn_ros.management.observations import Application

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

MOST_POINTS = 60_000
"""Operating points of one application at most; with more the clocks are thinned out."""

MOST_SETTINGS = 2_500

MOST_BUSY = 2.0
"""Share of its time for which a domain is taken to be busy for an application at most."""

_SCORE_95, _SCORE_99 = 1.645, 2.326
_BUSY_DEVIATION = 0.2
"""Of what a domain is kept busy for, beforehand, as a share of the latency."""


@dataclass(frozen=True)
class Clock:
    """A domain whose clock may be set, and the frequencies that it offers, ascending, Hz."""

    domain: str
    available: tuple[float, ...]


def settings_of(clocks: Sequence[Clock], most: int) -> FloatArray:
    """Return all settings, Hz, shape (n, domains); of many clocks fewer, with both ends."""
    offered = [list(clock.available) for clock in clocks]
    while math.prod(map(len, offered)) > most:
        longest = max(offered, key=len)
        if len(longest) <= 2:
            break
        places = np.unique(np.linspace(0, len(longest) - 1, max(len(longest) * 3 // 4, 2)).round())
        offered[offered.index(longest)] = [longest[int(place)] for place in places]
    grid = np.meshgrid(*offered, indexing='ij')
    return np.stack([each.ravel() for each in grid], axis=1)


class Figures:
    """
    What is known of one application's operating points.

    :param application: with the points that its engine measured at start, of no domain
    :param clocks: that may be set
    """

    def __init__(self, application: Application, clocks: Sequence[Clock]) -> None:
        """Begin with what is plausible on any board."""
        points = application.operating_points
        self.application = application
        self.clocks = tuple(clocks)
        self.domains = tuple(clock.domain for clock in clocks)
        self.highest = np.array([clock.available[-1] for clock in clocks])
        pairs = sorted(zip(points.processor.tolist(), points.sub_network.tolist()))
        self.options = [(points.sub_networks[s], points.processors[p]) for p, s in pairs]
        settings = min(MOST_SETTINGS, MOST_POINTS // max(len(self.options), 1))
        self.settings = settings_of(clocks, max(settings, 2))
        row = {
            (p, s): i
            for i, (p, s) in enumerate(zip(points.processor.tolist(), points.sub_network.tolist()))
        }
        order = [row[pair] for pair in pairs]
        self._start = points.latency_mean[order]
        with_spread = [
            float(np.median(column[order] / self._start))
            for column in (points.latency_p50, points.latency_p95, points.latency_p99)
        ]
        self._p50, self._p95, self._p99 = with_spread
        self.laws: dict[str, LatencyLaw] = {}
        self._place: list[tuple[str, int]] = []
        for processor in dict.fromkeys(name for _, name in self.options):
            own = [i for i, (_, name) in enumerate(self.options) if name == processor]
            self._place += [(processor, number) for number in range(len(own))]
            self.laws[processor] = LatencyLaw(
                self._start[own], processor, self.domains, self.highest
            )
        self._busy: dict[tuple[str, int], Fit] = {}

    def learn(self, evidence: FrameEvidence, now: float, cores: int) -> None:
        """Fit the laws to the frames that were served."""
        known = [each for each in evidence.known() if each[0] in self.options]
        for processor, law in self.laws.items():
            rows = [each for each in known if each[0][1] == processor]
            if not rows:
                continue
            sub_network = np.array([self._number(option) for option, _, _ in rows])
            measured = Measured(
                sub_network,
                np.array([clocks for _, clocks, _ in rows]),
                np.array([point.mean for _, _, point in rows]),
                np.array([point.deviation(now) for _, _, point in rows]),
            )
            law.learn(measured)
            for index, domain in enumerate(self.domains):
                units = cores if domain == 'cpu' else 1
                pairs = [
                    (place, point.busy[domain] / point.counted / units)
                    for place, (_, _, point) in enumerate(rows)
                    if point.counted and domain in point.busy
                ]
                if pairs:
                    self._learn_busy(law, processor, index, measured, pairs)

    def _number(self, option: tuple[str, str]) -> int:
        return self._place[self.options.index(option)][1]

    def _learn_busy(
        self,
        law: LatencyLaw,
        processor: str,
        index: int,
        measured: Measured,
        pairs: Sequence[tuple[int, float]],
    ) -> None:
        places = np.array([place for place, _ in pairs])
        sub_network = measured.sub_network[places]
        design = law.design(sub_network, measured.frequencies[places])
        wanted = np.array([busy for _, busy in pairs]) / law.start[sub_network]
        usual = self._usual_busy(law, processor, index)
        prior = Prior.independent(usual, np.full(len(usual), _BUSY_DEVIATION))
        self._busy[processor, index] = fit(design, wanted, 0.02 * np.maximum(wanted, 0.05), prior)

    def _usual_busy(self, law: LatencyLaw, processor: str, index: int) -> FloatArray:
        """Return what of the parts of latency keeps a domain busy beforehand."""
        names = [self.domains[used] for used in law.used]
        own = self.domains[index]
        # A processor waits for its memory, and is busy meanwhile.
        busy = [n == own or (own == processor and n == 'memory') for n in names]
        return law.fit.parameters * np.tile([*busy, False], 2)

    # What follows.

    @property
    def start(self) -> dict[tuple[str, str], float]:
        """Return what the engine measured of each option at start, s."""
        return dict(zip(self.options, self._start.tolist()))

    def latency(self, option: int, frequencies: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean latency, s, and its deviation as a share, of an option at frequencies."""
        law, sub_network = self._law(option, len(frequencies))
        return law.predict(sub_network, frequencies), law.deviation(sub_network, frequencies)

    def latency_design(self, option: int, frequencies: FloatArray) -> FloatArray:
        """Return rows of the law of an option, as shares of its latency."""
        law, sub_network = self._law(option, len(frequencies))
        design = law.design(sub_network, frequencies)
        shares: FloatArray = design / np.maximum(design @ law.fit.parameters, 1e-6)[:, None]
        return shares

    def busy(self, option: int, frequencies: FloatArray) -> FloatArray:
        """Return for how long a frame keeps each domain busy, s, shape (n, domains)."""
        law, sub_network = self._law(option, len(frequencies))
        processor = self.options[option][1]
        result = np.zeros(frequencies.shape)
        design = law.design(sub_network, frequencies)
        for index in range(len(self.domains)):
            found = self._busy.get((processor, index))
            share = self._usual_busy(law, processor, index) if found is None else found.parameters
            result[:, index] = law.start[sub_network] * (design @ share)
        return result

    def _law(self, option: int, count: int) -> tuple[LatencyLaw, IndexArray]:
        processor, number = self._place[option]
        return self.laws[processor], np.full(count, number, dtype=np.int64)

    def without_doubt(self, mean: FloatArray) -> dict[str, FloatArray]:
        """Return the quantiles of latencies, s, if their means were certain."""
        return {'p95': mean * self._p95, 'p99': mean * self._p99}

    def points(self, power: PowerLaw | None, description: str) -> OperatingPoints:
        """
        Return operating points at all settings.

        :param power: of the board; none where nobody measures it
        """
        settings, raw = self.settings, self.application.operating_points
        count = len(settings)
        idle = np.full(count, np.nan)
        if power is not None:
            idle = power.watts(settings, np.zeros(settings.shape))
        columns: dict[str, list[FloatArray]] = {
            name: [] for name in ('mean', 'deviation', 'power', 'idle')
        }
        for option in range(len(self.options)):
            mean, deviation = self.latency(option, settings)
            running = np.full(count, np.nan)
            if power is not None:
                # More than 1 where others were thought to hold frames up more than they did: what
                # a frame takes is right, and power is what comes of it.
                busy = np.clip(self.busy(option, settings) / mean[:, None], 0.0, MOST_BUSY)
                running = power.watts(settings, busy)
            for name, column in zip(columns, (mean, deviation, running, idle)):
                columns[name].append(column)
        mean, deviation, running, at_rest = map(np.concatenate, columns.values())
        p50 = mean * self._p50
        unsure = deviation * mean
        names = {name: index for index, name in enumerate(raw.sub_networks)}
        processors = {name: index for index, name in enumerate(raw.processors)}
        return replace(
            raw,
            kind=ProfileKind.MEASURED,
            extrapolated=True,
            domains=self.domains,
            sub_network=np.repeat([names[s] for s, _ in self.options], count),
            processor=np.repeat([processors[p] for _, p in self.options], count),
            frequencies=np.tile(settings, (len(self.options), 1)),
            latency_mean=mean,
            latency_p50=p50,
            latency_p95=p50 + np.hypot(mean * (self._p95 - self._p50), _SCORE_95 * unsure),
            latency_p99=p50 + np.hypot(mean * (self._p99 - self._p50), _SCORE_99 * unsure),
            power=running,
            idle_power=at_rest,
            energy=running * mean,
            description=description,
            interpolated=np.ones(len(mean), np.bool_),
        )
