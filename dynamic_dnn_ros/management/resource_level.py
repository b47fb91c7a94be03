# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The resource level: frequencies, and each application's sub-network and processor, in one choice.

What is chosen (`joint_choice.py`) stays until something is better by more than it costs to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import (
    BoolArray,
    Evaluation,
    FloatArray,
    IndexArray,
    Problem,
    ResourceSettings,
    by_priority,
    evaluate,
    objective_values,
)
from dynamic_dnn_ros.management.decisions import SwitchReason
from dynamic_dnn_ros.management.joint_choice import choose_jointly, library
from dynamic_dnn_ros.management.narrowing import WITHIN, within
from dynamic_dnn_ros.management.targets import Objective

LONGEST_DWELL = 60.0
"""Seconds up to which the dwell grows when changes for less energy have to be taken back."""

TAKEN_BACK = 30.0
"""Seconds within which a miss is laid to the last saving."""

BLIND_GAIN = 0.1
"""
Share of the board's power that has to be saved by a sub-network of one piece in place of one with
stages: its frames do not tell when the scene gets easier, and then the other one saves more.
"""

LEAST_GAIN = 1 / 3
"""Share of `gain` that a change must always show, however long things have stood."""

NOISE_GAIN = 0.4
"""Gain that a change must show besides, for each unit of frames' relative spread."""

PATIENCE = 15.0
"""Seconds for which one plan has to be the best before its gain counts as more than noise."""

ASKED_GAIN = 0.001
"""Share of the board's power that is worth a change where something else is asked for."""

PREPARING = 0.1
"""Share of the board's power that a preparation is assumed to take, for as long as it lasts."""

PROMPT = 1.0
"""Seconds that a preparation may take and count for nothing: the dwell is longer."""

_ASKED = (SwitchReason.TARGET, SwitchReason.APPLICATION)
"""Something else is asked for, or by others."""


class Cause(Enum):
    """Why a plan departs from the one before it, or why it does not."""

    KEPT = 'nothing better is known'
    SMALL = 'what would be better is so by less than a change is worth'
    DWELL = 'something better waits, so that changes do not follow each other too fast'
    CHANGING = 'something better waits until the last change is carried out'
    FIRST = 'there was no decision before'
    TRIED = 'settings of the clocks are tried for what they teach, as there is no profile'
    OFFER = 'the platform no longer offers the clocks in force'
    LOAD = 'load that is not ours needs more than what was in force leaves it'
    POWER = 'what was in force takes more power than plans may take'
    REFUSED = 'an application refuses what was in force'
    MISSED = 'more targets are met'
    CAMERA = 'applications that were asked for nothing keep up better with their cameras'
    NEARER = 'targets that cannot be met are missed by less'
    OBJECTIVE = 'objectives are better served'
    ENERGY = 'the same targets are met with less power'

    @property
    def departs(self) -> bool:
        """Tell whether the plan is another one than before."""
        return self not in (Cause.KEPT, Cause.SMALL, Cause.DWELL, Cause.CHANGING)


_URGENT = (
    Cause.FIRST,
    Cause.TRIED,
    Cause.OFFER,
    Cause.LOAD,
    Cause.POWER,
    Cause.REFUSED,
    Cause.MISSED,
)
"""Changes that wait for nothing: somebody's target asks for them, or nothing else is possible."""

_TAKING_BACK = (Cause.MISSED, Cause.CAMERA, Cause.LOAD)
"""Changes that show the last improvement to have been one too many."""


@dataclass(frozen=True, eq=False)
class Plan:
    """
    The chosen row, its index in `evaluation`, and why.

    `gain` is the share of the board's power that a change had to save, `dwell` what had to pass
    since the change before, s, unless a target asks for one.
    """

    problem: Problem
    evaluation: Evaluation
    row: int
    cause: Cause
    gain: float = 0.0
    dwell: float = 0.0

    @property
    def setting(self) -> int:
        """Return the index of the setting in the joint table."""
        return int(self.evaluation.settings[self.row])

    def option(self, application: int) -> int:
        """Return the index of an application's option in its table."""
        return int(self.evaluation.options[self.row, application])


@dataclass(frozen=True, eq=False)
class _Weighed:
    """What is best (row 0) beside what is in force (row 1)."""

    problem: Problem
    settings: tuple[int, int]
    options: tuple[tuple[int, ...], tuple[int, ...]]
    evaluation: Evaluation


class ResourceLevel:
    """
    Choose plans one after the other, without oscillating.

    :raises OSError: the search is not compiled
    """

    def __init__(self, settings: ResourceSettings) -> None:
        """Begin without a plan."""
        library()
        self._settings = settings
        self._changed = -math.inf
        self._saved = -math.inf
        self._dwell = settings.dwell
        self._solved: tuple[Problem, int, tuple[int, ...]] | None = None
        self._weighed: _Weighed | None = None
        # Best plans among fewer options, by these, for one problem.
        self._among: tuple[Problem, dict[bytes, tuple[int, tuple[int, ...]]]] | None = None
        self._asked_since = -math.inf
        self._better: tuple[int, tuple[int, ...]] | None = None
        self._better_since = -math.inf

    def note_change(self, now: float) -> None:
        """Begin the dwell anew: somebody else has moved an application."""
        self._changed = now

    def decide(
        self,
        problem: Problem,
        incumbent: tuple[int, Sequence[int]] | None,
        now: float,
        fresh: SwitchReason | None,
        changing: bool = False,
        preparations: Sequence[FloatArray] = (),
    ) -> Plan:
        """
        Choose a plan.

        :param incumbent: setting and options in force, as indices, where there are such
        :param fresh: what has changed of what is asked for or there to choose from; the dwell
            does not count where it is a target
        :param changing: whether the last change is still on its way to an application
        :param preparations: s until each option of each application would serve
        """
        if fresh is not None:
            self._asked_since = now
        at, chosen = self._best(problem, incumbent[0] if incumbent is not None else None)
        if incumbent is not None:
            at, chosen = self._seeing((at, chosen), problem, incumbent)
            at, chosen = self._paying((at, chosen), problem, incumbent, preparations, now)
        if fresh is not None:
            self._dwell = self._settings.dwell
        incumbent_offered = incumbent is not None and incumbent[0] in problem.settings
        setting, options = incumbent if incumbent is not None else (at, chosen)
        both = self._beside(problem, (at, setting), (tuple(chosen), tuple(options)))
        # The noise of frames or of sensors does not take back what answers a new target.
        self._wait_for(at, chosen, now)
        gain = ASKED_GAIN if fresh in _ASKED else self._required_gain(problem, now)
        dwell = self._dwell
        if not incumbent_offered:
            cause = Cause.FIRST if incumbent is None else Cause.OFFER
        else:
            cause = worth_a_change(problem, both, gain)
            # What is taken back without need makes improvements rarer, not what keeps up.
            dwell = self._settings.dwell if cause is Cause.CAMERA else self._dwell
            usable = all(d.usable[o] for d, o in zip(problem.demands, options))
            if not usable and not cause.departs:
                cause = Cause.REFUSED
            elif usable and cause.departs and cause not in _URGENT:
                if fresh is not SwitchReason.TARGET:
                    cause = self._put_off(cause, dwell, changing, now)
        if not cause.departs:
            return Plan(problem, both, 1, cause, gain, dwell)
        if cause in _TAKING_BACK and fresh is None and self._was_saving(now):
            # The last improvement was one too many: wait longer before the next.
            self._dwell = min(2 * self._dwell, LONGEST_DWELL)
        if cause in (Cause.OBJECTIVE, Cause.ENERGY):
            self._saved = now
        self._changed = now
        return Plan(problem, both, 0, cause, gain, dwell)

    def _put_off(self, cause: Cause, dwell: float, changing: bool, now: float) -> Cause:
        """Return why a change that nobody asked for waits, the cause itself where it does not."""
        if changing:
            return Cause.CHANGING
        return Cause.DWELL if now - self._changed < dwell else cause

    def _was_saving(self, now: float) -> bool:
        return now - self._saved < max(TAKEN_BACK, 4 * self._dwell)

    def _required_gain(self, problem: Problem, now: float) -> float:
        """Return the share of the board's power that a change must save."""
        # A change costs once, what it saves is saved for as long as things stay as they are.
        stood = max(now - self._changed, self._dwell)
        share = self._dwell / stood if stood > 0 else 0.0
        gain = self._settings.gain * max(share, LEAST_GAIN)
        if now - self._better_since >= PATIENCE:
            return gain
        # Estimates move with the noise of frames: that is no saving.
        spread = (d.slow_down.dispersion / d.slow_down.mean for d in problem.demands)
        return max(gain, NOISE_GAIN * max(spread, default=0.0))

    def _wait_for(self, setting: int, options: tuple[int, ...], now: float) -> None:
        """Note since when one plan has been the best, without another one between."""
        if self._better != (setting, options):
            self._better, self._better_since = (setting, options), now

    def _best(self, problem: Problem, in_force: int | None) -> tuple[int, tuple[int, ...]]:
        """Return the best setting and options of a problem, which is solved once."""
        if self._solved is None or self._solved[0] is not problem:
            best = choose_jointly(problem, self._settings, in_force=in_force)
            self._solved = problem, best.setting, tuple(best.options.tolist())
        return self._solved[1:]

    def _seeing(
        self,
        best: tuple[int, tuple[int, ...]],
        problem: Problem,
        incumbent: tuple[int, Sequence[int]],
    ) -> tuple[int, tuple[int, ...]]:
        """
        Return the best plan, or the best one with which nobody ceases to tell of its scene.

        The latter where the former saves less than `BLIND_GAIN` beside it, and nothing else.
        """
        blind = tuple(
            a
            for a, demand in enumerate(problem.demands)
            if demand.teaches is not None
            and demand.teaches[incumbent[1][a]]
            and not demand.teaches[best[1][a]]
            and demand.usable[incumbent[1][a]]
        )
        if not blind:
            return best
        allowed = [
            demand.usable & demand.teaches
            if a in blind and demand.teaches is not None
            else demand.usable
            for a, demand in enumerate(problem.demands)
        ]
        return self._unless_worth(best, problem, allowed, incumbent[0], BLIND_GAIN)

    def _paying(
        self,
        best: tuple[int, tuple[int, ...]],
        problem: Problem,
        incumbent: tuple[int, Sequence[int]],
        preparations: Sequence[FloatArray],
        now: float,
    ) -> tuple[int, tuple[int, ...]]:
        """
        Return the best plan, or the best one for which nobody has to prepare for long.

        The latter where the former does not win back what its preparation takes within the time
        for which things have stood as they are.
        """
        moved = {
            a: float(times[new])
            for a, (times, new, old) in enumerate(zip(preparations, best[1], incumbent[1]))
            if new != old and times[new] > PROMPT and problem.demands[a].usable[old]
        }
        if not moved:
            return best
        allowed = [demand.usable for demand in problem.demands]
        for a in moved:
            allowed[a] = allowed[a] & (preparations[a] <= PROMPT)
            allowed[a][incumbent[1][a]] = True
        longest = max(moved.values())
        price = PREPARING * longest / max(now - self._asked_since, longest)
        return self._unless_worth(best, problem, allowed, incumbent[0], price)

    def _unless_worth(
        self,
        best: tuple[int, tuple[int, ...]],
        problem: Problem,
        allowed: Sequence[BoolArray],
        in_force: int,
        gain: float,
    ) -> tuple[int, tuple[int, ...]]:
        """Return the best plan among fewer options, unless the best of all is worth so much."""
        if self._among is None or self._among[0] is not problem:
            self._among = problem, {}
        known, key = self._among[1], b''.join(each.tobytes() for each in allowed)
        if key not in known:
            demands = tuple(replace(d, usable=u) for d, u in zip(problem.demands, allowed))
            found = choose_jointly(
                replace(problem, demands=demands), self._settings, in_force=in_force
            )
            known[key] = found.setting, tuple(found.options.tolist())
        other = known[key]
        both = evaluate(
            problem,
            np.array((best[0], other[0]), dtype=np.int64),
            np.array((best[1], other[1]), dtype=np.int64),
            self._settings,
        )
        return best if worth_a_change(problem, both, gain).departs else other

    def _beside(
        self,
        problem: Problem,
        settings: tuple[int, int],
        options: tuple[tuple[int, ...], tuple[int, ...]],
    ) -> Evaluation:
        """Return what is best (row 0) beside what is in force (row 1), worked out once."""
        last = self._weighed
        if (
            last is None
            or last.problem is not problem
            or (last.settings, last.options) != (settings, options)
        ):
            evaluation = evaluate(
                problem,
                np.array(settings, dtype=np.int64),
                np.array(options, dtype=np.int64),
                self._settings,
            )
            last = self._weighed = _Weighed(problem, settings, options, evaluation)
        return last.evaluation


def alternatives(plan: Plan, application: int, settings: ResourceSettings) -> Evaluation:
    """
    Return what one application could have had with the others as they are.

    Row 0 is the plan itself, then every option at its setting, then the next settings in each
    direction of each domain with its option.
    """
    problem = plan.problem
    count = len(problem.joint.tables[application].options)
    near = neighbours(problem, plan.setting)
    rows = np.concatenate([np.full(count + 1, plan.setting), near])
    options = np.tile(plan.evaluation.options[plan.row], (len(rows), 1))
    options[1 : count + 1, application] = np.arange(count)
    return evaluate(problem, rows, options, settings)


def neighbours(problem: Problem, setting: int) -> IndexArray:
    """Return the settings that may be chosen one step up or down in one domain alone."""
    joint, allowed = problem.joint, problem.settings
    offered = joint.settings[allowed]
    own = joint.settings[setting]
    same = offered == own
    differing = same.shape[1] - same.sum(axis=1)
    found = []
    for domain in range(same.shape[1]):
        alone = np.flatnonzero((differing == 1) & ~same[:, domain])
        distance = offered[alone, domain] - own[domain]
        for side in (distance > 0, distance < 0):
            if side.any():
                found.append(allowed[alone[side][np.abs(distance[side]).argmin()]])
    return np.array(found, dtype=np.int64)


def worth_a_change(problem: Problem, both: Evaluation, gain: float) -> Cause:
    """Return why row 0 is worth leaving row 1, or that it is not."""
    order = by_priority(problem.demands)
    if both.excess[1] > both.excess[0] + WITHIN:
        over_power = both.power[1] / problem.power_cap - 1
        return Cause.POWER if over_power >= both.excess[1] else Cause.LOAD
    if both.excess[0] > both.excess[1] + WITHIN:
        return Cause.KEPT
    for a in order:
        asked = problem.demands[a].asked
        new = bool(both.applications[a].shortfall[0] > 0)
        old = bool(both.applications[a].shortfall[1] > 0)
        if new != old:
            if new:
                return Cause.KEPT
            return Cause.MISSED if asked else Cause.CAMERA
    slightly = False
    for a in order:
        new_shortfall = float(both.applications[a].shortfall[0])
        old_shortfall = float(both.applications[a].shortfall[1])
        if old_shortfall > new_shortfall * (1 + 2 * WITHIN) + WITHIN:
            return Cause.NEARER if problem.demands[a].asked else Cause.CAMERA
        if new_shortfall > old_shortfall * (1 + 2 * WITHIN) + WITHIN:
            return Cause.SMALL if slightly else Cause.KEPT
        slightly |= new_shortfall < old_shortfall
    for a in order:
        demand = problem.demands[a]
        objective = demand.target.objective
        if objective is Objective.MINIMUM_ENERGY:
            continue
        new_value, old_value = map(
            float, objective_values(demand, both.applications[a], both.power)
        )
        near = change_worth(objective) * abs(old_value)
        if new_value < old_value - near:
            return Cause.OBJECTIVE
        if new_value > old_value + near:
            return Cause.SMALL if slightly else Cause.KEPT
        slightly |= new_value < old_value
    if both.power[0] < both.power[1] * (1 - gain):
        return Cause.ENERGY
    return Cause.SMALL if slightly or both.power[0] < both.power[1] else Cause.KEPT


def change_worth(objective: Objective) -> float:
    """Return the share by which an objective must be better for a change."""
    # Latency is predicted anew from moving estimates; accuracy is what it is.
    return within(objective) * (1 if objective is Objective.MAXIMUM_ACCURACY else 2)
