# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which setting to try next: one that teaches most, among those that keep all targets.

What a measurement at a setting would teach is known before it is made: by how much it narrows
latency and power at the settings that may turn out to be the best (sequential experimental design,
V-optimal: D. MacKay, Information-Based Objective Functions for Active Data Selection, 1992).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.assessment import Problem, ResourceSettings, assess, evaluate
from dynamic_dnn_ros.management.joint_choice import choose_jointly
from dynamic_dnn_ros.management.no_profile.figures import Figures
from dynamic_dnn_ros.management.no_profile.power import PowerLaw
from dynamic_dnn_ros.management.resource_level import Plan
from dynamic_dnn_ros.management.tables import FIGURES
from dynamic_dnn_ros.management.targets import Objective

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

TEACHES = 0.003
"""Mean deviation, as a share, by which the best try narrows figures, or it is not made."""

CANDIDATES = 400
"""Settings that are looked at: of more as many, at random but always the same."""

LATENCY_NOISE, POWER_NOISE = 0.01, 0.005
"""Deviation of what a trial measures, as a share."""

_CHECKED = 6
"""Of the most promising ones, those that the whole choice is made for."""

_SURE = 2.0
"""Deviations by which a setting must be worse than the best to be out of the question."""


@dataclass(frozen=True, eq=False)
class _Outlook:
    """
    What the candidates come to.

    `safe` keep all targets though little is known; `promising` would if all is as expected, and
    may be the best. `covariances` are those of relative errors of all candidates, shape
    (candidates, candidates), of each law, beside the variance of a measurement.
    """

    safe: BoolArray
    promising: BoolArray
    covariances: list[tuple[FloatArray, float]]


def next_setting(
    plan: Plan,
    known: Mapping[str, Figures],
    power: PowerLaw | None,
    settings: ResourceSettings,
    measured: Collection[tuple[float, ...]],
) -> int | None:
    """
    Return the setting of the joint table that is to be tried, none where none teaches enough.

    :param known: the figures of the applications that have no profile, by their ids
    :param measured: settings of their domains that need not be tried again, Hz
    """
    problem = plan.problem
    rows = _candidates(problem.settings, plan.setting)
    outlook = _look(plan, known, power, settings, rows)
    if not outlook.promising.any():
        return None
    names = next(iter(known.values())).domains
    at = [problem.joint.domains.index(name) for name in names]
    done = {_kilohertz(each) for each in measured}
    new = [_kilohertz(each) not in done for each in problem.joint.settings[rows][:, at] * 1e3]
    tried = outlook.safe & np.array(new)
    gains = np.where(tried, _gains(outlook), 0.0)
    for place in np.argsort(-gains)[:_CHECKED]:
        if gains[place] < TEACHES**2:
            return None
        row = int(rows[place])
        if _keeps_all(problem, row, settings):
            return row
    return None


def _candidates(settings: IndexArray, own: int) -> IndexArray:
    if len(settings) <= CANDIDATES:
        return settings
    places = np.random.default_rng(0).permutation(len(settings))[:CANDIDATES]
    return np.unique(np.append(settings[places], own))


def _kilohertz(clocks: Iterable[float]) -> tuple[int, ...]:
    return tuple(round(clock / 1e3) for clock in clocks)


def _keeps_all(problem: Problem, row: int, settings: ResourceSettings) -> bool:
    """Tell whether the choice at a setting keeps all targets with their margins."""
    alone = np.array([row], dtype=np.int64)
    best = choose_jointly(replace(problem, settings=alone), settings)
    found = evaluate(problem, alone, best.options[None, :], settings)
    return bool(
        found.excess[0] <= 0.0 and all(each.margined[0] <= 0.0 for each in found.applications)
    )


def _look(
    plan: Plan,
    known: Mapping[str, Figures],
    power: PowerLaw | None,
    settings: ResourceSettings,
    rows: IndexArray,
) -> _Outlook:
    problem, joint = plan.problem, plan.problem.joint
    safe = np.ones(len(rows), dtype=bool)
    promising = safe.copy()
    covariances = []
    hertz: FloatArray = joint.settings[rows].astype(np.float64) * 1e3
    busy_shares = problem.foreign_utilisation(rows)
    for a, (table, demand) in enumerate(zip(joint.tables, problem.demands)):
        own = joint.row[a][rows]
        points = dict(zip(FIGURES, table.figures[:, :, own]))
        contention = float(plan.evaluation.applications[a].contention[plan.row])
        accuracy = table.accuracy[:, None]
        usable = demand.usable[:, None]
        unsure = assess(demand, points, accuracy, contention, settings.margin)
        safe &= (usable & (unsure.margined <= 0.0)).any(axis=0)
        figures = known.get(table.application)
        if figures is not None:
            points |= figures.without_doubt(points['mean'])
        expected = assess(demand, points, accuracy, contention, settings.margin)
        kept = usable & (expected.margined <= 0.0)
        value = expected.added_power
        if demand.target.objective is Objective.MAXIMUM_ACCURACY:
            value = -np.broadcast_to(np.nan_to_num(accuracy), value.shape) * 1e3 + value
        elif demand.target.objective is Objective.MINIMUM_LATENCY:
            value = expected.latency
        chosen = np.where(kept, value, math.inf).argmin(axis=0)
        promising &= kept.any(axis=0)
        columns = np.arange(len(rows))
        rate = demand.camera_rate * demand.slow_down.mean
        if figures is None:
            busy = expected.busy[chosen, columns]
            busy_shares = busy_shares + busy[:, None] * demand.shares[chosen]
            continue
        at = [joint.domains.index(name) for name in figures.domains]
        designs: dict[str, FloatArray] = {}
        for option in np.unique(chosen):
            some = np.flatnonzero(chosen == option)
            place = figures.options.index(table.options[option])
            there = hertz[some][:, at]
            busy_shares[some[:, None], at] += rate * figures.busy(place, there)
            # What is measured on one processor tells nothing of another.
            found = figures.latency_design(place, there)
            design = designs.setdefault(
                table.options[option][1], np.zeros((len(rows), found.shape[1]))
            )
            design[some] = found
        for processor, design in designs.items():
            law = figures.laws[processor]
            on_it = design.any(axis=1)
            apart = law.departure.covariance(hertz[:, at], hertz[:, at])
            together = design @ law.fit.covariance @ design.T + apart * np.outer(on_it, on_it)
            covariances.append((together, LATENCY_NOISE**2))
    if power is not None and power.fit is not None:
        names = next(iter(known.values())).domains
        at = [joint.domains.index(name) for name in names]
        busy = np.clip(busy_shares[:, at], 0.0, 1.0)
        watts = power.watts(hertz[:, at], busy)
        design = power.design(hertz[:, at], busy) / watts[:, None]
        together = design @ power.fit.covariance @ design.T
        together += power.departure.covariance(hertz[:, at], hertz[:, at])
        covariances.append((together, POWER_NOISE**2))
        deviation = watts * np.sqrt(np.maximum(np.diag(together), 0.0))
        best = watts[promising].min(initial=math.inf)
        promising &= watts - _SURE * deviation <= best
    return _Outlook(safe, promising, covariances)


def _gains(outlook: _Outlook) -> FloatArray:
    """Return by how much a measurement at each setting narrows the promising ones, squared."""
    gains = np.zeros(len(outlook.safe))
    for covariance, noise in outlook.covariances:
        told = (covariance[outlook.promising] ** 2).mean(axis=0)
        gains += told / (np.maximum(np.diag(covariance), 0.0) + noise)
    return gains
