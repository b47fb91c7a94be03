# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A governor that keeps deadlines, as FLAME's (arXiv 2604.15357, 2026): clocks alone.

A network is many layers; each takes as long as the slowest of the clocks that it needs, and their
times add up. Such a law is fitted to what frames took at few settings, and the setting of the
least power whose predicted latency meets the deadline of the next frame is set. Written from a
summary of the paper, so the law is of kinds of layers and not of each layer, since only whole
frames are timed here; it knows the clock of the memory besides. It never changes sub-networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.baselines.baseline import SETTLED, Baseline
from dynamic_dnn_ros.management.baselines.rates import ArrivalRates
from dynamic_dnn_ros.management.baselines.search_space import settable
from dynamic_dnn_ros.management.estimator import standard_score
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.no_profile.regression import Prior, fit
from dynamic_dnn_ros.management.observations import Load, Status
from dynamic_dnn_ros.management.tables import ApplicationTable, Option
from dynamic_dnn_ros.management.targets import Target

FloatArray = NDArray[np.float64]

PARTS = 3
"""Steps in which kinds of layers share themselves out among the clocks that they need."""

ENOUGH = 10
"""Frames at one setting from which on their mean counts."""

MEMORY_OF_MEAN = 50
"""Frames over which a mean is taken."""

LONGEST_SAMPLE = 3.0
"""Seconds after which a setting is left out that the platform does not grant."""

SPREAD = 0.04
"""Deviation of a frame, as a share of the mean, until it is known."""

UNSURE = 0.02
"""Deviation of a mean that is fitted to, as a share."""

ROUNDED = 0.005
"""Share that a mean has to change by for another fit."""

FOLLOWED = 0.05
"""Weight of the newest frame in how frames differ from what was predicted."""

CHANGED = 0.1
"""Share by which they have to differ until what was measured before is forgotten."""

_MEGAHERTZ = 1e6


def layer_kinds(slowness: FloatArray, parts: int = PARTS) -> FloatArray:
    """
    Return how long a layer of each kind takes, as a share of what it takes at the highest clocks.

    :param slowness: of each domain, highest clock over clock, shape (settings, domains)
    :return: shape (settings, kinds); the first kind heeds no clock
    """
    domains = slowness.shape[1]
    columns = [np.ones(len(slowness))]
    for needs in product(range(parts + 1), repeat=domains):
        if max(needs, default=0) == parts:
            # What a layer needs most takes all its time at the highest clocks, the rest less.
            columns.append((slowness * np.array(needs) / parts).max(axis=1))
    return np.stack(columns, axis=1)


@dataclass
class _Mean:
    frames: int = 0
    seconds: float = 0.0

    def take(self, seconds: float) -> None:
        self.frames += 1
        self.seconds += (seconds - self.seconds) / min(self.frames, MEMORY_OF_MEAN)


@dataclass
class LatencyLaw:
    """Latency of one sub-network over the clocks: what was measured, and what follows from it."""

    means: dict[tuple[int, ...], _Mean] = field(default_factory=dict)
    spread: float = SPREAD
    off: float = 1.0
    _fitted: frozenset[tuple[tuple[int, ...], int]] = frozenset()
    _parameters: FloatArray = field(default_factory=lambda: np.zeros(0))

    def take(self, setting: tuple[int, ...], seconds: float, predicted: float) -> None:
        """Take a frame at a setting, MHz, and what was predicted of it, s; NaN: nothing was."""
        mean = self.means.setdefault(setting, _Mean())
        mean.take(seconds)
        if mean.frames >= ENOUGH:
            square = (seconds / mean.seconds - 1.0) ** 2
            self.spread = math.sqrt((1 - FOLLOWED) * self.spread**2 + FOLLOWED * square)
        if predicted > 0.0:
            self.off += FOLLOWED * (seconds / predicted - self.off)
            if abs(self.off - 1.0) > CHANGED and mean.frames > MEMORY_OF_MEAN:
                self.means, self.off = {setting: mean}, 1.0

    def known(self) -> dict[tuple[int, ...], float]:
        """Return the means of the settings with enough frames, s by MHz."""
        return {s: m.seconds for s, m in self.means.items() if m.frames >= ENOUGH}

    def predict(self, clocks: FloatArray, highest: FloatArray) -> FloatArray:
        """
        Return the mean latency at settings, s; something must be known.

        :param clocks: MHz, shape (settings, domains)
        """
        known = self.known()
        rounded = frozenset((s, round(math.log(mean) / ROUNDED)) for s, mean in known.items())
        if rounded != self._fitted:
            self._fitted, self._parameters = rounded, self._fit(known, highest)
        predicted: FloatArray = layer_kinds(highest / clocks) @ self._parameters
        return predicted

    def _fit(self, known: Mapping[tuple[int, ...], float], highest: FloatArray) -> FloatArray:
        seconds = np.array(list(known.values()))
        design = layer_kinds(highest / np.array(list(known), dtype=np.float64))
        kinds = design.shape[1]
        # Beforehand, kinds that wait for one clock or another are all as likely.
        scale = float((seconds / design.mean(axis=1)).mean()) / kinds
        prior = Prior.independent(np.full(kinds, scale), np.full(kinds, 3.0 * scale))
        return fit(design, seconds, UNSURE * seconds, prior).parameters


class Flame(Baseline):
    """Sets the clocks of the least power that meet the deadlines of all applications."""

    def __init__(self, instance: str = 'flame', settings: ManagerSettings | None = None) -> None:
        """Begin with nothing measured."""
        super().__init__(instance, settings)
        self._rates = ArrivalRates()
        self._laws: dict[tuple[str, Option], LatencyLaw] = {}
        self._domains: tuple[str, ...] = ()
        self._clocks = np.zeros((0, 0))
        self._running: tuple[int, ...] = ()
        self._since = math.inf
        self._sampling: dict[int, float] = {}
        self._predicted: dict[str, float] = {}
        self._nearest: dict[str, tuple[ApplicationTable, FloatArray, list[int]]] = {}

    def observe_load(self, load: Load, now: float) -> bool:
        """Note the clocks that the platform runs at."""
        changed = super().observe_load(load, now)
        axes = settable(load)
        if changed or tuple(axes) != self._domains:
            self._domains = tuple(axes)
            every = np.meshgrid(*axes.values(), indexing='ij') if axes else [np.zeros(0)]
            self._clocks = np.stack([axis.ravel() for axis in every], axis=1) / _MEGAHERTZ
            self._sampling = {}
        granted = {d.name: d.granted if d.granted > 0.0 else 0.0 for d in load.domains}
        running = tuple(round(granted[name] / _MEGAHERTZ) for name in self._domains)
        if running != self._running:
            self._running, self._since = running, now
        return changed

    def served(self, application: str, status: Status, now: float) -> bool:
        """Take a frame, and decide for the next one."""
        self._rates.count(status, now)
        if not self._running or not (0.0 < status.total < math.inf):
            return False
        if now - status.total < self._since + SETTLED or 0 in self._running:
            return False
        option = (status.sub_network, status.processor)
        law = self._laws.setdefault((application, option), LatencyLaw())
        law.take(self._running, status.total, self._predicted.get(application, math.nan))
        return True

    def pick(self, now: float) -> tuple[Mapping[str, Option], Mapping[str, float] | None]:
        """Return what serves, and the clocks."""
        if not self.applications or not len(self._clocks):
            return dict(self.serving), None
        highest = self._clocks.max(axis=0)
        served = {n: self._laws.get((n, self.serving[n])) for n in self.applications}
        # One whose camera is silent keeps nobody from anything.
        laws = {n: law for n, law in served.items() if law is not None}
        row = self._next_sample(laws, highest, now)
        if row is not None:
            self._predicted = {}
        elif laws and all(law.known() for law in laws.values()):
            row = self._least_power(laws)
        else:
            row = len(self._clocks) - 1
        return dict(self.serving), dict(
            zip(self._domains, (self._clocks[row] * _MEGAHERTZ).tolist())
        )

    def _next_sample(
        self, laws: Mapping[str, LatencyLaw], highest: FloatArray, now: float
    ) -> int | None:
        """
        Return the next of the few settings that a law is fitted to first; none: they are known.

        The highest clocks, then each domain in turn and all together as slow as the deadlines
        would allow if nothing but that clock mattered.
        """
        slack = math.inf
        top = len(self._clocks) - 1
        if self._lacks(laws, top, now):
            return top
        for name, law in laws.items():
            known = law.known()
            if known:
                least = known.get(self._setting(top), min(known.values()))
                slack = min(slack, self._deadline(name) / (least * self._margin(name, law)))
        if math.isinf(slack):
            return None
        wanted = highest / max(slack, 1.0)
        for number in range(len(highest) + 1):
            part = highest.copy()
            some = slice(None) if number == len(highest) else slice(number, number + 1)
            part[some] = wanted[some]
            fast_enough = (self._clocks >= part * (1 - 1e-6)).all(axis=1)
            row = int(np.where(fast_enough, self._clocks.sum(axis=1), np.inf).argmin())
            if self._lacks(laws, row, now):
                return row
        return None

    def _lacks(self, laws: Mapping[str, LatencyLaw], row: int, now: float) -> bool:
        """Tell whether a setting has still to be measured, and has not been tried for long."""
        if all(self._setting(row) in law.known() for law in laws.values()):
            return False
        return now - self._sampling.setdefault(row, now) <= LONGEST_SAMPLE

    def _setting(self, row: int) -> tuple[int, ...]:
        return tuple(int(clock) for clock in np.rint(self._clocks[row]))

    def _least_power(self, laws: Mapping[str, LatencyLaw]) -> int:
        highest = self._clocks.max(axis=0)
        power = np.zeros(len(self._clocks))
        late = np.zeros(len(self._clocks))
        predicted = {}
        for name, law in laws.items():
            predicted[name] = law.predict(self._clocks, highest) * law.off
            over = predicted[name] * self._margin(name, law) / self._deadline(name) - 1
            late += np.maximum(over, 0.0)
            power += self._added_power(name, predicted[name])
        power += np.fmax.reduce([self._idle(name) for name in laws])
        row = int((power + 1e6 * late).argmin())
        self._predicted = {n: float(p[row]) / laws[n].off for n, p in predicted.items()}
        return row

    def _deadline(self, name: str) -> float:
        target: Target | None = self.targets.get(name)
        period = 1 / self._rates.rate(name, target)
        return min(target.latency, period) if target is not None and target.latency else period

    def _margin(self, name: str, law: LatencyLaw) -> float:
        target = self.targets.get(name)
        return 1 + standard_score(target.quantile if target is not None else 0.95) * law.spread

    def _rows(self, name: str) -> list[int]:
        """Return the row of the profile for each setting."""
        table = self.tables[name]
        of, clocks, rows = self._nearest.get(name, (None, None, []))
        if of is not table or clocks is not self._clocks:
            settings = (self._clocks * _MEGAHERTZ).tolist()
            rows = [table.nearest_row(dict(zip(self._domains, each))) for each in settings]
            self._nearest[name] = (table, self._clocks, rows)
        return rows

    def _idle(self, name: str) -> FloatArray:
        """Return the idle power of the profile, W; without one 0."""
        idle: FloatArray = np.nan_to_num(self.tables[name].idle)
        return idle[self._rows(name)] if len(idle) else np.zeros(len(self._clocks))

    def _added_power(self, name: str, latency: FloatArray) -> FloatArray:
        """Return what an application adds, W; without a profile a stand-in of the clocks."""
        table = self.tables[name]
        option = table.option(*self.serving[name])
        busy = np.minimum(latency * self._rates.rate(name, self.targets.get(name)), 1.0)
        if option is None or not np.isfinite(table.power[option]).any():
            return ((self._clocks / self._clocks.max(axis=0)) ** 2).mean(axis=1)
        return busy * np.nan_to_num(table.dynamic_power[option])[self._rows(name)]
