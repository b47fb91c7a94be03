# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What operating points come to, against what is asked for.

Time sharing: two applications on one processor are served in turn, so while another one is busy
an application runs at half speed. With u the share of time for which another is busy, service
lasts 1 + u times as long; several others add up. Those of one server take turns by frames or
stages instead: service lasts as long as ever, and frames wait (`queueing.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.beside import Beside
from dynamic_dnn_ros.management.decisions import Constraint
from dynamic_dnn_ros.management.estimator import (
    CAMERA_VARIATION,
    SlowDownFilter,
    predicted_service,
    predicted_waiting,
    profiled_quantile,
)
from dynamic_dnn_ros.management.queueing import AS_PREDICTED, Neighbour, Queue, Waited, queue
from dynamic_dnn_ros.management.tables import FIGURES, JointTable
from dynamic_dnn_ros.management.targets import Objective, Target

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LARGEST_MARGIN = 0.15
"""Share of a limit that is left free at most, however little is known."""

RATE_TOLERANCE = 0.02
"""Share by which a rate may stay below its limit: cameras do not keep theirs to the last digit."""

MET = 1e-6
"""Share of the time for which others keep a processor busy, below which nobody meets them."""

WORST = 1e6
"""Share to which a shortfall and a slow-down are cut, so that sums and squares stay finite."""


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
    gain: float = 0.01


@dataclass(frozen=True, eq=False)
class Demand:
    """
    What one application asks for and how it runs.

    `usable` and `shares` belong to the options of its table: which may be chosen, and for which
    share of the service time each domain of the joint table is busy, shape (options, domains).
    `overhead` is what a frame takes beside waiting for another and service, s.
    `priority` is the target's, or -1 for an application that was asked for nothing.
    `path_variation` is that of pictures whose long paths are rarer than the quantile tells.
    `server` names those with which it takes turns, if any, and `stage` is the share of a frame by
    which it holds up one that may pass it at a stage; `queueing` is what its frames waited for
    their turns, as a multiple of what was predicted. `occupancy` is the time that a frame has of
    the processor, as a share of what it takes alone: less where frames run together.
    `teaches` tells of each option whether its frames tell of the scene; None: of none.
    `camera_variation` is the standard deviation of the time between two frames over the period.
    `disturbed` tells whether its frames have just become slower, so that some wait behind late
    ones: then waiting is predicted as where others share the processor.
    """

    target: Target
    priority: int
    slow_down: SlowDownFilter
    camera_rate: float
    overhead: float
    overhead_deviation: float
    usable: BoolArray
    shares: FloatArray
    path_variation: float = 0.0
    server: str = ''
    stage: float = 1.0
    queueing: Waited = AS_PREDICTED
    occupancy: float = 1.0
    teaches: BoolArray | None = None
    camera_variation: float = CAMERA_VARIATION
    disturbed: bool = False

    @property
    def asked(self) -> bool:
        """Tell whether the application was asked for something."""
        return self.priority >= 0

    def room(self, margin: float) -> float:
        """Return the share of a limit that a new choice leaves free."""
        # The less is known of the slow-down, the more room a new choice leaves.
        return min(margin + self.slow_down.uncertainty, LARGEST_MARGIN)


@dataclass(frozen=True, eq=False)
class Problem:
    """
    One decision to be made: the table, the settings that may be chosen, and the demands.

    `foreign` is load that is not ours, cycles a second by domain; `power_cap` what the board may
    take, W; `beside` what other programs take of it, where that follows a clock.
    """

    joint: JointTable
    settings: IndexArray
    demands: tuple[Demand, ...]
    foreign: dict[str, float]
    power_cap: float = math.inf
    beside: Beside | None = None

    @cached_property
    def power_beside(self) -> FloatArray | None:
        """Return what other programs take at all settings, W; None: not known."""
        return None if self.beside is None else self.beside.at_settings(self.joint)

    def foreign_utilisation(self, rows: IndexArray) -> FloatArray:
        """Return what other load takes of each domain, shape (settings, domains)."""
        cycles = np.array([self.foreign.get(name, 0.0) for name in self.joint.domains])
        return cycles / (self.joint.settings[rows] * 1e3)

    def counted_domains(self) -> list[int]:
        """Return the indices of the domains that load which is not ours needs."""
        return [i for i, name in enumerate(self.joint.domains) if self.foreign.get(name, 0.0) > 0]


Contention = FloatArray | float | Queue
"""What others make of service: a factor by which it lasts longer, or what a frame waits for."""

Together = tuple[dict[str, FloatArray], FloatArray, Contention]
"""Figures by name, accuracy and contention of one application in joint candidates."""

CONSTRAINTS = (Constraint.LATENCY, Constraint.ACCURACY, Constraint.ENERGY, Constraint.RATE)


@dataclass(frozen=True, eq=False)
class Expectation:
    """
    What operating points of one application come to; all arrays share one shape.

    `service` is the mean of preprocessing + inference, s; `busy` the share of time for which its
    processor works for it; `added_power` what that adds to idle power; `contention` the factor by
    which others on its processor make service last longer, `queueing` the time that a frame waits
    for its turn, s, in the mean and at the target's quantile; of shapes that go with theirs.
    """

    latency: FloatArray
    service: FloatArray
    busy: FloatArray
    added_power: FloatArray
    energy: FloatArray
    accuracy: FloatArray
    contention: FloatArray
    queueing: tuple[FloatArray, FloatArray] | None = None


@dataclass(frozen=True, eq=False)
class Assessment:
    """
    What is expected of operating points of one application; all arrays share one shape.

    `shortfall` is the sum of what limits are missed by, as shares of them, and `margined` the
    same with the margin kept free; what only reports need is worked out when it is asked for.
    """

    demand: Demand
    expected: Expectation
    margin: float

    @property
    def latency(self) -> FloatArray:
        """Return the latency at the target's quantile, s."""
        return self.expected.latency

    @cached_property
    def accuracy(self) -> FloatArray:
        """Return the accuracy, 0..1."""
        return np.broadcast_to(self.expected.accuracy, self.latency.shape)

    @cached_property
    def contention(self) -> FloatArray:
        """Return the factor by which others on its processor make service last longer."""
        return np.broadcast_to(self.expected.contention, self.latency.shape)

    def queueing(self, row: int) -> tuple[float, float]:
        """Return what a frame waits for its turn in a row, s: mean, and at the quantile."""
        if self.expected.queueing is None:
            return 0.0, 0.0
        mean, at_quantile = (
            np.broadcast_to(each, self.latency.shape) for each in self.expected.queueing
        )
        return float(mean[row]), float(at_quantile[row])

    @property
    def energy(self) -> FloatArray:
        """Return the energy of a frame, J."""
        return self.expected.energy

    @cached_property
    def rate(self) -> FloatArray:
        """Return the frames that are served, Hz."""
        return np.minimum(self.demand.camera_rate, 1 / self.expected.service)

    @property
    def busy(self) -> FloatArray:
        """Return the share of time for which its processor works for it."""
        return self.expected.busy

    @property
    def added_power(self) -> FloatArray:
        """Return what it adds to idle power, W."""
        return self.expected.added_power

    @cached_property
    def shortfall(self) -> FloatArray:
        """Return the sum of what limits are missed by."""
        return shortfall(self.demand, self.expected, 0.0)

    @cached_property
    def margined(self) -> FloatArray:
        """Return the same with the margin kept free."""
        return shortfall(self.demand, self.expected, self.demand.room(self.margin))

    @cached_property
    def misses(self) -> FloatArray:
        """Return by how much each limit is missed, in the order of `CONSTRAINTS`."""
        return self._misses(0.0)

    @cached_property
    def margined_misses(self) -> FloatArray:
        """Return the same with the margin kept free."""
        return self._misses(self.demand.room(self.margin))

    def _misses(self, room: float) -> FloatArray:
        none = np.zeros_like(self.latency)
        rows = missed_by(self.demand, self.expected, room)
        return np.stack([none if miss is None else miss + none for miss in rows])


@dataclass(frozen=True, eq=False)
class Evaluation:
    """
    Joint candidates, one a row: setting, options, and what they come to.

    `excess` is that over the limits of utilisation and power, `load_excess` that of utilisation
    alone.
    """

    settings: IndexArray
    options: IndexArray
    applications: tuple[Assessment, ...]
    excess: FloatArray
    load_excess: FloatArray
    power: FloatArray
    power_known: bool


def by_priority(demands: Sequence[Demand]) -> list[int]:
    """Return the indices of demands, the highest priority first, then by application id."""
    return sorted(
        range(len(demands)),
        key=lambda a: (-demands[a].priority, demands[a].target.application),
    )


def is_alone(contention: Contention) -> BoolArray | bool:
    """Tell where an application has its processor for itself."""
    if isinstance(contention, Queue):
        contention = contention.factor + contention.busy
    return contention < 1.0 + MET


def expect(
    demand: Demand,
    points: Mapping[str, FloatArray],
    accuracy: FloatArray,
    contention: Contention,
) -> Expectation:
    """
    Predict what operating points of one application come to.

    :param points: the figures of a table, all of one shape
    :param accuracy: of each point, of a shape that goes with theirs
    :param contention: what others make of it
    """
    if isinstance(contention, Queue):
        alone = _slowed_down(demand, points, accuracy, contention.factor, is_alone(contention))
        busy = busy_share(demand, points['mean'], contention.turn)
        at_quantile = contention.at(demand.target.quantile)
        return Expectation(
            alone.latency + at_quantile,
            alone.service / contention.left,
            busy,
            busy * points['dynamic_power'],
            alone.energy,
            accuracy,
            alone.contention,
            (contention.mean, at_quantile),
        )
    return _slowed_down(demand, points, accuracy, contention, is_alone(contention))


def _slowed_down(
    demand: Demand,
    points: Mapping[str, FloatArray],
    accuracy: FloatArray,
    contention: FloatArray | float,
    alone: BoolArray | bool,
) -> Expectation:
    """Predict what points come to where others only make service last longer."""
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
    waiting = predicted_waiting(
        target.quantile,
        period,
        service_mean,
        service,
        demand.path_variation,
        demand.camera_variation,
        alone if not demand.disturbed else False,
    )
    busy = busy_share(demand, points['mean'], contention)
    return Expectation(
        service + waiting + demand.overhead,
        service_mean,
        busy,
        busy * points['dynamic_power'],
        points['energy'] * slow_down.mean,
        accuracy,
        np.asarray(contention),
    )


def busy_share(
    demand: Demand, mean: FloatArray, contention: FloatArray | float = 1.0
) -> FloatArray:
    """Return the share of time for which service, not counting others' turns, keeps busy."""
    # Never more than its turn; a point that the profile lacks, NaN, counts as its whole turn.
    turn = 1 / np.asarray(contention)
    of_it = demand.slow_down.mean * demand.camera_rate * demand.occupancy
    return np.fmin(mean * of_it, turn)


def missed_by(demand: Demand, found: Expectation, room: float) -> list[FloatArray | None]:
    """
    Return by which share each limit is missed, in the order of `CONSTRAINTS`; none without limit.

    :param room: share of the limits that is to be left free
    """
    target = demand.target
    latency = accuracy = energy = rate = None
    if target.latency:
        latency = _cut(found.latency / (target.latency * (1 - room)) - 1)
    if target.accuracy:
        with np.errstate(divide='ignore', invalid='ignore'):
            accuracy = _cut(target.accuracy / np.asarray(found.accuracy) - 1)
    if target.energy:
        energy = _cut(found.energy / (target.energy * (1 - room)) - 1)
    if target.rate:
        # What the camera does not deliver no choice can mend, so it must not weigh in the choice.
        asked = min(target.rate, demand.camera_rate) * (1 - RATE_TOLERANCE)
        rate = _cut(found.service * (asked / (1 - room)) - 1)
    return [latency, accuracy, energy, rate]


def shortfall(demand: Demand, found: Expectation, room: float) -> FloatArray:
    """Return the sum of what limits are missed by; infinite where the profile lacks the point."""
    total: FloatArray | float = 0.0
    for miss in missed_by(demand, found, room):
        if miss is not None:
            total = total + miss
    # A point that the profile lacks is out of the question.
    return np.where(np.isfinite(found.latency), total, np.inf)


def assess(
    demand: Demand,
    points: Mapping[str, FloatArray],
    accuracy: FloatArray,
    contention: Contention,
    margin: float,
) -> Assessment:
    """
    Assess operating points of one application against its target.

    :param points: the figures of a table, all of one shape
    :param accuracy: of each point
    :param contention: what others make of it
    """
    return Assessment(demand, expect(demand, points, accuracy, contention), margin)


def evaluate(
    problem: Problem, rows: IndexArray, options: IndexArray, settings: ResourceSettings
) -> Evaluation:
    """
    Assess joint candidates.

    :param rows: indices of settings, shape (candidates,)
    :param options: indices of options, shape (candidates, applications)
    """
    joint = together(problem, rows, options)
    assessments = tuple(
        assess(demand, points, accuracy, contention, settings.margin)
        for demand, (points, accuracy, contention) in zip(problem.demands, joint)
    )
    load_excess, power = of_board(problem, rows, options, joint, assessments, settings)
    excess = load_excess
    if problem.power_cap < math.inf:
        excess = np.maximum(excess, power / problem.power_cap - 1)
    known = [np.isfinite(p['power'] + p['idle_power']).all() for p, _, _ in joint]
    return Evaluation(
        rows,
        options,
        assessments,
        excess,
        load_excess,
        power,
        bool(known) and all(map(bool, known)),
    )


def together(problem: Problem, rows: IndexArray, options: IndexArray) -> list[Together]:
    """Return figures, accuracy and contention of each application in joint candidates."""
    joint = problem.joint
    points = [
        dict(zip(FIGURES, table.figures[:, options[:, a], joint.row[a][rows]]))
        for a, table in enumerate(joint.tables)
    ]
    processors = [joint.processors[a][options[:, a]] for a in range(len(points))]
    taken = [busy_share(demand, p['mean']) for demand, p in zip(problem.demands, points)]
    found = []
    for a, table in enumerate(joint.tables):
        contention = np.ones(len(rows))
        members = []
        for b, busy in enumerate(taken):
            if b != a:
                beside = (processors[a] == processors[b]) * busy
                if take_turns(problem.demands[a], problem.demands[b]):
                    members.append(neighbour(problem.demands[a], problem.demands[b], beside))
                else:
                    contention = contention + beside
        beside_it: Contention = contention
        if members:
            beside_it = queue(members, contention, problem.demands[a].queueing)
        found.append((points[a], table.accuracy[options[:, a]], beside_it))
    return found


def take_turns(one: Demand, other: Demand) -> bool:
    """Tell whether two applications take turns where they meet on a processor."""
    return bool(one.server) and one.server == other.server


def neighbour(one: Demand, other: Demand, busy: FloatArray) -> Neighbour:
    """Return what another application is to one that takes turns with it."""
    ahead = (other.priority > one.priority) - (other.priority < one.priority)
    batched = other.occupancy < 1.0
    return Neighbour(busy, other.camera_rate, ahead, other.stage, batched)


def of_board(
    problem: Problem,
    rows: IndexArray,
    options: IndexArray,
    joint: Sequence[Together],
    applications: Sequence[Expectation | Assessment],
    settings: ResourceSettings,
) -> tuple[FloatArray, FloatArray]:
    """Return excess over the limit of utilisation, and power, W, of candidates."""
    excess = np.zeros(len(rows))
    counted = problem.counted_domains()
    if counted:
        utilisation = problem.foreign_utilisation(rows)[:, counted]
        for a, (demand, found) in enumerate(zip(problem.demands, applications)):
            shares = demand.shares[:, counted][options[:, a]]
            utilisation = utilisation + found.busy[:, None] * shares
        excess = np.clip(utilisation - settings.utilisation_limit, 0.0, None).max(axis=1)
    power = np.zeros(len(rows))
    for found in applications:
        power = power + found.added_power
    if joint:
        idle = np.stack([points['idle_power'] for points, _, _ in joint])
        power = power + np.where(np.isfinite(idle), idle, 0.0).max(axis=0)
    if problem.power_beside is not None:
        power = power + problem.power_beside[rows]
    return excess, power


def objective_values(
    demand: Demand, found: Expectation | Assessment, power: FloatArray
) -> FloatArray:
    """Return what the application's objective would have small."""
    if demand.target.objective is Objective.MAXIMUM_ACCURACY:
        return -np.nan_to_num(found.accuracy)
    if demand.target.objective is Objective.MINIMUM_LATENCY:
        # A point that the profile lacks is the slowest.
        return np.where(np.isnan(found.latency), np.inf, found.latency)
    return power


def _cut(share: FloatArray) -> FloatArray:
    """Return by which share a limit is missed; what is not known misses nothing."""
    # fmax takes the number of a number and NaN.
    return np.fmin(np.fmax(share, 0.0), WORST)
