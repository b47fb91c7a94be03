# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The manager's choice by looking at every setting, one after the other: slow, and plain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import (
    Problem,
    ResourceSettings,
    by_priority,
    evaluate,
    expect,
    neighbour,
    objective_values,
    shortfall,
    take_turns,
)
from dynamic_dnn_ros.management.queueing import queue
from dynamic_dnn_ros.management.tables import FIGURES
from dynamic_dnn_ros.management.targets import Objective

WITHIN = 0.01
WITHIN_ACCURACY = 0.0003

Row = tuple[int, tuple[int, ...]]


def exhaustive_search(
    problem: Problem, settings: ResourceSettings, at_once: bool = False
) -> tuple[int, tuple[int, ...]]:
    """
    Return the best setting and options.

    :param at_once: let applications yield only where at no setting all are met without; else at
        each setting where not all are
    """
    order = by_priority(problem.demands)
    own = [(s, _options(problem, settings, s, order, ['own'] * len(order))) for s in at(problem)]
    met = dict(zip(at(problem), _all_met(problem, own, settings)))
    if at_once and any(met.values()):
        return _best(problem, own, settings)
    yielding = [
        (s, _options(problem, settings, s, order, attitudes))
        for attitudes in _yielding(len(order), problem.power_cap < math.inf)
        for s in at(problem)
        if not met[s]
    ]
    return _best(problem, yielding + own, settings)


def at(problem: Problem) -> list[int]:
    """Return the settings that may be chosen."""
    return [int(setting) for setting in problem.settings]


def lexicographic_keys(
    problem: Problem, rows: Sequence[Row], settings: ResourceSettings
) -> list[np.ndarray]:
    """Return what candidates are compared by, the most important first."""
    found = evaluate(
        problem,
        np.array([setting for setting, _ in rows], dtype=np.int64),
        np.array([options for _, options in rows], dtype=np.int64),
        settings,
    )
    order = by_priority(problem.demands)
    keys = [found.excess]
    keys += [(found.applications[a].margined > 0).astype(float) for a in order]
    keys += [found.applications[a].margined for a in order]
    keys += [
        objective_values(problem.demands[a], found.applications[a], found.power)
        for a in order
        if problem.demands[a].target.objective is not Objective.MINIMUM_ENERGY
    ]
    return [*keys, found.power]


def tolerances(problem: Problem) -> list[Callable[[float], float]]:
    """Return, for each key but the last, up to which value one equals the smallest."""
    count = len(problem.demands)
    objectives = [problem.demands[a].target.objective for a in by_priority(problem.demands)]
    equal = {
        Objective.MINIMUM_LATENCY: lambda value: value + WITHIN * abs(value),
        Objective.MAXIMUM_ACCURACY: lambda value: value + WITHIN_ACCURACY * abs(value),
    }
    return [
        lambda value: value + WITHIN,
        *[lambda value: value] * count,
        *[lambda value: value + WITHIN * abs(value)] * count,
        *[equal[objective] for objective in objectives if objective in equal],
    ]


def _best(problem: Problem, rows: list[Row], settings: ResourceSettings) -> Row:
    keys = lexicographic_keys(problem, rows, settings)
    kept = list(range(len(rows)))
    for key, highest in zip(keys, tolerances(problem)):
        limit = highest(min(float(key[row]) for row in kept))
        kept = [row for row in kept if key[row] <= limit]
    return rows[min(kept, key=lambda row: float(keys[-1][row]))]


def _all_met(problem: Problem, rows: list[Row], settings: ResourceSettings) -> list[bool]:
    keys = lexicographic_keys(problem, rows, settings)
    count = len(problem.demands)
    return [
        keys[0][i] <= WITHIN and all(key[i] == 0 for key in keys[1 : 1 + count])
        for i in range(len(rows))
    ]


def _yielding(count: int, capped: bool) -> list[list[str]]:
    pairs = [('own', 'thrifty', 0), ('own', 'least', 1), ('thrifty', 'least', 1)]
    if count == 1 and not capped:
        return []
    strategies = [
        [first] * k + [rest] * (count - k)
        for first, rest, start in pairs
        for k in range(start, count)
    ]
    return [*strategies, ['least'] * count] if capped else strategies


def _options(
    problem: Problem,
    settings: ResourceSettings,
    setting: int,
    order: Sequence[int],
    attitudes: Sequence[str],
) -> tuple[int, ...]:
    chosen: dict[int, tuple[int, float]] = {}
    for _ in range(2 if len(order) > 1 else 1):
        for a, attitude in zip(order, attitudes):
            others = {b: chosen[b] for b in order if b in chosen and b != a}
            chosen[a] = _choose(problem, settings, setting, a, others, attitude)
    return tuple(chosen[a][0] for a in range(len(order)))


def _choose(
    problem: Problem,
    settings: ResourceSettings,
    setting: int,
    a: int,
    others: dict[int, tuple[int, float]],
    attitude: str,
) -> tuple[int, float]:
    joint, demand = problem.joint, problem.demands[a]
    table = joint.tables[a]
    foreign = problem.foreign_utilisation(np.array([setting]))[0]
    best: list[tuple[int, float, float, float, float, float]] = []
    for option in np.flatnonzero(demand.usable).tolist():
        contention, members = np.ones(1), []
        load = foreign
        for b, (theirs, busy) in others.items():
            if joint.processors[b][theirs] == joint.processors[a][option]:
                if take_turns(demand, problem.demands[b]):
                    members.append(neighbour(demand, problem.demands[b], np.array([busy])))
                else:
                    contention = contention + busy
            load = load + busy * problem.demands[b].shares[theirs]
        points = {
            figure: getattr(table, figure)[[option], joint.row[a][setting]] for figure in FIGURES
        }
        held = queue(members, contention, demand.queueing) if members else contention
        found = expect(demand, points, table.accuracy[[option]], held)
        margined = float(shortfall(demand, found, demand.room(settings.margin))[0])
        busy = float(found.busy[0])
        over = load + busy * demand.shares[option] - settings.utilisation_limit
        excess = max([0.0, *over[foreign > 0].tolist()])
        value = float(objective_values(demand, found, found.added_power)[0])
        best.append((option, excess, margined, busy, value, float(found.added_power[0])))
    best = _near(best, 1, WITHIN, 0.0)
    if attitude == 'least':
        best = [row for row in best if math.isfinite(row[2])] or best
    else:
        best = _near(best, 2, 0.0, WITHIN)
    if attitude != 'own':
        best = _near(best, 3, 0.0, WITHIN)
    elif demand.target.objective is not Objective.MINIMUM_ENERGY:
        accurate = demand.target.objective is Objective.MAXIMUM_ACCURACY
        best = _near(best, 4, 0.0, WITHIN_ACCURACY if accurate else WITHIN)
    chosen = min(best, key=lambda row: row[5])
    return chosen[0], chosen[3]


def _near(
    rows: list[tuple[int, float, float, float, float, float]],
    column: int,
    absolute: float,
    relative: float,
) -> list[tuple[int, float, float, float, float, float]]:
    smallest = min(row[column] for row in rows)
    limit = smallest + relative * abs(smallest) + absolute
    return [row for row in rows if row[column] <= limit]
