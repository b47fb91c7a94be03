# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The resource level: frequencies, and each application's sub-network and processor, in one choice.

Candidates are all settings of the frequencies. At each setting the applications choose in order
of priority, twice round, each knowing what the others take of the processor that it would use.
First each takes what is best for itself. Where that costs one its target, those of lower priority
yield, step by step: they take the least that meets their own target, then the least there is.
Among all candidates the choice is lexicographic:

1. least excess over the limit of utilisation, where load that is not ours needs the domain;
2. fewest missed targets, in order of priority; 3. nearest to those that are missed, likewise;
4. each application's objective in order of priority, to within 1 %;
5. least power of the board.

What is chosen stays until something is better by more than it costs to change (`_is_better`).

Time sharing: two applications on one processor are served in turn, so while another one is busy
an application runs at half speed. With u the share of time for which another is busy, service
lasts 1 + u times as long; several others add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.decisions import Constraint
from dynamic_dnn_ros.management.estimator import (
    SlowDownFilter,
    predicted_service,
    predicted_waiting,
    profiled_quantile,
)
from dynamic_dnn_ros.management.tables import FIGURES, ApplicationTable, JointTable
from dynamic_dnn_ros.management.targets import Objective, Target

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

WITHIN = 0.01
"""Objectives and shortfalls within this share of the best count as equal."""

LARGEST_MARGIN = 0.15
"""Share of a limit that is left free at most, however little is known."""

RATE_TOLERANCE = 0.02
"""Share by which a rate may stay below its limit: cameras do not keep theirs to the last digit."""

_WORST = 1e6
"""Share to which a shortfall is cut, so that sums stay finite."""

LONGEST_DWELL = 60.0
"""Seconds up to which the dwell grows when changes for less energy have to be taken back."""


@dataclass(frozen=True)
class ResourceSettings:
    """
    How the resource level decides.

    `utilisation_limit` of a domain by all load together, 0..1; `dwell` seconds between a change
    and the next one that no target asks for; `margin` share of a limit that a new choice leaves
    free, beside the uncertainty of the slow-down; `gain` share of the board's power that a change
    must save to be worth its cost.
    """

    utilisation_limit: float = 0.8
    dwell: float = 2.0
    margin: float = 0.03
    gain: float = 0.03


@dataclass(frozen=True, eq=False)
class Demand:
    """
    What one application asks for and how it runs.

    `usable` and `shares` belong to the options of its table: which may be chosen, and for which
    share of the service time each domain of the joint table is busy, shape (options, domains).
    `overhead` is what a frame takes beside waiting for another and service, s.
    `priority` is the target's, or -1 for an application that was asked for nothing.
    """

    target: Target
    priority: int
    slow_down: SlowDownFilter
    camera_rate: float
    overhead: float
    overhead_deviation: float
    usable: BoolArray
    shares: FloatArray


@dataclass(frozen=True, eq=False)
class Problem:
    """One decision to be made: the table, the settings that may be chosen, and the demands."""

    joint: JointTable
    settings: IndexArray
    demands: tuple[Demand, ...]
    foreign: dict[str, float]


@dataclass(frozen=True, eq=False)
class Assessment:
    """
    What is expected of operating points of one application; all arrays share one shape.

    `misses` is by how much each limit is missed, as a share of it, in the order of
    `CONSTRAINTS`, and `shortfall` their sum; `margined_misses` and `margined` are the same with
    the margin kept free.
    `busy` is the share of time for which its processor works for it.
    """

    latency: FloatArray
    accuracy: FloatArray
    energy: FloatArray
    rate: FloatArray
    busy: FloatArray
    added_power: FloatArray
    misses: FloatArray
    margined_misses: FloatArray
    shortfall: FloatArray
    margined: FloatArray


CONSTRAINTS = (Constraint.LATENCY, Constraint.ACCURACY, Constraint.ENERGY, Constraint.RATE)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Joint candidates, one a row: setting, options, and what they come to."""

    settings: IndexArray
    options: IndexArray
    applications: tuple[Assessment, ...]
    excess: FloatArray
    power: FloatArray
    power_known: bool


class Attitude(Enum):
    """What an application chooses by: its objective, the least that will do, or the least."""

    OBJECTIVE = 'objective'
    THRIFTY = 'thrifty'
    LEAST = 'least'


class Cause(Enum):
    """Why a plan departs from the one before it."""

    KEPT = 'nothing better is worth a change'
    FIRST = 'there was no decision before'
    PLATFORM = 'the frequencies in force are no longer offered, or leave others too little'
    MISSED = 'more targets are met'
    NEARER = 'targets that cannot be met are missed by less'
    OBJECTIVE = 'objectives are better served'
    ENERGY = 'the same targets are met with less power'


@dataclass(frozen=True, eq=False)
class Plan:
    """The chosen row, its index in `evaluation`, and why."""

    problem: Problem
    evaluation: Evaluation
    row: int
    cause: Cause

    @property
    def setting(self) -> int:
        """Return the index of the setting in the joint table."""
        return int(self.evaluation.settings[self.row])

    def option(self, application: int) -> int:
        """Return the index of an application's option in its table."""
        return int(self.evaluation.options[self.row, application])


class ResourceLevel:
    """Choose plans one after the other, without oscillating."""

    def __init__(self, settings: ResourceSettings) -> None:
        """Begin without a plan."""
        self._settings = settings
        self._changed = -math.inf
        self._saved = -math.inf
        self._dwell = settings.dwell

    def note_change(self, now: float) -> None:
        """Begin the dwell anew: somebody else has moved an application."""
        self._changed = now

    def decide(
        self,
        problem: Problem,
        incumbent: tuple[int, Sequence[int]] | None,
        now: float,
        fresh: bool,
    ) -> Plan:
        """
        Choose a plan.

        :param incumbent: setting and options in force, as indices, where there are such
        :param fresh: what was asked for or what there is to choose from has changed, so the dwell
            does not count
        """
        searched = search(problem, self._settings)
        best = _best(problem, searched, self._settings)
        if fresh:
            self._dwell = self._settings.dwell
        if incumbent is None or incumbent[0] not in problem.settings:
            self._changed = now
            cause = Cause.FIRST if incumbent is None else Cause.PLATFORM
            return Plan(problem, searched, best, cause)
        setting, options = incumbent
        kept = evaluate(
            problem,
            np.array([setting], dtype=np.int64),
            np.array([options], dtype=np.int64).reshape(1, len(problem.demands)),
            self._settings,
        )
        usable = all(d.usable[o] for d, o in zip(problem.demands, options))
        cause = _is_better(problem, searched, best, kept, self._settings.gain)
        if not usable:
            cause = cause if cause is not Cause.KEPT else Cause.MISSED
        elif cause in (Cause.OBJECTIVE, Cause.ENERGY, Cause.NEARER) and not fresh:
            if now - self._changed < self._dwell:
                cause = Cause.KEPT
        if cause is Cause.KEPT:
            return Plan(problem, kept, 0, cause)
        if cause is Cause.MISSED and not fresh and now - self._saved < 4 * self._dwell:
            # The last saving was one too many: wait longer before the next.
            self._dwell = min(2 * self._dwell, LONGEST_DWELL)
        if cause in (Cause.OBJECTIVE, Cause.ENERGY):
            self._saved = now
        self._changed = now
        return Plan(problem, searched, best, cause)


def search(problem: Problem, settings: ResourceSettings) -> Evaluation:
    """Return candidates over all settings that may be chosen."""
    order = by_priority(problem.demands)
    points = [_points(problem, a, problem.settings) for a in range(len(problem.demands))]
    foreign = _foreign_utilisation(problem, problem.settings)
    found = None
    for strategies in _strategies(len(order)):
        options = [
            _options(problem, settings, points, foreign, dict(zip(order, attitudes)))
            for attitudes in strategies
        ]
        if found is not None:
            options.append(found.options)
        rows = np.tile(problem.settings, len(options))
        found = evaluate(problem, rows, np.concatenate(options), settings)
        met = found.excess <= found.excess.min() + WITHIN
        for assessment in found.applications:
            met &= assessment.margined == 0
        if met.any():
            break
    assert found is not None
    return found


def _strategies(count: int) -> list[list[tuple[Attitude, ...]]]:
    """Return attitudes of applications in order of priority; the second list as a last resort."""
    own = [(Attitude.OBJECTIVE,) * count]
    yielding = [
        (first,) * k + (rest,) * (count - k)
        for first, rest in (
            (Attitude.OBJECTIVE, Attitude.THRIFTY),
            (Attitude.OBJECTIVE, Attitude.LEAST),
            (Attitude.THRIFTY, Attitude.LEAST),
        )
        for k in range(count)
        if (k or first is Attitude.OBJECTIVE) and not (k == 0 and rest is Attitude.LEAST)
    ]
    return [own, yielding] if count > 1 else [own]


def _options(
    problem: Problem,
    settings: ResourceSettings,
    points: Sequence[dict[str, FloatArray]],
    foreign: FloatArray,
    attitudes: dict[int, Attitude],
) -> IndexArray:
    """Return the options that the applications choose at each setting, in order of priority."""
    options = np.zeros((len(problem.settings), len(points)), dtype=np.int64)
    busy = np.zeros((len(points), len(problem.settings)))
    chosen: list[int] = []
    for _ in range(2 if len(points) > 1 else 1):
        for a, attitude in attitudes.items():
            others = [b for b in chosen if b != a]
            options[:, a], busy[a] = _choose(
                problem, settings, a, points[a], foreign, others, options, busy, attitude
            )
            if a not in chosen:
                chosen.append(a)
    return options


def by_priority(demands: Sequence[Demand]) -> list[int]:
    """Return the indices of demands, the highest priority first, then by application id."""
    return sorted(
        range(len(demands)),
        key=lambda a: (-demands[a].priority, demands[a].target.application),
    )


def evaluate(
    problem: Problem, rows: IndexArray, options: IndexArray, settings: ResourceSettings
) -> Evaluation:
    """
    Assess joint candidates.

    :param rows: indices of settings, shape (candidates,)
    :param options: indices of options, shape (candidates, applications)
    """
    tables = problem.joint.tables
    points = [
        {
            figure: getattr(table, figure)[problem.joint.row[a][rows], options[:, a]]
            for figure in FIGURES
        }
        | {
            'accuracy': table.accuracy[options[:, a]],
            'scale': table.scale[problem.joint.row[a][rows]],
        }
        for a, table in enumerate(tables)
    ]
    processors = [problem.joint.processors[a][options[:, a]] for a in range(len(tables))]
    alone = [
        _busy(demand, points[a]['mean'], np.ones(len(rows)))
        for a, demand in enumerate(problem.demands)
    ]
    utilisation = _foreign_utilisation(problem, rows)
    counted = utilisation > 0
    assessments = []
    power = np.zeros(len(rows))
    for a, demand in enumerate(problem.demands):
        contention = np.ones(len(rows))
        for b in range(len(tables)):
            if b != a:
                contention += (processors[a] == processors[b]) * np.minimum(alone[b], 1.0)
        assessment = assess(demand, points[a], contention, settings.margin)
        assessments.append(assessment)
        utilisation = utilisation + assessment.busy[:, None] * demand.shares[options[:, a]]
        power += assessment.added_power
    idle = [p['idle_power'] for p in points]
    if idle:
        known = np.stack(idle)
        power += np.where(np.isfinite(known), known, 0.0).max(axis=0)
    excess = np.where(counted, utilisation - settings.utilisation_limit, 0.0)
    return Evaluation(
        rows,
        options,
        tuple(assessments),
        np.clip(excess, 0.0, None).max(axis=1, initial=0.0),
        power,
        bool(points) and all(np.isfinite(p['power'] + p['idle_power']).all() for p in points),
    )


def assess(
    demand: Demand, points: dict[str, FloatArray], contention: FloatArray, margin: float
) -> Assessment:
    """
    Assess operating points of one application against its target.

    :param points: the figures of a table, and `accuracy`, all of one shape
    :param contention: factor by which others make service last longer
    """
    target, slow_down = demand.target, demand.slow_down
    mean, median = points['mean'] * contention, points['p50'] * contention
    at_quantile = contention * profiled_quantile(
        target.quantile, points['p50'], points['p95'], points['p99']
    )
    service = predicted_service(
        target.quantile, slow_down, mean, median, at_quantile, demand.overhead_deviation
    )
    service_mean = mean * slow_down.mean
    period = 1 / demand.camera_rate if demand.camera_rate > 0 else math.inf
    waiting = predicted_waiting(target.quantile, period, service_mean, service)
    latency = service + waiting + demand.overhead
    rate = np.minimum(demand.camera_rate, 1 / service_mean)
    # What the camera does not deliver no choice can mend, so it must not weigh in the choice.
    asked_rate = min(target.rate, demand.camera_rate)
    busy = _busy(demand, points['mean'], contention)
    energy = points['energy'] * slow_down.mean
    accuracy = np.broadcast_to(points['accuracy'], latency.shape)
    # Without a power model less work at lower clocks counts as less energy.
    dynamic = points['power'] - np.fmax(points['idle_power'], 0.0)
    added = busy * np.where(np.isfinite(dynamic), dynamic, points['scale'])

    def misses(room: float) -> FloatArray:
        none = np.zeros_like(latency)
        return np.stack(
            [
                _over(latency, target.latency * (1 - room)) if target.latency else none,
                _over(target.accuracy, accuracy) if target.accuracy else none,
                _over(energy, target.energy * (1 - room)) if target.energy else none,
                _over(
                    asked_rate * (1 - RATE_TOLERANCE),
                    np.minimum(demand.camera_rate, (1 - room) / service_mean),
                )
                if target.rate
                else none,
            ]
        )

    plain = misses(0.0)
    # A point that the profile lacks is out of the question.
    missing = ~np.isfinite(latency)
    shortfall = np.where(missing, np.inf, plain.sum(axis=0))
    # The less is known of the slow-down, the more room a new choice leaves.
    room = min(margin + math.sqrt(slow_down.variance) / slow_down.mean, LARGEST_MARGIN)
    close = misses(room)
    margined = np.where(missing, np.inf, close.sum(axis=0))
    return Assessment(
        latency, accuracy, energy, rate, busy, added, plain, close, shortfall, margined
    )


def alternatives(plan: Plan, application: int, settings: ResourceSettings) -> Evaluation:
    """
    Return what one application could have had with the others as they are.

    Row 0 is the plan itself, then every option at its setting, then every setting with its
    option.
    """
    problem = plan.problem
    count = len(problem.joint.tables[application].options)
    rows = np.concatenate([np.full(count + 1, plan.setting), problem.settings])
    options = np.tile(plan.evaluation.options[plan.row], (len(rows), 1))
    options[1 : count + 1, application] = np.arange(count)
    return evaluate(problem, rows, options, settings)


def objective_values(demand: Demand, assessment: Assessment, power: FloatArray) -> FloatArray:
    """Return what the application's objective would have small."""
    if demand.target.objective is Objective.MAXIMUM_ACCURACY:
        return -np.nan_to_num(assessment.accuracy)
    if demand.target.objective is Objective.MINIMUM_LATENCY:
        return assessment.latency
    return power


def _choose(
    problem: Problem,
    settings: ResourceSettings,
    a: int,
    points: dict[str, FloatArray],
    foreign: FloatArray,
    others: Sequence[int],
    options: IndexArray,
    busy: FloatArray,
    attitude: Attitude,
) -> tuple[IndexArray, FloatArray]:
    """Choose one application's option at every setting; return it and how busy it keeps."""
    demand = problem.demands[a]
    codes = problem.joint.processors
    contention = np.ones_like(points['mean'])
    load = foreign
    for b in others:
        theirs = codes[b][options[:, b]]
        contention = (
            contention + (theirs[:, None] == codes[a][None, :]) * np.minimum(busy[b], 1.0)[:, None]
        )
        load = load + busy[b][:, None] * problem.demands[b].shares[options[:, b]]
    found = assess(demand, points, contention, settings.margin)
    taken = load[:, None, :] + found.busy[:, :, None] * demand.shares[None, :, :]
    excess = np.where((foreign > 0)[:, None, :], taken - settings.utilisation_limit, 0.0)
    excess = np.clip(excess, 0.0, None).max(axis=2, initial=0.0)
    keep = np.broadcast_to(demand.usable, found.latency.shape)
    keep = _narrow(keep, excess, absolute=WITHIN)
    if attitude is Attitude.LEAST:
        keep = keep & np.isfinite(found.margined)
    else:
        keep = _narrow(keep, (found.margined > 0).astype(np.float64))
        keep = _narrow(keep, found.margined, relative=WITHIN)
    if attitude is not Attitude.OBJECTIVE:
        keep = _narrow(keep, found.busy, relative=WITHIN)
    elif demand.target.objective is not Objective.MINIMUM_ENERGY:
        keep = _narrow(keep, objective_values(demand, found, found.added_power), relative=WITHIN)
    choice = np.where(keep, found.added_power, np.inf).argmin(axis=1)
    # All infinite: a setting that the profile lacks; its shortfall keeps it from being taken.
    return choice, np.take_along_axis(found.busy, choice[:, None], axis=1)[:, 0]


def _best(problem: Problem, found: Evaluation, settings: ResourceSettings) -> int:
    """Return the row that is lexicographically best, limits with their margin."""
    order = by_priority(problem.demands)
    keep = np.ones(len(found.power), dtype=bool)
    keep = _narrow(keep, found.excess, absolute=WITHIN)
    for a in order:
        keep = _narrow(keep, (found.applications[a].margined > 0).astype(np.float64))
    for a in order:
        keep = _narrow(keep, found.applications[a].margined, relative=WITHIN)
    for a in order:
        demand = problem.demands[a]
        if demand.target.objective is not Objective.MINIMUM_ENERGY:
            values = objective_values(demand, found.applications[a], found.power)
            keep = _narrow(keep, values, relative=WITHIN)
    return int(np.where(keep, np.nan_to_num(found.power, nan=np.inf), np.inf).argmin())


def _is_better(
    problem: Problem, found: Evaluation, row: int, kept: Evaluation, gain: float
) -> Cause:
    """Return why the row is worth leaving what is kept, or that it is not."""
    order = by_priority(problem.demands)
    if kept.excess[0] > found.excess[row] + WITHIN:
        return Cause.PLATFORM
    if found.excess[row] > kept.excess[0] + WITHIN:
        return Cause.KEPT
    for a in order:
        new = bool(found.applications[a].shortfall[row] > 0)
        old = bool(kept.applications[a].shortfall[0] > 0)
        if new != old:
            return Cause.MISSED if old else Cause.KEPT
    for a in order:
        new_shortfall = float(found.applications[a].shortfall[row])
        old_shortfall = float(kept.applications[a].shortfall[0])
        if old_shortfall > new_shortfall * (1 + 2 * WITHIN) + WITHIN:
            return Cause.NEARER
        if new_shortfall > old_shortfall * (1 + 2 * WITHIN) + WITHIN:
            return Cause.KEPT
    for a in order:
        demand = problem.demands[a]
        if demand.target.objective is Objective.MINIMUM_ENERGY:
            continue
        new_value = float(objective_values(demand, found.applications[a], found.power)[row])
        old_value = float(objective_values(demand, kept.applications[a], kept.power)[0])
        if new_value < old_value - 2 * WITHIN * abs(old_value):
            return Cause.OBJECTIVE
        if new_value > old_value + 2 * WITHIN * abs(old_value):
            return Cause.KEPT
    if found.power[row] < kept.power[0] * (1 - gain):
        return Cause.ENERGY
    return Cause.KEPT


def _narrow(
    keep: BoolArray, values: FloatArray, relative: float = 0.0, absolute: float = 0.0
) -> BoolArray:
    """Keep, along the last axis, what is within a tolerance of the smallest value kept so far."""
    smallest = np.where(keep, values, np.inf).min(axis=-1, keepdims=True, initial=np.inf)
    if relative:
        smallest = smallest + relative * np.abs(smallest)
    return keep & (values <= smallest + absolute)


def _over(value: FloatArray | float, limit: FloatArray | float) -> FloatArray:
    """Return by which share a value exceeds a limit; what is not known exceeds nothing."""
    # fmax takes the number of a number and NaN.
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.minimum(np.fmax(value / np.asarray(limit) - 1, 0.0), _WORST)


def _busy(demand: Demand, mean: FloatArray, contention: FloatArray) -> FloatArray:
    """Return the share of time for which service, not counting others' turns, keeps busy."""
    service = mean * demand.slow_down.mean
    rate = np.minimum(demand.camera_rate, 1 / (service * contention))
    return np.fmin(rate * service, 1.0)


def _points(problem: Problem, a: int, rows: IndexArray) -> dict[str, FloatArray]:
    """Return one application's figures at all settings, shape (settings, options)."""
    table: ApplicationTable = problem.joint.tables[a]
    points = {figure: getattr(table, figure)[problem.joint.row[a][rows]] for figure in FIGURES}
    points['accuracy'] = table.accuracy[None, :]
    points['scale'] = table.scale[problem.joint.row[a][rows]][:, None]
    return points


def _foreign_utilisation(problem: Problem, rows: IndexArray) -> FloatArray:
    """Return what other load takes of each domain at each setting, 0..; 0 where there is none."""
    cycles = np.array([problem.foreign.get(name, 0.0) for name in problem.joint.domains])
    return cycles / (problem.joint.settings[rows] * 1e3)
