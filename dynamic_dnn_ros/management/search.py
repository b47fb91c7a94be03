# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The search for the best joint candidate.

At each setting the applications choose in order of priority, twice round, each knowing what the
others take of the processor that it would use. First each takes what is best for itself. Where
that costs one its target, those of lower priority yield at that setting, step by step: they take
the least that meets their own target, then the least there is.

Among all candidates the choice is lexicographic:

1. least excess over the limit of utilisation, where load that is not ours needs the domain;
2. fewest missed targets, in order of priority; 3. nearest to those that are missed, likewise;
4. each application's objective in order of priority, to within 1 %;
5. least power of the board.

Only settings that can matter are looked at, as in branch and bound: the most promising ones
first, until lower bounds show of every other one that it would change nothing (`bounds.py`). The
answer is that of a search of all settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np

from dynamic_dnn_ros.management.assessment import (
    BoolArray,
    Demand,
    FloatArray,
    IndexArray,
    Problem,
    ResourceSettings,
    by_priority,
    expect,
    objective_values,
    of_board,
    shortfall,
    together,
)
from dynamic_dnn_ros.management.bounds import Best, Bounds
from dynamic_dnn_ros.management.narrowing import WITHIN, narrow
from dynamic_dnn_ros.management.tables import FIGURES
from dynamic_dnn_ros.management.targets import Objective

FIRST_BATCH = 16
"""Settings that are looked at first; each further batch is twice as large."""


class Attitude(IntEnum):
    """What an application chooses by: its objective, the least that will do, or the least."""

    OBJECTIVE = 0
    THRIFTY = 1
    LEAST = 2


@dataclass(frozen=True, eq=False)
class Candidates:
    """
    Joint candidates, one a row, and what the choice among them depends on.

    `strategy` is the place of the applications' attitudes in the order in which equals are
    taken. `margined` and `values` (of the objectives) have the shape (applications, candidates).
    """

    settings: IndexArray
    strategy: IndexArray
    options: IndexArray
    excess: FloatArray
    margined: FloatArray
    values: FloatArray
    power: FloatArray

    def joined(self, other: Candidates) -> Candidates:
        """Return these candidates and others, in the order in which equals are taken."""
        strategy = np.concatenate([self.strategy, other.strategy])
        settings = np.concatenate([self.settings, other.settings])
        order = np.lexsort((settings, strategy))
        return Candidates(
            settings[order],
            strategy[order],
            np.concatenate([self.options, other.options])[order],
            np.concatenate([self.excess, other.excess])[order],
            np.concatenate([self.margined, other.margined], axis=1)[:, order],
            np.concatenate([self.values, other.values], axis=1)[:, order],
            np.concatenate([self.power, other.power])[order],
        )


def search(
    problem: Problem, settings: ResourceSettings, first_batch: int = FIRST_BATCH
) -> tuple[int, IndexArray]:
    """
    Return the best setting, and each application's option, as indices.

    :param first_batch: how many settings to look at first; the answer does not depend on it
    """
    order = by_priority(problem.demands)
    bounds = Bounds(problem, order, settings)
    found: Candidates | None = None
    size = first_batch
    at = bounds.most_promising(size)
    while True:
        new = candidates(problem, problem.settings[at], order, settings)
        found = new if found is None else found.joined(new)
        best = best_of(problem.demands, found, order)
        size *= 2
        at = bounds.after(at, best, size)
        if not len(at):
            return int(found.settings[best.row]), found.options[best.row]


def candidates(
    problem: Problem, at: IndexArray, order: Sequence[int], settings: ResourceSettings
) -> Candidates:
    """
    Return the candidates of some settings.

    :param at: indices of settings, ascending
    :param order: the applications, the highest priority first
    """
    own = np.zeros((len(order), 1), dtype=np.int64)
    yielding = yielding_attitudes(len(order))
    rank = yielding.shape[1]
    found = _candidates(problem, at, order, own, rank, settings)
    if rank:
        costs = (found.excess > WITHIN) | (found.margined > 0).any(axis=0)
        if costs.any():
            found = _candidates(problem, at[costs], order, yielding, 0, settings).joined(found)
    return found


@cache
def yielding_attitudes(count: int) -> IndexArray:
    """Return the attitudes of applications in order of priority, shape (count, strategies)."""
    objective, thrifty, least = Attitude
    strategies = [
        (first,) * k + (rest,) * (count - k)
        for first, rest in ((objective, thrifty), (objective, least), (thrifty, least))
        for k in range(count)
        if (k or first is objective) and not (k == 0 and rest is least)
    ]
    if count < 2:
        strategies = []
    return np.array(strategies, dtype=np.int64).reshape(-1, count).T


def best_of(demands: Sequence[Demand], found: Candidates, order: Sequence[int]) -> Best:
    """Return the row that is lexicographically best, limits with their margin."""
    keep = narrow(None, found.excess, absolute=WITHIN)
    excess = float(found.excess.min())
    met, margined, values = {}, {}, {}
    for a in order:
        missed = (found.margined[a] > 0).astype(np.float64)
        met[a] = not missed[keep].min() > 0
        keep = narrow(keep, missed)
    for a in order:
        margined[a] = float(found.margined[a][keep].min())
        keep = narrow(keep, found.margined[a], relative=WITHIN)
    for a in order:
        if demands[a].target.objective is not Objective.MINIMUM_ENERGY:
            values[a] = float(found.values[a][keep].min())
            keep = narrow(keep, found.values[a], relative=WITHIN)
    row = int(np.where(keep, found.power, np.inf).argmin())
    return Best(row, excess, met, margined, values, float(found.power[row]))


def _candidates(
    problem: Problem,
    at: IndexArray,
    order: Sequence[int],
    attitudes: IndexArray,
    strategy: int,
    settings: ResourceSettings,
) -> Candidates:
    """
    Return what each strategy comes to at each setting, strategy by strategy.

    :param attitudes: of the applications in order of priority, shape (applications, strategies)
    :param strategy: number of the first strategy
    """
    strategies = attitudes.shape[1]
    rows = np.tile(at, strategies)
    options = _Choosing(problem, rows, order, np.repeat(attitudes, len(at), axis=1), settings)()
    joint = together(problem, rows, options)
    found = [
        expect(demand, points, accuracy, contention)
        for demand, (points, accuracy, contention) in zip(problem.demands, joint)
    ]
    excess, power = of_board(problem, rows, options, joint, found, settings)
    return Candidates(
        rows,
        np.repeat(np.arange(strategy, strategy + strategies), len(at)),
        options,
        excess,
        np.stack(
            [shortfall(d, f, d.room(settings.margin)) for d, f in zip(problem.demands, found)]
        ),
        np.stack([objective_values(d, f, power) for d, f in zip(problem.demands, found)]),
        power,
    )


class _Choosing:
    """The applications' choices at some settings, each with an attitude, in order of priority."""

    def __init__(
        self,
        problem: Problem,
        rows: IndexArray,
        order: Sequence[int],
        attitudes: IndexArray,
        settings: ResourceSettings,
    ) -> None:
        self._problem = problem
        self._settings = settings
        self._order = order
        # None where no row has another attitude than to choose for itself.
        self._is_own: dict[int, BoolArray | None] = {}
        self._is_least: dict[int, BoolArray | None] = {}
        for a, attitude in zip(order, attitudes):
            own, least = attitude == Attitude.OBJECTIVE, attitude == Attitude.LEAST
            self._is_own[a] = None if own.all() else own
            self._is_least[a] = least if least.any() else None
        joint = problem.joint
        self._usable = [np.flatnonzero(demand.usable) for demand in problem.demands]
        self._points = [
            dict(zip(FIGURES, table.figures[:, usable[:, None], joint.row[a][rows]]))
            for a, (table, usable) in enumerate(zip(joint.tables, self._usable))
        ]
        self._processors = [c[u] for c, u in zip(joint.processors, self._usable)]
        self._single = [int(p[0]) if (p == p[0]).all() else None for p in self._processors]
        self._accuracy = [
            np.broadcast_to(table.accuracy[usable][:, None], (len(usable), len(rows)))
            for table, usable in zip(joint.tables, self._usable)
        ]
        self._columns = np.arange(len(rows))
        self._counted = problem.counted_domains()
        self._foreign = problem.foreign_utilisation(rows).T[self._counted]
        self._options = np.zeros((len(order), len(rows)), dtype=np.int64)
        self._busy = np.zeros((len(order), len(rows)))

    def __call__(self) -> IndexArray:
        """Return the options, shape (rows, applications)."""
        chosen: list[int] = []
        for a in self._order:
            self._choose(a, chosen)
            chosen.append(a)
        if len(chosen) > 1:
            # The last one knew what all others take: it only chooses again if that has changed.
            changed = [self._choose(a, [b for b in chosen if b != a]) for a in chosen[:-1]]
            if any(changed):
                self._choose(chosen[-1], chosen[:-1])
        return np.stack(
            [usable[options] for usable, options in zip(self._usable, self._options)], axis=1
        )

    def _choose(self, a: int, others: Sequence[int]) -> bool:
        """Choose an application's option in every row; return whether it takes other time now."""
        demand = self._problem.demands[a]
        contention: FloatArray | float = 1.0
        for b in others:
            if self._single[a] is not None and self._single[b] is not None:
                shared: FloatArray | bool = self._single[a] == self._single[b]
            else:
                shared = self._processors[b][self._options[b]] == self._processors[a][:, None]
            contention = contention + shared * self._busy[b]
        found = expect(demand, self._points[a], self._accuracy[a], contention)
        keep: BoolArray | None = None
        if self._counted:
            keep = narrow(keep, self._excess(a, others, found.busy), absolute=WITHIN, axis=0)
        margined = shortfall(demand, found, demand.room(self._settings.margin))
        least, own = self._is_least[a], self._is_own[a]
        if least is not None:
            # The least need not meet the target, but be in the profile.
            margined = np.where(least & np.isfinite(margined), 0.0, margined)
        # Where some meet the target, only those are kept.
        keep = narrow(keep, margined, relative=WITHIN, axis=0)
        by_power = demand.target.objective is Objective.MINIMUM_ENERGY
        if own is not None:
            mine = 0.0 if by_power else objective_values(demand, found, found.added_power)
            keep = narrow(keep, np.where(own, mine, found.busy), relative=WITHIN, axis=0)
        elif not by_power:
            values = objective_values(demand, found, found.added_power)
            keep = narrow(keep, values, relative=WITHIN, axis=0)
        choice = np.where(keep, found.added_power, np.inf).argmin(axis=0)
        busy = found.busy[choice, self._columns]
        changed = bool((choice != self._options[a]).any() or (busy != self._busy[a]).any())
        self._options[a], self._busy[a] = choice, busy
        return changed

    def _excess(self, a: int, others: Sequence[int], busy: FloatArray) -> FloatArray:
        """Return the excess over the limit of utilisation with each option."""
        most = np.zeros_like(busy)
        for foreign, domain in zip(self._foreign, self._counted):
            load = foreign
            for b in others:
                shares = self._problem.demands[b].shares[self._usable[b], domain]
                load = load + self._busy[b] * shares[self._options[b]]
            shares = self._problem.demands[a].shares[self._usable[a], domain]
            taken = load + busy * shares[:, None]
            most = np.maximum(most, taken - self._settings.utilisation_limit)
        return most
