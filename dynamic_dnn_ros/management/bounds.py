# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which settings can still matter to a lexicographic choice, by lower bounds.

Every criterion is bounded from below at every setting, whatever the applications choose there:
each application takes its least figures over the options that come into question, the others
keep a processor that it cannot avoid busy for the least that they can, and a frame waits no
longer than behind one of the same length. A setting that has not been looked at is left out when
the walk through the criteria shows that it would be dropped at one of them, and would not have
moved the best value of any before that. So leaving it out cannot change the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import (
    RATE_TOLERANCE,
    BoolArray,
    Expectation,
    FloatArray,
    IndexArray,
    Problem,
    ResourceSettings,
    busy_share,
    shortfall,
)
from dynamic_dnn_ros.management.estimator import (
    predicted_service,
    predicted_waiting,
    profiled_quantile,
)
from dynamic_dnn_ros.management.narrowing import WITHIN
from dynamic_dnn_ros.management.tables import LEAST
from dynamic_dnn_ros.management.targets import Objective

_SLACK = 1e-9
"""Share by which rounding may move a bound; a setting that is this close is looked at."""

_NOTHING = np.zeros(1)
_ANY_ACCURACY = np.full(1, np.inf)

FASTEST = 4
"""One in so many of the first settings is taken for being fast, the others for being cheap."""


@dataclass(frozen=True)
class Best:
    """
    The best candidate so far, and the best value at each criterion on the way to it.

    `met`, `margined` and `values` (of objectives other than energy) are by application.
    """

    row: int
    excess: float
    met: Mapping[int, bool]
    margined: Mapping[int, float]
    values: Mapping[int, float]
    power: float


@dataclass(frozen=True, eq=False)
class Least(Expectation):
    """The least that operating points come to; `unhindered` is the latency without waiting, s."""

    unhindered: FloatArray


@dataclass(frozen=True, eq=False)
class Outlook:
    """
    Lower bounds at some settings, if certain applications are to meet their targets.

    `lacking` is the sum of what these lack at least; `latency` and `contention` are by
    application.
    """

    figures: Sequence[dict[str, FloatArray]]
    contention: Sequence[FloatArray | float]
    expected: Mapping[int, Least]
    lacking: FloatArray

    @property
    def possible(self) -> BoolArray:
        """Tell at which settings all may meet their targets."""
        return self.lacking <= _SLACK


class Bounds:
    """
    The settings that are still to be looked at, as positions among those that may be chosen.

    :param order: the applications, the highest priority first
    """

    def __init__(self, problem: Problem, order: Sequence[int], settings: ResourceSettings) -> None:
        """Begin with all settings that may be chosen."""
        self._problem = problem
        self._demands = problem.demands
        self._order = order
        self._limit = settings.utilisation_limit
        self._left = np.ones(len(problem.settings), dtype=bool)
        self._everywhere = len(problem.settings) == len(problem.joint.settings)
        self._least = [
            least.of(demand.usable) for least, demand in zip(problem.joint.least, problem.demands)
        ]
        self._processors = [
            _only(processors[demand.usable])
            for processors, demand in zip(problem.joint.processors, problem.demands)
        ]
        self._rooms = [demand.room(settings.margin) for demand in problem.demands]
        self._accurate = [
            demand.target.accuracy * (1 - _SLACK) if demand.target.accuracy else -math.inf
            for demand in problem.demands
        ]
        self._periods = [
            1 / demand.camera_rate if demand.camera_rate > 0 else math.inf
            for demand in problem.demands
        ]
        self._outlooks: dict[tuple[int, ...], Outlook | None] = {}

    def most_promising(self, size: int) -> IndexArray:
        """Return settings to begin with: some that are cheap, and some that are fast."""
        everything = np.flatnonzero(self._left)
        if len(everything) <= size:
            return everything
        required = {
            a: accuracy
            for a, accuracy in enumerate(self._accurate)
            if self._least[a].at(accuracy) is not None
        }
        outlook = self._outlook(required)
        assert outlook is not None
        fast = self._fastest(outlook)
        if not outlook.possible.any():
            return self._first(everything, outlook.lacking + 1e-6 * fast, size)
        if any(d.target.objective is not Objective.MINIMUM_ENERGY for d in self._demands):
            return self._first(everything, fast, size)
        power = np.where(outlook.possible, self._power(outlook, everything), np.inf)
        cheap = self._first(everything, power, size - size // FASTEST)
        return np.union1d(cheap, self._first(everything, fast, size // FASTEST))

    def after(self, at: IndexArray, best: Best, size: int) -> IndexArray:
        """
        Return settings to look at next; none if the best so far is the best of all.

        :param at: the settings looked at last
        :param best: the best of all candidates looked at
        """
        self._left[at] = False
        left = np.flatnonzero(self._left)
        if not len(left):
            return left
        if self._problem.counted_domains():
            lower = self._excess()[left]
            if (lower < best.excess - _SLACK).any():
                return self._first(left, lower, size)
            left = left[lower <= best.excess + WITHIN + _SLACK]
        # Those that are met must be met elsewhere too; can one more be?
        required: dict[int, float] = {}
        for a in self._order:
            with_it = {**required, a: self._accurate[a]}
            if best.met[a]:
                required = with_it
                continue
            outlook = self._outlook(with_it)
            if outlook is not None:
                more = left[outlook.possible[left]]
                if len(more):
                    return self._first(more, outlook.expected[a].latency[more], size)
        outlook = self._outlook(required)
        assert outlook is not None
        left = left[outlook.possible[left]]
        for a in self._order:
            if not best.met[a] and len(left):
                lower = self._margined(a, outlook, left)
                if (lower < best.margined[a] * (1 - _SLACK)).any():
                    return self._first(left, lower, size)
                left = left[lower <= best.margined[a] * (1 + WITHIN + _SLACK)]
        for a in self._order:
            if a in best.values and len(left):
                better, left = self._by_objective(a, required, best, left)
                if len(better):
                    return self._first(better, self._fastest(outlook)[better], size)
        if not len(left):
            return left
        final = self._outlook_at(required, left)
        assert final is not None
        lower = self._power(final, left)
        keep = final.possible & (lower <= best.power * (1 + _SLACK))
        return self._first(left[keep], lower[keep], size)

    def _by_objective(
        self, a: int, required: dict[int, float], best: Best, left: IndexArray
    ) -> tuple[IndexArray, IndexArray]:
        """
        Return settings where an objective may be served better, and those where equally well.

        What is required of accuracy grows to what the best has.
        """
        value = best.values[a]
        if self._demands[a].target.objective is Objective.MINIMUM_LATENCY:
            outlook = self._outlook_at(required, left)
            assert outlook is not None
            lower = self._expected(a, outlook.figures[a], outlook.contention[a]).latency
            equal = lower <= value + WITHIN * abs(value) + _SLACK
            return left[lower < value * (1 - _SLACK)], left[equal]
        if a not in required:
            # What it misses has narrowed the settings already.
            higher = self._least[a].above(-value)
            return (left if higher is not None else left[:0]), left
        higher = self._least[a].above(-value * (1 + _SLACK))
        better = left[:0]
        if higher is not None:
            better = self._possible({**required, a: max(higher, required[a])}, left)
        required[a] = max(required[a], -value * (1 - WITHIN - _SLACK))
        return better, self._possible(required, left)

    def _possible(self, required: Mapping[int, float], left: IndexArray) -> IndexArray:
        """Return the settings among some where all that is required may be had."""
        outlook = self._outlook_at(required, left)
        return left[outlook.possible] if outlook is not None else left[:0]

    def _outlook(self, required: Mapping[int, float]) -> Outlook | None:
        """Return the outlook at all settings if these applications are to meet their targets."""
        key = tuple(required)
        if key not in self._outlooks:
            self._outlooks[key] = self._outlook_at(required, np.arange(len(self._left)))
        return self._outlooks[key]

    def _outlook_at(self, required: Mapping[int, float], positions: IndexArray) -> Outlook | None:
        """
        Return the outlook at some settings, none where no option is accurate enough.

        :param required: least accuracy of the options of the applications that are to meet
            their targets
        """
        figures = []
        everywhere = self._everywhere and len(positions) == len(self._left)
        rows = self._problem.settings[positions]
        for a, least in enumerate(self._least):
            found = least.at(required.get(a, -math.inf))
            if found is None:
                return None
            figures.append(dict(zip(LEAST, found if everywhere else found.take(rows, axis=1))))
        taken = [
            busy_share(demand, points['mean']) for demand, points in zip(self._demands, figures)
        ]
        contention: list[FloatArray | float] = []
        for a, mine in enumerate(self._processors):
            factor: FloatArray | float = 1.0
            for b, theirs in enumerate(self._processors):
                if a != b and mine is not None and mine == theirs:
                    factor = factor + taken[b]
            contention.append(factor)
        expected = {a: self._expected(a, figures[a], contention[a]) for a in required}
        lacking = np.zeros(len(positions))
        for a, bound in expected.items():
            lacking = lacking + shortfall(self._demands[a], bound, self._rooms[a])
        return Outlook(figures, contention, expected, lacking)

    def _expected(
        self, a: int, figures: Mapping[str, FloatArray], contention: FloatArray | float
    ) -> Least:
        """Return what an application's figures come to at least, any accuracy granted."""
        demand = self._demands[a]
        quantile, slow_down = demand.target.quantile, demand.slow_down
        mean, median = figures['mean'] * contention, figures['p50'] * contention
        spread = profiled_quantile(
            quantile,
            _NOTHING,
            figures['beyond_p50'],
            figures['beyond_p50'] + figures['beyond_p95'],
        )
        service = predicted_service(
            quantile,
            slow_down,
            mean,
            median,
            median + spread * contention,
            demand.overhead_deviation,
        )
        service_mean = mean * slow_down.mean
        # A spread of service makes frames wait longer; without one they wait the least.
        waiting = predicted_waiting(quantile, self._periods[a], service_mean, service_mean)
        unhindered = service + demand.overhead
        return Least(
            unhindered + waiting,
            service_mean,
            _NOTHING,
            _NOTHING,
            figures['energy'] * slow_down.mean,
            _ANY_ACCURACY,
            unhindered,
        )

    def _margined(self, a: int, outlook: Outlook, positions: IndexArray) -> FloatArray:
        """Return what an application lacks at least at some settings, margins kept."""
        rows = self._problem.settings[positions]
        least = self._least[a]
        figures = dict(zip(LEAST, least.points.take(rows, axis=2)))
        contention = outlook.contention[a]
        if not isinstance(contention, float):
            contention = contention[positions]
        found = self._expected(a, figures, contention)
        found = replace(found, accuracy=least.accuracy[:, None])
        lacking = shortfall(self._demands[a], found, self._rooms[a])
        return np.asarray(lacking.min(axis=0))

    def _fastest(self, outlook: Outlook) -> FloatArray:
        """Return a figure that is small where all are served fast."""
        total = np.zeros(len(outlook.lacking))
        for demand, points in zip(self._demands, outlook.figures):
            total = total + points['mean'] * demand.camera_rate
        return total

    def _excess(self) -> FloatArray:
        """Return the least excess over the limit of utilisation at all settings."""
        problem = self._problem
        outlook = self._outlook({})
        assert outlook is not None
        counted = problem.counted_domains()
        load = problem.foreign_utilisation(problem.settings)[:, counted]
        for demand, points in zip(self._demands, outlook.figures):
            least = busy_share(demand, points['mean'], float(len(self._demands)))
            shares = demand.shares[:, counted][demand.usable].min(axis=0)
            load = load + least[:, None] * shares
        return np.asarray(np.clip(load - self._limit, 0.0, None).max(axis=1))

    def _power(self, outlook: Outlook, positions: IndexArray) -> FloatArray:
        """Return the least power of the board, W, at the settings of an outlook."""
        power = np.zeros(len(positions))
        idle = np.zeros(len(positions))
        for a, (demand, points) in enumerate(zip(self._demands, outlook.figures)):
            work = points['work'] * demand.slow_down.mean
            all_served = work * demand.camera_rate
            # With the processor busy throughout, frames are left out.
            least = np.minimum(all_served, points['dynamic_power'] / len(self._demands))
            found = outlook.expected.get(a)
            if found is not None:
                target, room = demand.target, self._rooms[a]
                kept = 0.0
                if target.rate:
                    asked = min(target.rate, demand.camera_rate) * (1 - RATE_TOLERANCE)
                    kept = min(demand.camera_rate, asked / (1 - room))
                least = np.maximum(least, work * kept)
                if target.latency:
                    longest = found.unhindered + target.quantile * self._periods[a]
                    too_late = longest > target.latency * (1 - room) * (1 + _SLACK)
                    least = np.where(too_late, all_served, least)
            power = power + np.where(work < 0, all_served, least)
            idle = np.maximum(idle, points['idle_power'])
        return power + idle

    @staticmethod
    def _first(positions: IndexArray, key: FloatArray, size: int) -> IndexArray:
        """Return those of the smallest keys, ascending."""
        if len(positions) <= size:
            return positions
        return np.sort(positions[np.argpartition(key, size)[:size]])


def _only(processors: IndexArray) -> int | None:
    """Return the processor that all options are for, none where there are several."""
    first = int(processors[0])
    return first if (processors == first).all() else None
