# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Why a target cannot be met: what would let it be met if it were not there.

Each circumstance is taken away in turn and the choice is made anew, so what is named is the cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import (
    Demand,
    Problem,
    ResourceSettings,
    evaluate,
)
from dynamic_dnn_ros.management.joint_choice import choose_jointly
from dynamic_dnn_ros.management.tables import join
from dynamic_dnn_ros.management.targets import LateFrames, Target
from dynamic_dnn_ros.management.words import limit_title

ANEW = 1
"""Causes that are looked for again in one round of reports."""


@dataclass(frozen=True)
class Infeasibility:
    """
    What keeps a target from being met, and what can be done.

    `cause` is `clocks`, `power`, `load` (that is not ours), `scene` (harder pictures), `others`,
    `refused`, `together` or `alone` (a limit that nothing meets).
    """

    cause: str
    remedy: str

    @property
    def of_platform(self) -> bool:
        """Tell whether the platform keeps it."""
        return self.cause in ('clocks', 'power', 'load')


class Causes:
    """
    The causes that were found, so that reports on many applications take no long time.

    Each takes up to a dozen choices of the whole board. So at most `ANEW` are looked for again in
    a round of reports, the oldest first: with eight applications that cannot be served a cause may
    be eight rounds old. A new target's is always looked for.
    """

    def __init__(self, settings: ResourceSettings) -> None:
        """Begin with none."""
        self._settings = settings
        self._known: dict[str, tuple[Problem, Target, Infeasibility]] = {}
        self._asked: set[str] = set()
        self._anew: set[str] = set()

    def begin(self, problem: Problem | None) -> None:
        """Begin a round of reports; who was not asked for in the last one is forgotten."""
        for name in self._known.keys() - self._asked:
            del self._known[name]
        self._asked.clear()
        old = (name for name, (known, _, _) in self._known.items() if known is not problem)
        self._anew = set(islice(old, ANEW))

    def of(self, problem: Problem, index: int, metric: str) -> Infeasibility:
        """
        Return why an application's target cannot be met, see `infeasibility`.

        :param index: of the application
        :param metric: of its accuracy, for the sentence
        """
        target = problem.demands[index].target
        name = target.application
        self._asked.add(name)
        known = self._known.get(name)
        if known is not None and target.asks_the_same(known[1]):
            if known[0] is problem or name not in self._anew:
                return known[2]
        found = infeasibility(problem, index, self._settings, metric)
        self._known.pop(name, None)  # to the end: the newest
        self._known[name] = problem, target, found
        return found


def infeasibility(
    problem: Problem, index: int, settings: ResourceSettings, metric: str
) -> Infeasibility:
    """
    Return why an application's target cannot be met.

    :param index: of the application
    :param metric: of its accuracy, for the sentence
    """
    for supposed, found in _circumstances(problem, index):
        if is_met(supposed, index, settings):
            return found
    target = problem.demands[index].target
    impossible = [
        limit_title(name, metric)
        for name in target.limits()
        if not is_met(_asking(problem, index, only(target, name)), index, settings)
    ]
    if not impossible:
        return Infeasibility('together', 'Each of its limits can be met, but not all: relax one.')
    if len(target.limits()) == 1:
        return Infeasibility('alone', 'Relax it.')
    which = ' and '.join(impossible)
    return Infeasibility('alone', f'Even alone {which} cannot be met: relax it.')


def is_met(problem: Problem, index: int, settings: ResourceSettings) -> bool:
    """Tell whether the best choice meets an application's target."""
    best = choose_jointly(problem, settings)
    found = evaluate(problem, np.array([best.setting]), best.options[None, :], settings)
    return bool(found.applications[index].shortfall[0] == 0)


def only(target: Target, name: str) -> Target:
    """Return a target with one limit alone."""
    none = {other: 0.0 for other in target.limits() if other != name}
    if 'latency' in none:
        # What belongs to the latency goes with it.
        target = replace(target, latency_quantile=0.0, late_frames=LateFrames.SERVE)
    return replace(target, **none)  # type: ignore[arg-type]


def _asking(problem: Problem, index: int, target: Target) -> Problem:
    return _demanding(problem, index, replace(problem.demands[index], target=target))


def _demanding(problem: Problem, index: int, demand: Demand) -> Problem:
    demands = list(problem.demands)
    demands[index] = demand
    return replace(problem, demands=tuple(demands))


def _circumstances(problem: Problem, index: int) -> Iterator[tuple[Problem, Infeasibility]]:
    """Return the problem without one circumstance after the other."""
    count = len(problem.joint.settings)
    if len(problem.settings) < count:
        yield (
            replace(problem, settings=np.arange(count, dtype=np.int64)),
            Infeasibility(
                'clocks',
                'The clocks that may be set now do not reach it: allow others or relax it.',
            ),
        )
    if problem.power_cap < math.inf:
        cap = problem.power_cap
        yield (
            replace(problem, power_cap=math.inf),
            Infeasibility(
                'power',
                f'It takes more than the {cap:.3g} W that plans may take: allow more or relax it.',
            ),
        )
    if problem.foreign:
        yield (
            replace(problem, foreign={}),
            Infeasibility(
                'load', 'Load that is not ours leaves too little: lower that load or relax it.'
            ),
        )
    if any(table.difficulty > 1 for table in problem.joint.tables):
        yield (
            _as_calibrated(problem),
            Infeasibility(
                'scene',
                'With pictures no harder than those of the calibration it would be met: relax it.',
            ),
        )
    others = [demand for a, demand in enumerate(problem.demands) if a != index]
    if others:
        names = ', '.join(demand.target.application for demand in others)
        yield (
            _alone(problem, index),
            Infeasibility(
                'others', f'Without {names} it would be met: ask less of them or relax it.'
            ),
        )
    demand = problem.demands[index]
    if not demand.usable.all():
        every = np.ones_like(demand.usable)
        yield (
            _demanding(problem, index, replace(demand, usable=every)),
            Infeasibility('refused', 'What would meet it was refused, or may not be chosen yet.'),
        )


def _as_calibrated(problem: Problem) -> Problem:
    """Return the problem with no scene harder than the calibration pictures."""
    tables = [
        table.seen_at(1.0) if table.difficulty > 1 else table for table in problem.joint.tables
    ]
    return replace(problem, joint=join(tables, problem.joint))


def _alone(problem: Problem, index: int) -> Problem:
    """Return the problem with all other applications idle."""
    demands = tuple(
        demand
        if a == index
        else replace(demand, target=Target(demand.target.application), camera_rate=1e-6)
        for a, demand in enumerate(problem.demands)
    )
    return replace(problem, demands=demands)
