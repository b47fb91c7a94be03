# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Designs kept for look-up, as CARIn does (arXiv 2409.01089, 2024).

For each state that the board may come into, the profile is sorted once by several objectives; at
run time the design of the present state is looked up, and nothing is predicted. Written from a
summary of the paper, so states, weights and numbers are ours. It learns nothing from frames. Its
designs have clocks besides; state "less memory" is left out, since no load tells a decider of
memory, and a slow clock of the memory is a state in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.baselines.baseline import Baseline
from dynamic_dnn_ros.management.baselines.rates import ArrivalRates
from dynamic_dnn_ros.management.estimator import profiled_quantile
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.observations import Load, Status
from dynamic_dnn_ros.management.tables import ApplicationTable, Option
from dynamic_dnn_ros.management.targets import Objective, Target

FloatArray = NDArray[np.float64]
State = frozenset[str]

HOT, BUSY, SLOW_MEMORY = 'hot', 'busy processor', 'slow memory'
STATES = tuple(frozenset(c) for n in range(4) for c in combinations((HOT, BUSY, SLOW_MEMORY), n))
"""All states that a board may be in; none of the three is the normal one."""

HOT_FROM = 80.0
"""Degrees Celsius from which a board counts as hot, also if its clocks are not limited yet."""

BUSY_FROM, BUSY_BY = 0.1, 0.3
"""Share of a domain from which on others keep it busy, and what designs for that reckon with."""

SLOW_SHARE = 0.75
"""Of the highest clock: what designs for a hot board, or for a slow memory, go up to."""

STAY = 3.0
"""Seconds for which a state is over before the look-up follows."""

BESIDE = 0.1
"""Weight of what is no goal beside the goal's 1."""

RATE_CHANGED = 1.2
"""Factor between the rate of frames and that of the designs, from which they are made anew."""

MEMORY = 'memory'


@dataclass(frozen=True)
class Design:
    """An option for each application, and clocks, Hz by domain."""

    options: Mapping[str, Option]
    clocks: Mapping[str, float]


@dataclass(frozen=True)
class _Asked:
    """All that designs depend on besides the profile."""

    target: Target | None
    rate: float


class Carin(Baseline):
    """Looks up the design of the present state among those that the profile gave beforehand."""

    def __init__(self, instance: str = 'carin', settings: ManagerSettings | None = None) -> None:
        """Begin with no designs."""
        super().__init__(instance, settings)
        self.designs: dict[State, Design] = {}
        self._rates = ArrivalRates()
        self._asked: dict[str, _Asked] = {}
        self._sorted: dict[str, ApplicationTable] = {}
        self._seen: dict[str, float] = {}
        self._state: State = frozenset()

    def served(self, application: str, status: Status, now: float) -> bool:
        """Count frames, which is all that it heeds of them."""
        self._rates.count(status, now)
        return False

    def observe_load(self, load: Load, now: float) -> bool:
        """Note the state; tell to decide where it is another one."""
        changed = super().observe_load(load, now)
        self._seen.update(dict.fromkeys(_conditions(load), now))
        state = frozenset(name for name, at in self._seen.items() if now - at <= STAY)
        changed |= state != self._state
        self._state = state
        return changed

    def pick(self, now: float) -> tuple[Mapping[str, Option], Mapping[str, float] | None]:
        """Return the design of the present state."""
        tables = self.shared_tables()
        if not tables or not all(table.options for table in tables.values()):
            return dict(self.serving), None  # a design has one setting for all
        if self._outdated(tables):
            self._sorted = tables
            self._asked = {name: self._ask(name) for name in tables}
            self.designs = {state: _design(tables, self._asked, state) for state in STATES}
        design = self.designs[self._state]
        return design.options, design.clocks or None

    def _ask(self, name: str) -> _Asked:
        target = self.targets.get(name)
        return _Asked(target, self._rates.rate(name, target))

    def _outdated(self, tables: Mapping[str, ApplicationTable]) -> bool:
        if tables.keys() != self._sorted.keys():
            return True
        for name, table in tables.items():
            before, asked = self._asked[name], self._ask(name)
            ratio = asked.rate / before.rate
            if table is not self._sorted[name] or asked.target != before.target:
                return True
            if not 1 / RATE_CHANGED < ratio < RATE_CHANGED:
                return True
        return False


def _conditions(load: Load) -> set[str]:
    """Return what is not as usual on a board."""
    found = set()
    if load.temperature >= HOT_FROM:
        found.add(HOT)
    for domain in load.domains:
        highest = max(domain.available, default=math.nan)
        if domain.limit_maximum < highest * (1 - 1e-3):
            found.add(HOT)
        if domain.utilisation_foreign >= BUSY_FROM:
            found.add(BUSY)
        asked = domain.requested_maximum or math.nan
        if domain.name == MEMORY and domain.granted < asked * (1 - 1e-3):
            found.add(SLOW_MEMORY)
    return found


def _design(
    tables: Mapping[str, ApplicationTable], asked: Mapping[str, _Asked], state: State
) -> Design:
    """Return the setting, and for each application the option, that come first in the sort."""
    first = next(iter(tables.values()))
    allowed = _allowed(first, state)
    busy_by = BUSY_BY if BUSY in state else 0.0
    alone = {name: _sort(tables[name], each, busy_by) for name, each in asked.items()}
    taken = {name: sort.busy[sort.best, np.arange(len(sort.best))] for name, sort in alone.items()}
    found = {}
    for name, each in asked.items():
        # Beside others a frame lasts longer, by what they take of the processor.
        others = sum((share for other, share in taken.items() if other != name), busy_by)
        found[name] = _sort(tables[name], each, np.minimum(others, 0.95))
    total = np.where(allowed, 0.0, np.inf)
    columns = np.arange(len(first.rows))
    total = total + sum(sort.distance[sort.best, columns] for sort in found.values())
    row = int(total.argmin())
    options = {n: tables[n].options[int(sort.best[row])] for n, sort in found.items()}
    return Design(options, dict(zip(first.domains, first.hertz[row].tolist())))


def _allowed(table: ApplicationTable, state: State) -> NDArray[np.bool_]:
    keep = np.ones(len(table.rows), dtype=bool)
    for column, name in enumerate(table.domains):
        clocks = table.rows[:, column]
        if (HOT in state and name != MEMORY) or (SLOW_MEMORY in state and name == MEMORY):
            keep &= clocks <= max(SLOW_SHARE * clocks.max(), clocks.min())
    return keep


@dataclass(frozen=True, eq=False)
class _Sort:
    """
    Of one application: shape (options, settings).

    `distance` is from the point that is best in everything, 1e6 and more where a limit is missed;
    `busy` the share of its processor's time; `best` the option at each setting.
    """

    distance: FloatArray
    busy: FloatArray

    @property
    def best(self) -> NDArray[np.int64]:
        return self.distance.argmin(axis=0)


def _sort(table: ApplicationTable, asked: _Asked, others: float | FloatArray) -> _Sort:
    """
    Sort options and settings by their distance from the best in everything.

    :param others: share of the processor's time that others take, also at each setting
    """
    target = asked.target or Target(table.application, objective=Objective.MAXIMUM_ACCURACY)
    slow_down = 1.0 / (1.0 - np.asarray(others))
    latency = profiled_quantile(target.quantile, table.p50, table.p95, table.p99) * slow_down
    share = table.mean * asked.rate
    busy = np.minimum(share, 1.0)
    power = np.nan_to_num(table.idle) + busy * table.dynamic_power
    inaccuracy = np.broadcast_to(1.0 - np.nan_to_num(table.accuracy)[:, None], latency.shape)
    excess = np.maximum(share * slow_down - 1.0, 0.0) if target.rate else np.zeros(latency.shape)
    if target.latency:
        excess = np.maximum(excess, latency / target.latency - 1.0)
    missed = 1e9 * np.maximum(excess, 0.0) + 1e6 * (excess > 0.0)
    missed = missed + 1e6 * (table.accuracy < target.accuracy)[:, None]
    goals = {
        Objective.MINIMUM_ENERGY: power,
        Objective.MAXIMUM_ACCURACY: inaccuracy,
        Objective.MINIMUM_LATENCY: latency,
    }
    feasible = (missed == 0.0) & np.isfinite(latency)
    squares = np.zeros(latency.shape)
    for objective, value in goals.items():
        weight = 1.0 if objective is target.objective else BESIDE
        squares = squares + (weight * _scaled(value, feasible)) ** 2
    distance = np.sqrt(squares) + missed
    return _Sort(np.where(np.isfinite(distance), distance, np.inf), np.nan_to_num(busy))


def _scaled(value: FloatArray, feasible: NDArray[np.bool_]) -> FloatArray:
    """Return a figure as 0 at its least and 1 at its most among what is feasible."""
    among = value[feasible] if feasible.any() else value[np.isfinite(value)]
    least, most = among.min(initial=np.inf), among.max(initial=-np.inf)
    scaled: FloatArray = (value - least) / (most - least) if most > least else 0.0 * value
    return scaled
