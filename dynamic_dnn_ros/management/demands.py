# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What applications ask for and how they run, as a decision takes it.

Estimates move a little with every frame. As long as none has moved by more than `TOLERANCE`, or
than it was unsure when the choice was made, both less than the room that a choice leaves, a
problem counts as the one before: it has the same answer, and need not be solved again.
"""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import Demand, Problem
from dynamic_dnn_ros.management.records import ApplicationRecord
from dynamic_dnn_ros.management.tables import ApplicationTable
from dynamic_dnn_ros.management.targets import Objective, Target

NOMINAL_RATE = 30.0
"""Hz assumed of a camera that has not been heard yet and whose rate no target asks for."""

DEFAULT_RATE_SHARE = 0.95
"""
Share of the camera's frames that an application keeps up with if it was asked for nothing; their
results are to be out when the next one comes.
"""

TOLERANCE = 0.01
"""Share by which an estimate may move before a choice is made anew."""


def demand_of(
    record: ApplicationRecord,
    table: ApplicationTable,
    domains: tuple[str, ...],
    target: Target | None,
    default_objective: Objective,
    now: float,
    cores: int = 1,
) -> Demand:
    """
    Return what an application asks for.

    :param domains: those of the joint table, of which it keeps shares busy
    :param default_objective: for an application without a target
    :param cores: of the CPU, as far as known
    """
    measurements = record.learnt.measurements
    server = record.application.server
    camera_rate = measurements.camera_rate
    if not camera_rate > 0:
        camera_rate = (target.rate if target is not None else 0.0) or NOMINAL_RATE
    if target is None:
        effective = Target(
            record.application.id,
            latency=1.0 / camera_rate,
            rate=DEFAULT_RATE_SHARE * camera_rate,
            objective=default_objective,
        )
    else:
        effective = target
    if record.is_held(now):
        usable = np.array([option == record.assignment.desired for option in table.options])
    else:
        usable = np.array([not record.is_excluded(o, now) for o in table.options])
    if not usable.any():
        # Held at an option that the profile lacks: judged by all others.
        usable = np.array([not record.is_excluded(o, now) for o in table.options])
    of_processor = {
        processor: [measurements.busy_share(processor, domain, cores) for domain in domains]
        for processor in set(table.processors)
    }
    shares = np.array([of_processor[processor] for processor in table.processors])
    return Demand(
        effective,
        -1 if target is None else target.priority,
        record.learnt.supposed,
        camera_rate,
        # Where it takes turns, what frames take beside that is queueing.
        measurements.least_overhead if server else measurements.overhead,
        0.0 if server else measurements.overhead_deviation,
        usable,
        shares.reshape(len(table.options), len(domains)),
        record.path_variation(effective.quantile),
        server,
        record.stage,
        record.learnt.queueing,
        record.learnt.occupancy,
        np.array([name in record.paths for name, _ in table.options]) if record.paths else None,
        measurements.camera_variation,
        record.learnt.is_disturbed,
    )


def steadied(problem: Problem, before: Problem | None) -> Problem:
    """Return the problem before where nothing that matters has changed since."""
    if before is None or before.joint is not problem.joint:
        return problem
    same = (
        before.power_cap == problem.power_cap
        and before.beside == problem.beside
        and (
            before.settings is problem.settings
            or np.array_equal(before.settings, problem.settings)
        )
        and _same_load(problem, before)
    )
    demands = tuple(
        old if _is_same(new, old) else new for new, old in zip(problem.demands, before.demands)
    )
    if same and all(new is old for new, old in zip(demands, before.demands)):
        return before
    return replace(problem, demands=demands)


def _is_same(new: Demand, old: Demand) -> bool:
    asked_for_nothing = new.priority == old.priority == -1
    if not (asked_for_nothing and new.target.objective is old.target.objective):
        if new.priority != old.priority or new.target != old.target:
            return False
    slow_down, slowed = new.slow_down, old.slow_down
    # By as much as it was unsure a choice leaves room.
    near = max(TOLERANCE * slowed.mean, math.sqrt(slowed.variance))
    period = 1 / old.camera_rate
    short = TOLERANCE * min(old.target.latency or math.inf, period)
    if (new.server, new.queueing, new.occupancy) != (old.server, old.queueing, old.occupancy):
        return False
    if (new.camera_variation, new.disturbed) != (old.camera_variation, old.disturbed):
        return False
    return (
        abs(slow_down.mean - slowed.mean) <= near
        and abs(slow_down.deviation - slowed.deviation) <= near / 2
        and abs(math.sqrt(slow_down.variance) - math.sqrt(slowed.variance)) <= near / 2
        and abs(new.camera_rate - old.camera_rate) <= TOLERANCE * old.camera_rate
        and abs(new.overhead - old.overhead) <= short
        and abs(new.overhead_deviation - old.overhead_deviation) <= short / 2
        and new.usable.tobytes() == old.usable.tobytes()
        and float(np.abs(new.shares - old.shares).max(initial=0.0)) <= TOLERANCE
    )


def _same_load(problem: Problem, before: Problem) -> bool:
    if problem.foreign.keys() != before.foreign.keys():
        return False
    return all(
        abs(cycles - before.foreign[name]) <= TOLERANCE * max(before.foreign[name], 1.0)
        for name, cycles in problem.foreign.items()
    )
