# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The prediction of `assessment.expect`, with all worked out beforehand that others do not change.

A search asks for the same operating points many times, each time with other neighbours on their
processor. What it asks for is what `assessment.py` defines (a test compares them); here it takes a
fraction of the time. `contention` is what neighbours make of service: a factor by which it lasts
longer, or what a frame waits for where applications take turns.
"""

from __future__ import annotations

from collections.abc import Callable
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import (
    RATE_TOLERANCE,
    WORST,
    BoolArray,
    Contention,
    Demand,
    FloatArray,
    IndexArray,
    is_alone,
)
from dynamic_dnn_ros.management.estimator import BETWEEN_FRAMES, CAMERA_VARIATION, standard_score
from dynamic_dnn_ros.management.queueing import Queue
from dynamic_dnn_ros.management.tables import UNKNOWN
from dynamic_dnn_ros.management.targets import Objective

_NO_TIME = 1e-12
"""Share of the time that a worker has to spare, in place of none."""


class Forecast:
    """
    What one application's demand makes of any operating point.

    :param margin: share of a limit that a new choice leaves free at least
    """

    def __init__(self, demand: Demand, margin: float) -> None:
        """Work out what depends on the demand alone."""
        target, slow_down = demand.target, demand.slow_down
        quantile = target.quantile
        score = standard_score(quantile)
        room = demand.room(margin)
        self.slow_down = slow_down.mean
        self.rate = demand.camera_rate
        self.occupancy = demand.occupancy
        # Of the processor: frames that run together count for their parts.
        self.occupied = demand.camera_rate * demand.occupancy
        self.period = 1 / demand.camera_rate if demand.camera_rate > 0 else math.inf
        self.quantile = quantile
        self.overhead = demand.overhead
        self._uncertain = max(score, 0.0) * slow_down.deviation
        self._other = (max(score, 0.0) * demand.overhead_deviation) ** 2
        z95, z99 = standard_score(0.95), standard_score(0.99)
        # As `estimator.profiled_quantile`: shares of p95 - p50 and of p99 - p95.
        self._beyond_p50 = min(max(score, 0.0) / z95, 1.0)
        self._beyond_p95 = max(0.0, (score - z95) / (z99 - z95))
        self._longest = quantile * self.period
        tail = 0.5 * float(np.log(1 / (1 - quantile)))
        # As `estimator.predicted_waiting`: squared variation and correction, alone and not.
        camera, paths = demand.camera_variation, demand.path_variation**2
        self._alone = (camera**2 + paths, 0.0 if paths else BETWEEN_FRAMES)
        self._beside = (max(camera, CAMERA_VARIATION) ** 2 + paths, 0.0)
        if demand.disturbed:
            self._alone = self._beside
        self._varied = 1 / max(score, 0.5) ** 2
        self._tail = tail
        self.latency = target.latency * (1 - room)
        self.energy = target.energy * (1 - room)
        self.accuracy = target.accuracy
        asked = min(target.rate, demand.camera_rate) * (1 - RATE_TOLERANCE)
        self.asked = asked / (1 - room)
        self.minds_time = target.latency > 0 or target.objective is Objective.MINIMUM_LATENCY

    def variance(self, mean: FloatArray, beyond: tuple[FloatArray, FloatArray]) -> FloatArray:
        """
        Return the squared distance of service at the quantile from its median, s^2, alone.

        :param mean: of the profile, s
        :param beyond: p95 - p50 and p99 - p95 of the profile, s
        """
        spread = beyond[0] * (self._beyond_p50 * self.slow_down)
        if self._beyond_p95:
            spread += beyond[1] * (self._beyond_p95 * self.slow_down)
        np.maximum(spread, 0.0, out=spread)
        spread *= spread
        uncertain = mean * self._uncertain
        uncertain *= uncertain
        spread += uncertain
        return spread

    def service(
        self, median: FloatArray, variance: FloatArray, contention: FloatArray | float
    ) -> FloatArray:
        """Return preprocessing + inference at the quantile, s, from the slowed-down median."""
        spread = variance * (contention * contention) if contention is not ALONE else variance
        spread = np.sqrt(spread + self._other if self._other else spread)
        spread += median * contention if contention is not ALONE else median
        return spread

    def _varying(self, alone: BoolArray | bool) -> tuple[FloatArray | float, FloatArray | float]:
        """Return the squared variation beside that of service, and how much is corrected."""
        if alone is True or alone is False or not alone.any():
            return self._alone if alone is True else self._beside
        (steady, corrected), (beside, _) = self._alone, self._beside
        return np.where(alone, steady, beside), np.where(alone, corrected, 0.0)

    def waiting(
        self, mean: FloatArray, service: FloatArray | None, alone: BoolArray | bool
    ) -> FloatArray:
        """
        Return how long a frame waits for the one before it, s, at the quantile.

        :param mean: of service, s
        :param service: at the quantile; none: as if it never varied, the least there is
        :param alone: where the application has its processor for itself
        """
        utilisation = np.minimum(mean * self.rate, 1.0)
        steady, correction = self._varying(alone)
        waiting: FloatArray
        corrected: FloatArray | float
        if service is None:
            corrected = correction * np.sqrt(steady)
            waiting = utilisation * (steady * self._tail)
        else:
            waiting = service / mean
            waiting -= 1.0
            np.maximum(waiting, 0.0, out=waiting)
            waiting *= waiting
            waiting *= self._varied
            waiting += steady
            corrected = np.sqrt(waiting)
            corrected *= correction
            waiting *= self._tail
            waiting *= utilisation
        np.subtract(1.0, utilisation, out=utilisation)
        np.maximum(utilisation, _NO_TIME, out=utilisation)
        waiting /= utilisation
        waiting -= corrected
        np.maximum(waiting, 0.0, out=waiting)
        waiting *= mean
        return np.minimum(waiting, self._longest, out=waiting)

    def without_neighbours(self, accuracy: FloatArray, energy: FloatArray) -> FloatArray | float:
        """Return by which share limits are missed that others do not touch; both broadcast."""
        missed: FloatArray | float = 0.0
        if self.accuracy:
            with np.errstate(divide='ignore', invalid='ignore'):
                missed = _cut(self.accuracy / accuracy - 1)
        if self.energy:
            missed = missed + self.of_energy(energy)
        return missed

    def of_energy(self, energy: FloatArray) -> FloatArray | float:
        """Return by which share the limit of energy is missed, 0 without one."""
        return _cut(energy * (self.slow_down / self.energy) - 1) if self.energy else 0.0

    def missed(
        self, fixed: FloatArray | float, latency: FloatArray | None, mean: FloatArray
    ) -> FloatArray | float:
        """
        Return the sum of what limits are missed by, the margin kept free.

        :param fixed: what `without_neighbours` says
        :param mean: of service, s
        """
        total = fixed
        if self.latency and latency is not None:
            total = total + _cut(latency * (1 / self.latency) - 1)
        if self.asked:
            total = total + _cut(mean * self.asked - 1)
        return total


ALONE = 1.0
"""The contention of an application that has its processor for itself; known by identity."""


class Points:
    """
    Operating points of one application; all arrays share one shape, options x settings say.

    :param figures: as in `tables.LEAST`, along the first axis
    :param accuracy: of each point, of a shape that goes with theirs
    :param complete: whether the profile has them all
    """

    def __init__(
        self, forecast: Forecast, figures: FloatArray, accuracy: FloatArray, complete: bool
    ) -> None:
        """Work out what holds whatever others do."""
        self.forecast = forecast
        self.mean = figures[0] * forecast.slow_down
        self.median = figures[1] * forecast.slow_down
        self.variance = forecast.variance(figures[0], (figures[2], figures[3]))
        self.dynamic_power = figures[6]
        self.busy_alone = np.minimum(self.mean * forecast.occupied, 1.0)
        fixed = forecast.without_neighbours(accuracy, figures[4])
        if not complete:
            # A point that the profile lacks is out of the question.
            fixed = np.where(figures[0] >= UNKNOWN, np.inf, fixed)
        self.fixed = fixed

    def repeated(self, columns: IndexArray) -> Points:
        """Return the points at these places along the last axis, each as often as it is named."""
        return self._with(lambda each: each.take(columns, axis=-1))

    def busy(self, contention: Contention) -> FloatArray:
        """Return the share of time for which the processor works, never more than its turn."""
        if contention is ALONE:
            return self.busy_alone
        turn = contention.turn if isinstance(contention, Queue) else contention
        return np.minimum(self.busy_alone, 1 / turn)

    def latency(self, contention: Contention) -> tuple[FloatArray | None, FloatArray]:
        """Return latency at the quantile, none where nobody asks for it, and mean service, s."""
        forecast = self.forecast
        if isinstance(contention, Queue):
            latency, mean = self._latency(contention.factor, is_alone(contention))
            if latency is not None:
                latency = latency + contention.at(forecast.quantile)
            return latency, mean / contention.left
        return self._latency(contention, is_alone(contention))

    def _latency(
        self, contention: FloatArray | float, alone: BoolArray | bool
    ) -> tuple[FloatArray | None, FloatArray]:
        """Return the same where others only make service last longer."""
        forecast = self.forecast
        mean = self.mean * contention if contention is not ALONE else self.mean
        if not forecast.minds_time:
            return None, mean
        service = forecast.service(self.median, self.variance, contention)
        latency = forecast.waiting(mean, service, alone)
        latency += service
        latency += forecast.overhead
        return latency, mean

    def chosen(self, choice: IndexArray, columns: IndexArray) -> Points:
        """Return one point a column."""
        return self._with(lambda each: each[choice, columns])

    def _with(self, change: Callable[[FloatArray], FloatArray]) -> Points:
        """Return the points after the same change of every array."""
        changed = object.__new__(Points)
        changed.forecast = self.forecast
        for name in ('mean', 'median', 'variance', 'dynamic_power', 'busy_alone'):
            setattr(changed, name, change(getattr(self, name)))
        fixed = self.fixed
        if isinstance(fixed, np.ndarray):
            fixed = change(np.broadcast_to(fixed, self.mean.shape))
        changed.fixed = fixed
        return changed


def _cut(share: FloatArray) -> FloatArray:
    """Return by which share a limit is missed; what is not known misses nothing."""
    # fmax takes the number of a number and NaN.
    return np.fmin(np.fmax(share, 0.0), WORST)
