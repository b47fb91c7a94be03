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
from dataclasses import dataclass
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import (
    BoolArray,
    Demand,
    FloatArray,
    IndexArray,
    Problem,
    ResourceSettings,
    is_alone,
    take_turns,
)
from dynamic_dnn_ros.management.forecast import ALONE, Forecast
from dynamic_dnn_ros.management.narrowing import WITHIN, WITHIN_ACCURACY
from dynamic_dnn_ros.management.queueing import LEAST_LEFT
from dynamic_dnn_ros.management.tables import UNKNOWN, LeastFigures
from dynamic_dnn_ros.management.targets import Objective

_SLACK = 1e-9
"""Share by which rounding may move a bound; a setting that is this close is looked at."""

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
class Outlook:
    """
    Lower bounds at some settings, if certain applications are to meet their targets.

    `figures` and `contention` are by application, `unhindered` and `latency` (with and without
    waiting, s) by application that is to meet its target; `lacking` is the sum of what these
    lack at least.
    """

    figures: Sequence[FloatArray]
    contention: Sequence[FloatArray | float]
    unhindered: Mapping[int, FloatArray]
    latency: Mapping[int, FloatArray]
    lacking: FloatArray

    @property
    def possible(self) -> BoolArray:
        """Tell at which settings all may meet their targets."""
        return self.lacking <= _SLACK


class Bounds:
    """
    The settings that are still to be looked at, as positions among those that may be chosen.

    `all_may_be_met` is false where no setting meets all targets; asked for by `most_promising`.

    :param order: the applications, the highest priority first
    :param least: the least figures of each application's usable options
    """

    def __init__(
        self,
        problem: Problem,
        order: Sequence[int],
        settings: ResourceSettings,
        forecasts: Sequence[Forecast],
        least: Sequence[LeastFigures],
    ) -> None:
        """Begin with all settings that may be chosen."""
        self._problem = problem
        self._demands = problem.demands
        self._order = order
        self._limit = settings.utilisation_limit
        self._forecasts = forecasts
        self._least = least
        self._left = np.ones(len(problem.settings), dtype=bool)
        self._everywhere = len(problem.settings) == len(problem.joint.settings)
        self._processors = [
            _only(processors, demand.usable)
            for processors, demand in zip(problem.joint.processors, problem.demands)
        ]
        # Those that cannot avoid each other.
        self._sharing = [
            sharing
            for processor in sorted({p for p in self._processors if p is not None})
            # Who takes turns with another is slowed down by nobody: it may wait, or not at all.
            if len(
                sharing := [
                    a
                    for a, p in enumerate(self._processors)
                    if p == processor and not problem.demands[a].server
                ]
            )
            > 1
        ]
        self._turns = [_least_turn(demand, problem.demands) for demand in problem.demands]
        self._accurate = [
            demand.target.accuracy * (1 - _SLACK) if demand.target.accuracy else -math.inf
            for demand in problem.demands
        ]
        self._outlooks: dict[tuple[tuple[int, float], ...], Outlook | None] = {}
        self._powers: dict[int, FloatArray] = {}
        self._over: FloatArray | None = None
        beside = problem.power_beside
        self._beside = None if beside is None else beside[problem.settings]
        self._limited = bool(problem.counted_domains()) or problem.power_cap < math.inf
        self.all_may_be_met = True

    def most_promising(self, size: int, yielding: int) -> IndexArray:
        """
        Return settings to begin with: some that are cheap, and some that are fast.

        :param yielding: how many if not all targets can be met
        """
        everything = np.arange(len(self._left))
        if len(everything) <= size:
            return everything
        required = {
            a: accuracy
            for a, accuracy in enumerate(self._accurate)
            if self._least[a].at(accuracy) is not None
        }
        outlook = self._outlook(required)
        assert outlook is not None
        possible = outlook.possible
        self.all_may_be_met = len(required) == len(self._demands) and bool(possible.any())
        if not self.all_may_be_met:
            size = yielding
        if not possible.any():
            return _first(everything, outlook.lacking + 1e-6 * self._fastest(outlook), size)
        fast = self._fastest(outlook)
        objectives = {demand.target.objective for demand in self._demands}
        if Objective.MINIMUM_LATENCY in objectives:
            return _first(everything, fast, size)
        if Objective.MAXIMUM_ACCURACY in objectives and self.all_may_be_met:
            promised = self._outlook(self._promised(required, outlook, fast))
            if promised is None or not promised.possible.any():
                return _first(everything, fast, size)
            outlook, possible = promised, promised.possible
        if self._limited:
            # What is asked too much of the board comes to nothing, however cheap.
            within = possible & (self._least_excess() <= WITHIN)
            possible = within if within.any() else possible
        power = np.where(possible, self._power_of(outlook), np.inf)
        cheap = _first(everything, power, size - size // FASTEST)
        both = np.zeros(len(everything), dtype=bool)
        both[cheap] = both[_first(everything, fast, size // FASTEST)] = True
        return np.flatnonzero(both)

    def _promised(
        self, required: Mapping[int, float], outlook: Outlook, fast: FloatArray
    ) -> dict[int, float]:
        """
        Return what is required where applications get the accuracy that they would have most of.

        It is what each may have at the fastest settings, the others at their least: where it can
        be had, the cheapest settings are as good as they promise to be.
        """
        promised = dict(required)
        at = _first(np.arange(len(fast)), fast, FASTEST)
        rows = self._problem.settings[at]
        for a, demand in enumerate(self._demands):
            if demand.target.objective is not Objective.MAXIMUM_ACCURACY:
                continue
            accuracies, figures = self._least[a].by_accuracy(rows)
            contention = outlook.contention[a]
            if isinstance(contention, np.ndarray):
                contention = contention[at]
            met = (self._missed(a, figures, contention)[1] <= _SLACK).any(axis=1)
            if met.any():
                highest = float(accuracies[met.argmax()])
                promised[a] = max(required[a], _as_good_as(highest))
        return promised

    def done(self, at: IndexArray) -> None:
        """Note that nothing is left to be looked at in some settings."""
        self._left[at] = False

    def after(self, best: Best, size: int) -> IndexArray:
        """
        Return settings to look at next; none if the best so far is the best of all.

        :param best: the best of all candidates looked at
        """
        left = np.flatnonzero(self._left)
        if not len(left):
            return left
        if self._limited:
            lower = self._least_excess()[left]
            if (lower < best.excess - _SLACK).any():
                return _first(left, lower, size)
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
                    return _first(more, outlook.latency[a][more], size)
        outlook = self._outlook(required)
        assert outlook is not None
        left = left[outlook.possible[left]]
        for a in self._order:
            if not best.met[a] and len(left):
                near = best.margined[a] * (1 + WITHIN + _SLACK)
                left = left[self._lacking(a, outlook, left) <= near]
                lower = self._margined(a, outlook, left)
                if (lower < best.margined[a] * (1 - _SLACK)).any():
                    return _first(left, lower, size)
                left = left[lower <= near]
        for a in self._order:
            if a in best.values and len(left):
                better, left = self._by_objective(a, required, best, left)
                if len(better):
                    return _first(better, self._fastest(outlook)[better], size)
        if not len(left):
            return left
        final = self._outlook(required)
        assert final is not None
        lower = self._power_of(final)[left]
        keep = final.possible[left] & (lower <= best.power * (1 + _SLACK))
        return _first(left[keep], lower[keep], size)

    def _by_objective(
        self, a: int, required: dict[int, float], best: Best, left: IndexArray
    ) -> tuple[IndexArray, IndexArray]:
        """
        Return settings where an objective may be served better, and those where equally well.

        What is required of accuracy grows to what the best has.
        """
        value = best.values[a]
        if self._demands[a].target.objective is Objective.MINIMUM_LATENCY:
            outlook = self._outlook(required)
            assert outlook is not None
            lower = self._latency(a, outlook.figures[a], outlook.contention[a])[1][left]
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
        required[a] = max(required[a], _as_good_as(-value))
        return better, self._possible(required, left)

    def _possible(self, required: Mapping[int, float], left: IndexArray) -> IndexArray:
        """Return the settings among some where all that is required may be had."""
        outlook = self._outlook(required)
        return left[outlook.possible[left]] if outlook is not None else left[:0]

    def _outlook(self, required: Mapping[int, float]) -> Outlook | None:
        """
        Return the outlook at all settings, none where no option is accurate enough.

        :param required: least accuracy of the options of the applications that are to meet
            their targets
        """
        key = tuple(sorted(required.items()))
        if key not in self._outlooks:
            self._outlooks[key] = self._new_outlook(required)
        return self._outlooks[key]

    def _new_outlook(self, required: Mapping[int, float]) -> Outlook | None:
        figures, rows = [], self._problem.settings
        for a, least in enumerate(self._least):
            found = least.at(required.get(a, -math.inf))
            if found is None:
                return None
            figures.append(found if self._everywhere else found.take(rows, axis=1))
        forecasts = self._forecasts
        contention: list[FloatArray | float] = [ALONE] * len(figures)
        if len(figures) > 1:
            taken = [
                np.minimum(points[0] * (f.slow_down * f.occupied), 1.0)
                for f, points in zip(forecasts, figures)
            ]
            for sharing in self._sharing:
                total = taken[sharing[0]] + taken[sharing[1]]
                for a in sharing[2:]:
                    total += taken[a]
                total += 1.0
                for a in sharing:
                    contention[a] = total - taken[a]
        unhindered, latency = {}, {}
        lacking = np.zeros(figures[0].shape[1])
        for a in required:
            (unhindered[a], latency[a]), missed = self._missed(a, figures[a], contention[a])
            lacking = lacking + missed
            if not self._least[a].complete:
                lacking[figures[a][0] >= UNKNOWN] = np.inf
        return Outlook(figures, contention, unhindered, latency, lacking)

    def _latency(
        self, a: int, figures: FloatArray, contention: FloatArray | float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return an application's least latency without and with waiting, and mean service, s."""
        forecast = self._forecasts[a]
        mean = figures[0] * (forecast.slow_down * contention)
        variance = forecast.variance(figures[0], (figures[2], figures[3]))
        unhindered = forecast.service(figures[1] * forecast.slow_down, variance, contention)
        unhindered += forecast.overhead
        # A spread of service makes frames wait longer; without one they wait the least.
        waiting = forecast.waiting(mean, None, is_alone(contention))
        return unhindered, unhindered + waiting, mean

    def _missed(
        self, a: int, figures: FloatArray, contention: FloatArray | float
    ) -> tuple[tuple[FloatArray, FloatArray], FloatArray]:
        """
        Return the least latency without and with waiting, s, and what limits lack by it.

        Not that of accuracy, which the figures are the least of options with enough of.
        """
        forecast = self._forecasts[a]
        unhindered, latency, mean = self._latency(a, figures, contention)
        missed = forecast.missed(forecast.of_energy(figures[4]), latency, mean)
        if not isinstance(missed, np.ndarray):
            missed = np.zeros_like(mean)
        return (unhindered, latency), missed

    def _lacking(self, a: int, outlook: Outlook, positions: IndexArray) -> FloatArray:
        """Return less than `_margined` does, or as much, from the least of all options."""
        figures = outlook.figures[a][:, positions]
        contention = outlook.contention[a]
        if isinstance(contention, np.ndarray):
            contention = contention[positions]
        return self._missed(a, figures, contention)[1]

    def _margined(self, a: int, outlook: Outlook, positions: IndexArray) -> FloatArray:
        """Return what an application lacks at least at some settings, margins kept."""
        rows = self._problem.settings[positions]
        least, forecast = self._least[a], self._forecasts[a]
        figures = least.points(rows)
        contention = outlook.contention[a]
        if isinstance(contention, np.ndarray):
            contention = contention[positions]
        _, latency, mean = self._latency(a, figures, contention)
        fixed = forecast.without_neighbours(least.accuracy[:, None], figures[4])
        lacking = np.broadcast_to(forecast.missed(fixed, latency, mean), mean.shape)
        lacking = np.where(figures[0] >= UNKNOWN, np.inf, lacking)
        return np.asarray(lacking.min(axis=0))

    def _fastest(self, outlook: Outlook) -> FloatArray:
        """Return a figure that is small where all are served fast."""
        total = np.zeros(len(outlook.lacking))
        for forecast, points in zip(self._forecasts, outlook.figures):
            total = total + points[0] * forecast.rate
        return total

    def _least_excess(self) -> FloatArray:
        """Return the least excess at all settings, which is worked out once."""
        if self._over is None:
            self._over = self._excess()
        return self._over

    def _excess(self) -> FloatArray:
        """Return the least excess over the limits of utilisation and power at all settings."""
        problem = self._problem
        excess = np.zeros(len(problem.settings))
        counted = problem.counted_domains()
        if counted:
            load = problem.foreign_utilisation(problem.settings).T[counted]
            for turn, demand, forecast, least in zip(
                self._turns, self._demands, self._forecasts, self._least
            ):
                points = least.at()
                assert points is not None
                mean = points[0] if self._everywhere else points[0][problem.settings]
                busy = np.minimum(mean * (forecast.slow_down * forecast.occupied), turn)
                shares = demand.shares[:, counted][demand.usable].min(axis=0)
                load += shares[:, None] * busy
            excess = np.maximum(load.max(axis=0) - self._limit, 0.0)
        if problem.power_cap < math.inf:
            outlook = self._outlook({})
            assert outlook is not None
            excess = np.maximum(excess, self._power_of(outlook) / problem.power_cap - 1)
        return excess

    def _power_of(self, outlook: Outlook) -> FloatArray:
        """Return the least power of the board at all settings, W, which is worked out once."""
        if id(outlook) not in self._powers:
            self._powers[id(outlook)] = self._power(outlook)
        return self._powers[id(outlook)]

    def _power(self, outlook: Outlook) -> FloatArray:
        power = np.zeros(len(outlook.lacking))
        idle = np.zeros(len(power))
        for a, (forecast, points) in enumerate(zip(self._forecasts, outlook.figures)):
            work = points[7] * forecast.slow_down
            all_served = work * forecast.occupied
            # With the processor busy throughout, frames are left out.
            least = np.minimum(all_served, points[6] * self._turns[a])
            unhindered = outlook.unhindered.get(a)
            if unhindered is not None:
                kept = min(forecast.rate, forecast.asked) * forecast.occupancy
                np.maximum(least, work * kept, out=least)
                if forecast.latency:
                    longest = forecast.latency * (1 + _SLACK) - forecast.quantile * forecast.period
                    np.copyto(least, all_served, where=unhindered > longest)
            if work.min() < 0:
                least = np.where(work < 0, all_served, least)
            power += least
            np.maximum(idle, points[5], out=idle)
        power += idle
        if self._beside is not None:
            power += self._beside
        return power


def _as_good_as(accuracy: float) -> float:
    """Return the least accuracy that counts as equal."""
    return accuracy * (1 - WITHIN_ACCURACY - _SLACK)


def _first(positions: IndexArray, key: FloatArray, size: int) -> IndexArray:
    """Return those of the smallest keys, ascending."""
    if len(positions) <= size:
        return positions
    return np.sort(positions[np.argpartition(key, size)[:size]])


def _least_turn(me: Demand, demands: Sequence[Demand]) -> float:
    """Return the least share of the time of its processor that an application may have."""
    others = [each for each in demands if each is not me]
    in_turn = [each.priority for each in others if take_turns(me, each)]
    left = 1 / (1 + in_turn.count(me.priority))
    if any(priority > me.priority for priority in in_turn):
        left = LEAST_LEFT
    return left / (1 + len(others) - len(in_turn))


def _only(processors: IndexArray, usable: BoolArray) -> int | None:
    """Return the processor that all usable options are for, none where there are several."""
    if not usable.all():
        processors = processors[usable]
    first = int(processors[0])
    return first if (processors == first).all() else None
