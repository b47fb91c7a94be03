# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The search for the best joint candidate.

At each setting the applications choose in order of priority, twice round, each knowing what the
others take of the processor that it would use. First each takes what is best for itself. Where
that costs one its target, those of lower priority yield at that setting, step by step: they take
the least that meets their own target, then the least there is.

Among all candidates the choice is lexicographic:

1. least excess over the limit of utilisation, where load that is not ours needs the domain, and
   over the power cap, both as shares;
2. fewest missed targets, in order of priority; 3. nearest to those that are missed, likewise;
4. each application's objective in order of priority, latency to within 1 %, accuracy to within
   0.03 %;
5. least power of the board.

Only settings that can matter are looked at, as in branch and bound: the most promising ones
first, until lower bounds show of every other one that it would change nothing (`bounds.py`). At
each the applications first choose for themselves; that some yield is tried only where this costs
one its target and the setting can still matter. The answer is that of a search of all settings,
unless `EFFORT` ends it before: where many targets contradict each other, what is best then stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import NamedTuple

import numpy as np

from dynamic_dnn_ros.management.assessment import (
    BoolArray,
    Contention,
    Demand,
    FloatArray,
    IndexArray,
    Problem,
    ResourceSettings,
    by_priority,
    neighbour,
    take_turns,
)
from dynamic_dnn_ros.management.bounds import Best, Bounds
from dynamic_dnn_ros.management.forecast import ALONE, Forecast, Points
from dynamic_dnn_ros.management.narrowing import WITHIN, narrow, within
from dynamic_dnn_ros.management.queueing import Queue, queue, stacked
from dynamic_dnn_ros.management.tables import LeastFigures
from dynamic_dnn_ros.management.targets import Objective

FIRST_BATCH = 96
"""
Settings that are looked at first; each further batch is four times as large.

A batch takes hardly longer for being larger, as most of its time goes into calls: 96 settings
for two applications a third more than 4.
"""

YIELDING = 224
"""Joint candidates that are looked at first where somebody yields everywhere."""

EFFORT = 384
"""
Joint candidates after which a search ends. Settings come in the order of what the bounds promise,
so that what the rest could still mend is little; the choice stays the same for the same input.
"""


class Attitude(IntEnum):
    """What an application chooses by: its objective, the least that will do, or the least."""

    OBJECTIVE = 0
    THRIFTY = 1
    LEAST = 2


@dataclass(frozen=True, eq=False)
class Candidates:
    """
    Joint candidates, one a column, and what the choice among them depends on.

    `strategy` is the place of the applications' attitudes in the order in which equals are
    taken. `options`, `margined` and `values` (of the objectives) have the shape (applications,
    candidates).
    """

    settings: IndexArray
    strategy: IndexArray
    options: IndexArray
    excess: FloatArray
    margined: FloatArray
    values: FloatArray
    power: FloatArray

    def joined(self, other: Candidates) -> Candidates:
        """Return these candidates and others."""
        return Candidates(
            np.concatenate([self.settings, other.settings]),
            np.concatenate([self.strategy, other.strategy]),
            np.concatenate([self.options, other.options], axis=1),
            np.concatenate([self.excess, other.excess]),
            np.concatenate([self.margined, other.margined], axis=1),
            np.concatenate([self.values, other.values], axis=1),
            np.concatenate([self.power, other.power]),
        )

    def costs(self) -> BoolArray:
        """Tell where somebody misses a target, or the board is asked for too much."""
        return (self.excess > WITHIN) | (self.margined > 0).any(axis=0)


def choose_jointly(
    problem: Problem,
    settings: ResourceSettings,
    first_batch: int = FIRST_BATCH,
    in_force: int | None = None,
    effort: int = EFFORT,
) -> tuple[int, IndexArray]:
    """
    Return the best setting, and each application's option, as indices.

    :param first_batch: how many settings to look at first; the answer does not depend on it
    :param in_force: a setting to look at too, nor on that
    :param effort: joint candidates after which to end
    """
    order = by_priority(problem.demands)
    forecasts = [Forecast(demand, settings.margin) for demand in problem.demands]
    least = [
        figures.of(demand.usable) for figures, demand in zip(problem.joint.least, problem.demands)
    ]
    bounds = Bounds(problem, order, settings, forecasts, least)
    task = _Task(problem, settings, order, forecasts, least)
    yielding = yielding_attitudes(len(order), problem.power_cap < np.inf)
    strategies = yielding.shape[1]
    own = np.zeros((len(order), 1), dtype=np.int64)
    every = np.concatenate([yielding, own], axis=1)
    owing = np.zeros(len(problem.settings), dtype=bool)
    size = first_batch
    # Where not all targets can be met, each setting is looked at with every way to yield.
    at = bounds.most_promising(size, max(min(size, YIELDING // (strategies + 1)), 1))
    if in_force is not None and not (problem.settings[at] == in_force).any():
        at = np.concatenate([at, np.flatnonzero(problem.settings == in_force)])
    found: Candidates | None = None
    while True:
        room = effort - (0 if found is None else len(found.power))
        if bounds.all_may_be_met:
            unseen, owed = at[~owing[at]][:room], at[owing[at]]
            if len(owed):
                owed = owed[: max(room // strategies, 1)]
            new = task.candidates(_Looks(unseen, own, strategies), _Looks(owed, yielding, 0))
            costs = new.costs()[: len(unseen)] & (strategies > 0)
            owing[unseen[costs]] = True
            bounds.done(np.concatenate([unseen[~costs], owed]))
        else:
            # Somebody yields everywhere.
            unseen = at[: max(room // (strategies + 1), 1)]
            new = task.candidates(_Looks(unseen, every, 0))
            bounds.done(unseen)
        found = new if found is None else found.joined(new)
        best = best_of(problem.demands, found, order)
        size *= 4
        # No more than will be looked at: which ones, the bounds say.
        room = effort - len(found.power)
        most = min(size, room if bounds.all_may_be_met else room // (strategies + 1))
        at = bounds.after(best, most) if room > strategies else at[:0]
        if not len(at):
            return int(found.settings[best.row]), found.options[:, best.row]


@cache
def yielding_attitudes(count: int, capped: bool = False) -> IndexArray:
    """
    Return the attitudes of applications in order of priority, shape (count, strategies).

    :param capped: whether even one alone, and all together, may have to yield to a power cap
    """
    objective, thrifty, least = Attitude
    strategies = [
        (first,) * k + (rest,) * (count - k)
        for first, rest in ((objective, thrifty), (objective, least), (thrifty, least))
        for k in range(count)
        if (k or first is objective) and not (k == 0 and rest is least)
    ]
    if capped:
        strategies.append((least,) * count)
    elif count < 2:
        strategies = []
    return np.array(strategies, dtype=np.int64).reshape(-1, count).T


def best_of(demands: Sequence[Demand], found: Candidates, order: Sequence[int]) -> Best:
    """Return the candidate that is lexicographically best, limits with their margin."""
    keep = narrow(None, found.excess, absolute=WITHIN)
    excess = float(found.excess.min())
    met, margined, values = {}, {}, {}
    missed = found.margined > 0
    for a in order:
        without = keep & ~missed[a]
        met[a] = bool(without.any())
        if met[a]:
            keep = without
    for a in order:
        margined[a] = 0.0
        if not met[a]:
            margined[a] = float(found.margined[a][keep].min())
            keep = narrow(keep, found.margined[a], relative=WITHIN)
    for a in order:
        if demands[a].target.objective is not Objective.MINIMUM_ENERGY:
            values[a] = float(found.values[a][keep].min())
            keep = narrow(keep, found.values[a], relative=within(demands[a].target.objective))
    kept = np.flatnonzero(keep)
    power = found.power[kept]
    smallest = power.min()
    equal = kept[power == smallest]
    row = int(equal[np.lexsort((found.settings[equal], found.strategy[equal]))[0]])
    return Best(row, excess, met, margined, values, float(smallest))


class _Looks(NamedTuple):
    """
    Settings to look at, each with the same attitudes.

    `at` are positions of settings; `attitudes`, of the applications in order of priority, have the
    shape (applications, strategies); `strategy` is the number of the first strategy.
    """

    at: IndexArray
    attitudes: IndexArray
    strategy: int


@dataclass(frozen=True, eq=False)
class _Task:
    """What all batches of one search share."""

    problem: Problem
    settings: ResourceSettings
    order: Sequence[int]
    forecasts: Sequence[Forecast]
    least: Sequence[LeastFigures]

    def candidates(self, *looks: _Looks) -> Candidates:
        """
        Return what each strategy comes to at each setting, strategy by strategy.

        Most of the time goes into calls, so different looks take hardly longer than one.
        """
        looks = tuple(each for each in looks if len(each.at))
        rows = self.problem.settings[_joined([each.at for each in looks])]
        numbers, columns, attitudes, seen = [], [], [], 0
        for at, wanted, strategy in looks:
            strategies = wanted.shape[1]
            numbers.append(np.arange(strategy, strategy + strategies).repeat(len(at)))
            columns.append(np.tile(np.arange(seen, seen + len(at)), strategies))
            attitudes.append(wanted.repeat(len(at), axis=1))
            seen += len(at)
        every = _joined(columns) if len(looks) > 1 or strategies > 1 else None
        return _Choosing(self, rows, every, _joined(attitudes))(_joined(numbers))


def _joined(arrays: Sequence[IndexArray]) -> IndexArray:
    """Return arrays side by side along their last axis."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)


class _Turns:
    """What applications take of each processor, in every row."""

    def __init__(self, demands: Sequence[Demand]) -> None:
        self._demands = demands
        self._total: dict[int, FloatArray] = {}
        self._of: dict[int, dict[int, FloatArray]] = {}

    def take(self, a: int, taken: dict[int, FloatArray]) -> None:
        """Put what an application takes in place of what it took before."""
        before = self._of.get(a, {})
        for processor, busy in taken.items():
            more = busy - before[processor] if processor in before else busy
            total = self._total.get(processor)
            self._total[processor] = more if total is None else total + more
        self._of[a] = taken

    def contention(self, a: int, processor: int) -> Contention:
        """Return what others make of an application's service."""
        if self._demands[a].server:
            return self._queue(a, processor)
        if not any(processor in taken for b, taken in self._of.items() if b != a):
            return ALONE
        factor = 1.0 + self._total[processor]
        mine = self._of.get(a, {}).get(processor)
        return factor if mine is None else factor - mine

    def _queue(self, a: int, processor: int) -> Contention:
        """Return what an application that takes turns with some waits for."""
        me = self._demands[a]
        factor: FloatArray | float = ALONE
        members = []
        for b, taken in self._of.items():
            if b == a or processor not in taken:
                continue
            if take_turns(me, self._demands[b]):
                members.append(neighbour(me, self._demands[b], taken[processor]))
            else:
                factor = factor + taken[processor]
        return queue(members, factor, me.queueing) if members else factor


class _Choosing:
    """
    The applications' choices at some settings, each with an attitude, in order of priority.

    :param rows: of the settings
    :param every: the place among them of each candidate's; none: one candidate each
    :param attitudes: of the applications in order of priority, shape (applications, candidates)
    """

    def __init__(
        self, task: _Task, rows: IndexArray, every: IndexArray | None, attitudes: IndexArray
    ) -> None:
        problem = task.problem
        self._problem = problem
        self._order = task.order
        self._limit = task.settings.utilisation_limit
        self._rows = rows if every is None else rows[every]
        self._columns = np.arange(len(self._rows))
        # Where the idle power of each candidate is.
        self._at = self._columns if every is None else every
        # None where no row has another attitude than to choose for itself.
        self._is_own: dict[int, BoolArray | None] = {}
        self._is_least: dict[int, BoolArray | None] = {}
        for a, attitude in zip(task.order, attitudes):
            own, least = attitude == Attitude.OBJECTIVE, attitude == Attitude.LEAST
            self._is_own[a] = None if own.all() else own
            self._is_least[a] = least if least.any() else None
        self._usable = [np.flatnonzero(demand.usable) for demand in problem.demands]
        # The processors that each may use, and the place among them of each option's.
        self._places = [
            np.unique(processors[usable], return_inverse=True)
            for processors, usable in zip(problem.joint.processors, self._usable)
        ]
        self._single = [int(p[0]) if len(p) == 1 else None for p, _ in self._places]
        self._inaccuracy = [figures.inaccuracy for figures in task.least]
        self._points: list[Points] = []
        self._idle: list[FloatArray] = []
        for figures, forecast in zip(task.least, task.forecasts):
            taken = figures.points(rows)
            points = Points(forecast, taken, figures.accuracy[:, None], figures.complete)
            self._points.append(points if every is None else points.repeated(every))
            self._idle.append(taken[5])
        self._counted = problem.counted_domains()
        # Load that is not ours, and shares, of the counted domains alone.
        self._foreign = np.zeros((0, len(self._rows)))
        if self._counted:
            self._foreign = problem.foreign_utilisation(self._rows).T[self._counted]
        self._shares = [
            demand.shares[usable][:, self._counted].T
            for demand, usable in zip(problem.demands, self._usable)
        ]
        nothing = np.zeros(len(self._rows))
        self._options = [np.zeros(len(self._rows), dtype=np.int64)] * len(self._points)
        self._busy = [nothing] * len(self._points)
        self._turns = _Turns(problem.demands)
        # What each application takes of the counted domains, and all together with other load.
        self._loads: dict[int, FloatArray] = {}
        self._load = self._foreign

    def __call__(self, strategy: IndexArray) -> Candidates:
        """Return the candidates, each with the number of its strategy."""
        for a in self._order:
            self._choose(a)
        # The last one knew what all others take: it only chooses again if that has changed.
        changed = [self._choose(a) for a in self._order[:-1]]
        if any(changed):
            self._choose(self._order[-1])
        return self._valued(strategy)

    def _choose(self, a: int) -> bool:
        """Choose an application's option in every row; return whether it takes other time now."""
        points, objective = self._points[a], self._problem.demands[a].target.objective
        contention = self._contention(a, self._turns, None)
        latency, mean = points.latency(contention)
        busy = points.busy(contention)
        added = busy * points.dynamic_power
        keep: BoolArray | None = None
        if self._counted:
            keep = narrow(keep, self._excess(a, busy), absolute=WITHIN, axis=0)
        margined = points.forecast.missed(points.fixed, latency, mean)
        least, own = self._is_least[a], self._is_own[a]
        if isinstance(margined, np.ndarray):
            if least is not None:
                # The least need not meet the target, but be in the profile.
                margined = np.where(least & np.isfinite(margined), 0.0, margined)
            # Where some meet the target, only those are kept.
            if margined.shape != mean.shape:
                margined = np.broadcast_to(margined, mean.shape)
            keep = narrow(keep, margined, WITHIN, axis=0)
        values: FloatArray | float = 0.0
        if objective is Objective.MAXIMUM_ACCURACY:
            values = self._inaccuracy[a][:, None]
        elif latency is not None and objective is Objective.MINIMUM_LATENCY:
            values = latency
        equal: float | FloatArray = within(objective)
        if own is not None:
            values = np.where(own, values, busy)
            equal = np.where(own, equal, WITHIN)
        if isinstance(values, np.ndarray):
            keep = narrow(keep, values, equal, axis=0)
        if keep is not None:
            added = np.where(keep, added, np.inf)
        choice = added.argmin(axis=0)
        turn = contention.turn if isinstance(contention, Queue) else contention
        if isinstance(turn, np.ndarray) and turn.ndim == 1:
            busy = np.minimum(points.busy_alone[choice, self._columns], 1 / turn)
        else:
            busy = busy[choice, self._columns]
        changed = bool((busy != self._busy[a]).any() or (choice != self._options[a]).any())
        self._options[a], self._busy[a] = choice, busy
        if changed:
            self._turns.take(a, self._by_processor(a, busy))
            if self._counted:
                before = self._loads.get(a)
                taken = self._loads[a] = busy * self._shares[a][:, choice]
                self._load = self._load + (taken if before is None else taken - before)
        return changed

    def _by_processor(self, a: int, busy: FloatArray) -> dict[int, FloatArray]:
        """Return what an application takes of each processor in every row."""
        single = self._single[a]
        if single is not None:
            return {single: busy}
        processors, places = self._places[a]
        at = places[self._options[a]]
        return {p: np.where(at == i, busy, 0.0) for i, p in enumerate(processors.tolist())}

    def _contention(self, a: int, turns: _Turns, mine: IndexArray | None) -> Contention:
        """
        Return what others make of service.

        :param mine: the option in each row; none: for each of the application's options
        """
        single = self._single[a]
        if single is not None:
            return turns.contention(a, single)
        processors, places = self._places[a]
        factors = [turns.contention(a, p) for p in processors.tolist()]
        nothing = np.zeros(len(self._rows))
        others = [factor for factor in factors if not isinstance(factor, Queue)]
        if len(others) < len(factors):
            at = places[:, None] if mine is None else places[mine]
            return stacked(factors, nothing).at_places(at, self._columns)
        if all(factor is ALONE for factor in others):
            return ALONE
        every = np.stack([factor + nothing for factor in others])
        return every[places] if mine is None else every[places[mine], self._columns]

    def _excess(self, a: int, busy: FloatArray) -> FloatArray:
        """Return the excess over the limit of utilisation with each option."""
        others = self._load - self._loads[a] if a in self._loads else self._load
        most = np.zeros_like(busy)
        for load, shares in zip(others, self._shares[a]):
            taken = busy * shares[:, None]
            taken += load - self._limit
            np.maximum(most, taken, out=most)
        return most

    def _valued(self, strategy: IndexArray) -> Candidates:
        """Return what has been chosen and what it comes to."""
        count, rows = len(self._points), self._rows
        picked = [p.chosen(o, self._columns) for p, o in zip(self._points, self._options)]
        turns = _Turns(self._problem.demands)
        for a, points in enumerate(picked):
            turns.take(a, self._by_processor(a, points.busy_alone))
        margined = np.empty((count, len(rows)))
        values = np.empty((count, len(rows)))
        power, idle = np.zeros(len(rows)), np.zeros(len(rows))
        load = self._foreign
        for a, (points, demand) in enumerate(zip(picked, self._problem.demands)):
            options = self._options[a]
            contention = self._contention(a, turns, options)
            latency, mean = points.latency(contention)
            margined[a] = points.forecast.missed(points.fixed, latency, mean)
            busy = points.busy(contention)
            power += busy * points.dynamic_power
            np.maximum(idle, self._idle[a][options, self._at], out=idle)
            if self._counted:
                load = load + busy * self._shares[a][:, options]
            if demand.target.objective is Objective.MAXIMUM_ACCURACY:
                values[a] = self._inaccuracy[a][options]
            elif latency is not None and demand.target.objective is Objective.MINIMUM_LATENCY:
                values[a] = latency
        power += idle
        if self._problem.power_beside is not None:
            power += self._problem.power_beside[rows]
        excess = np.zeros(len(rows))
        if self._counted:
            excess = np.maximum((load - self._limit).max(axis=0), 0.0)
        if self._problem.power_cap < np.inf:
            np.maximum(excess, power / self._problem.power_cap - 1, out=excess)
        options = np.stack([usable[o] for usable, o in zip(self._usable, self._options)])
        return Candidates(rows, strategy, options, excess, margined, values, power)
