# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Exits and clocks together, as E4's (arXiv 2503.04865, AAAI 2025).

Where pictures left of late tells what frames take. Of all sub-networks (thresholds of exits among
them) and clocks, those of the least energy are set that keep the deadline for the pictures of
late. Clocks are found by coordinate descent: one domain after the other, until none improves.
Written from a summary of the paper. It differs: E4 learns exits by attention and sets clocks
layer by layer, here exits are those of the bundle and clocks hold for whole frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
import math
import statistics

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.baselines.baseline import Baseline
from dynamic_dnn_ros.management.baselines.rates import ArrivalRates
from dynamic_dnn_ros.management.estimator import standard_score
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.observations import Application, Status
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.management.tables import ApplicationTable, Option
from dynamic_dnn_ros.management.targets import Objective

FloatArray = NDArray[np.float64]

RECENT = 20
"""Frames of late, by which exits and clocks are chosen."""

ENOUGH = 8
"""Frames of late before which the shares of the calibration pictures count."""

SPREAD = 0.03
"""Deviation of a frame, as a share of its mean, until it is known."""


def _recent() -> deque[float]:
    return deque(maxlen=RECENT)


@dataclass
class _Scene:
    """
    The last frames of an application.

    `hardness` of pictures, as the share of calibration pictures that are easier, 0..1; `slow` the
    factors of what frames took over the profile; `waited` and `preprocessing` in seconds.
    """

    hardness: deque[float] = field(default_factory=_recent)
    slow: deque[float] = field(default_factory=_recent)
    waited: deque[float] = field(default_factory=_recent)
    preprocessing: deque[float] = field(default_factory=_recent)

    def slow_down(self, quantile: float) -> tuple[float, float]:
        """Return by which factor frames are slower in the mean, and at a quantile over it."""
        spread = statistics.stdev(self.slow) if len(self.slow) >= ENOUGH else SPREAD
        mean = statistics.fmean(self.slow) if self.slow else 1.0
        return mean, 1 + standard_score(quantile) * spread / mean

    def shares(self, paths: Paths | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the works of a sub-network's paths, and what share takes each; together 1."""
        if paths is None:
            return (1.0,), (1.0,)
        if len(self.hardness) < ENOUGH:
            return paths.works, paths.shares()
        taken = [paths.of_hardness(hardness) for hardness in self.hardness]
        return paths.works, tuple(taken.count(i) / len(taken) for i in range(len(paths.works)))


@dataclass(frozen=True)
class _Judged:
    """
    Every option at every setting, shape (options, settings).

    `late` is the share of frames that are late beyond what is allowed, `value` what is to be
    small: what it adds, W, after what the target has as its objective.
    """

    late: FloatArray
    wrong: FloatArray
    value: FloatArray

    def best(self) -> NDArray[np.intp]:
        """Return the best option at each setting: deadline first, then accuracy, then value."""
        score = (
            np.where(self.late > 0, 1e12 * (1 + self.late), 0.0) + 1e9 * self.wrong + self.value
        )
        chosen: NDArray[np.intp] = np.where(np.isnan(score), np.inf, score).argmin(axis=0)
        return chosen


class E4(Baseline):
    """
    E4 for the whole board.

    Applications share the clocks; each meets its own deadline as though it were alone.
    """

    def __init__(self, instance: str = 'e4', settings: ManagerSettings | None = None) -> None:
        """Begin with the calibration pictures."""
        super().__init__(instance, settings)
        self._rates = ArrivalRates()
        self._scenes: dict[str, _Scene] = {}
        self._paths: dict[str, dict[str, Paths]] = {}

    def add_application(self, application: Application, now: float) -> bool:
        """Take what an application says of itself."""
        self._paths[application.id] = {n: Paths(s) for n, s in application.stages.items()}
        self._scenes.setdefault(application.id, _Scene())
        return super().add_application(application, now)

    def served(self, application: str, status: Status, now: float) -> bool:
        """Take where a picture left and what it took, and decide for the next one."""
        self._rates.count(status, now)
        scene, slowness = self._scenes[application], self.slowness(application, status)
        if math.isnan(slowness):
            return False
        scene.slow.append(slowness)
        scene.waited.append(max(status.total - status.service, 0.0))
        scene.preprocessing.append(status.preprocessing)
        paths = self._paths[application].get(status.sub_network)
        between = paths.between(status.exit_stage) if paths is not None else None
        if between is not None:
            scene.hardness.append(sum(between) / 2)
        elif scene.hardness:
            # A sub-network of one piece says nothing of the scene, so what is known gets old.
            scene.hardness.popleft()
        return True

    def pick(self, now: float) -> tuple[Mapping[str, Option], Mapping[str, float] | None]:
        """Return the clocks, and for each application its sub-network there."""
        if not self.applications:
            return {}, None
        tables = self.shared_tables()
        first = next(iter(tables.values()), None)
        if first is None or not first.options:
            return dict(self.serving), None  # it has no notion of settings that are not shared
        columns = np.arange(len(first.rows))
        cost = np.where(self.allowed(first), np.nan_to_num(first.idle), np.inf)
        choices = {}
        for name, table in tables.items():
            judged = self._judge_options(name, table)
            best = choices[name] = judged.best()
            late, wrong = judged.late[best, columns], judged.wrong[best, columns]
            cost += 1e12 * ((late > 0) + wrong) + 1e9 * late + judged.value[best, columns]
        at = self._descend(first, np.where(np.isnan(cost), np.inf, cost))
        options = {n: tables[n].options[int(best[at])] for n, best in choices.items()}
        return options, dict(zip(first.domains, first.hertz[at].tolist()))

    def _judge_options(self, name: str, table: ApplicationTable) -> _Judged:
        target, scene = self.targets.get(name), self._scenes[name]
        rate = self._rates.rate(name, target)
        quantile = target.quantile if target is not None else 0.95
        slow, margin = scene.slow_down(quantile)
        waited = statistics.fmean(scene.waited) if scene.waited else 0.0
        fixed = statistics.fmean(scene.preprocessing) if scene.preprocessing else 0.0
        limit = (target.latency if target is not None else 0.0) or 1 / rate
        whole = table.mean * slow
        rest = np.maximum(whole - fixed, 0.0)
        mean, late = np.zeros_like(whole), np.zeros_like(whole)
        known = self._paths[name]
        for row, (sub_network, _) in enumerate(table.options):
            for work, share in zip(*scene.shares(known.get(sub_network))):
                path = whole[row] - (1 - work) * rest[row]
                mean[row] += share * path
                late[row] += share * (path * margin + waited > limit)
        late = np.maximum(late - (1 - quantile) - 1e-9, 0.0)
        late = np.where(late > 0, late + np.maximum(mean / limit - 1, 0.0), 0.0)
        if target is not None and target.rate:
            late += np.maximum(mean * target.rate - 1, 0.0)
        least = target.accuracy if target is not None else 0.0
        wrong = np.repeat((table.accuracy < least)[:, None], whole.shape[1], axis=1)
        busy = np.minimum(mean * rate, 1.0)
        power = busy * np.nan_to_num(table.dynamic_power)
        objective = target.objective if target is not None else Objective.MAXIMUM_ACCURACY
        value = power
        if objective is Objective.MAXIMUM_ACCURACY:
            value = power - 1e3 * np.nan_to_num(table.accuracy)[:, None]
        elif objective is Objective.MINIMUM_LATENCY:
            value = power + 1e6 * mean
        late = np.where(np.isnan(whole), np.inf, late)
        return _Judged(late, wrong.astype(np.float64), value)

    def _descend(self, table: ApplicationTable, cost: FloatArray) -> int:
        """Return the setting at which no domain alone improves, of two starts the better one."""
        running = {}
        if self.load is not None:
            running = {domain.name: domain.granted for domain in self.load.domains}
        ends = {_descent(table.rows, cost, table.nearest_row(start)) for start in (running, {})}
        return min(ends, key=lambda end: (cost[end], end))


def _descent(rows: NDArray[np.int64], cost: FloatArray, start: int) -> int:
    """
    Return the end of a coordinate descent.

    :param rows: the settings, shape (settings, domains)
    :param cost: of each setting
    """
    at, domain, unchanged = start, 0, 0
    while unchanged < max(rows.shape[1], 1):
        others = np.arange(rows.shape[1]) != domain
        line = np.flatnonzero((rows[:, others] == rows[at, others]).all(axis=1))
        best = int(line[cost[line].argmin()])
        better = cost[best] < cost[at]
        at, unchanged = (best, 1) if better else (at, unchanged + 1)
        domain = (domain + 1) % max(rows.shape[1], 1)
    return at
