# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
ALERT, after C. Wan et al., ALERT: Accurate Learning for Energy and Timeliness, USENIX ATC 2020.

One slow-down for everything that runs, by a Kalman filter that is updated with every inference;
of all networks and power settings the one with the least energy whose latency, a normal
distribution of that slow-down, meets the deadline. Its power settings are here the clocks. Written
from the paper's idea; the constants of the filter are the usual ones of that group.
"""

from __future__ import annotations

from collections.abc import Mapping
import math

import numpy as np

from dynamic_dnn_ros.management.baselines.baseline import Baseline
from dynamic_dnn_ros.management.baselines.rates import ArrivalRates
from dynamic_dnn_ros.management.estimator import standard_score
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.observations import Status
from dynamic_dnn_ros.management.tables import Option
from dynamic_dnn_ros.management.targets import Objective

MEASUREMENT_NOISE = 1e-3
LEAST_PROCESS_NOISE = 1e-4
FORGETTING = 0.3
GAIN = 0.5
VARIANCE = 0.1


class Alert(Baseline):
    """
    ALERT for the whole board.

    Several applications share its one slow-down and one setting of the clocks; each meets its own
    deadline as though it were alone, since the slow-down is all that it knows of the others.
    """

    def __init__(self, instance: str = 'alert', settings: ManagerSettings | None = None) -> None:
        """Begin at what the profile says."""
        super().__init__(instance, settings)
        self._slow_down = 1.0
        self._variance = VARIANCE
        self._process = LEAST_PROCESS_NOISE
        self._gain = GAIN
        self._rates = ArrivalRates()

    def served(self, application: str, status: Status, now: float) -> bool:
        """Update the slow-down, and decide after every inference, as ALERT does."""
        self._rates.count(status, now)
        # It plans for largest paths, as it knows of no others; a short one is no faster board.
        slowness = self.slowness(application, status)
        if math.isnan(slowness):
            return False
        innovation = slowness - self._slow_down
        self._process = max(
            LEAST_PROCESS_NOISE,
            FORGETTING * self._process + (1 - FORGETTING) * (self._gain * innovation) ** 2,
        )
        predicted = (1 - self._gain) * self._variance + self._process
        self._gain = predicted / (predicted + MEASUREMENT_NOISE)
        self._variance = predicted
        self._slow_down += self._gain * innovation
        return True

    def pick(self, now: float) -> tuple[Mapping[str, Option], Mapping[str, float] | None]:
        """Return the setting, and for each application its network there."""
        if not self.applications:
            return {}, None
        tables = self.shared_tables()
        if not tables:
            return dict(self.serving), None  # it has no notion of settings that are not shared
        first = next(iter(tables.values()))
        count = len(first.rows)
        # Without figures of power all plans that meet the deadlines are as good.
        power = np.nan_to_num(first.idle)
        missed, late = np.zeros(count), np.zeros(count)
        choices = {}
        for name, table in tables.items():
            target = self.targets.get(name)
            rate = self._rates.rate(name, target)
            score = standard_score(target.quantile if target is not None else 0.95)
            factor = self._slow_down + score * math.sqrt(self._variance)
            latency = table.mean * factor
            limit = (target.latency if target is not None else 0.0) or 1 / rate
            if target is not None and target.rate:
                limit = min(limit, 1 / target.rate)
            over = np.maximum(latency / limit - 1, 0.0)
            least = target.accuracy if target is not None else 0.0
            wrong = (table.accuracy < least)[:, None]
            busy = np.minimum(table.mean * self._slow_down * rate, 1.0)
            added = busy * np.nan_to_num(table.added)
            objective = target.objective if target is not None else Objective.MAXIMUM_ACCURACY
            value = added
            if objective is Objective.MAXIMUM_ACCURACY:
                value = -table.accuracy[:, None] + 1e-6 * added
            elif objective is Objective.MINIMUM_LATENCY:
                value = latency
            # Deadline first, then accuracy, then the goal.
            score_of = (
                np.where(over > 0, 1e9 * (1 + over), 0.0) + np.where(wrong, 1e6, 0.0) + value
            )
            # A point that the profile lacks is no choice.
            best = np.where(np.isnan(score_of), np.inf, score_of).argmin(axis=0)
            columns = np.arange(count)
            choices[name] = best
            missed += (over[best, columns] > 0) + wrong[best, 0]
            late += over[best, columns]
            power += added[best, columns]
        cost = np.where(self.allowed(first), 0.0, np.inf)
        cost = cost + 1e9 * missed + 1e6 * late + power
        at = int(np.where(np.isnan(cost), np.inf, cost).argmin())
        options = {n: tables[n].options[int(best[at])] for n, best in choices.items()}
        return options, dict(zip(first.domains, first.hertz[at].tolist()))
