# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Why applications are switched by a plan: what has changed since the one before it.

What may have changed by itself (load, power, how hard the pictures of a scene are) is taken back
in turn: where what is better would then be worth no change, that is the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dynamic_dnn_ros.management.assessment import Problem, ResourceSettings, evaluate
from dynamic_dnn_ros.management.decisions import SwitchReason
from dynamic_dnn_ros.management.resource_level import Cause, Plan, worth_a_change
from dynamic_dnn_ros.management.tables import ApplicationTable

_OF_CAUSE = {
    Cause.FIRST: SwitchReason.APPLICATION,
    Cause.TRIED: SwitchReason.MEASUREMENT,
    Cause.OFFER: SwitchReason.PLATFORM,
    Cause.LOAD: SwitchReason.PLATFORM,
    Cause.POWER: SwitchReason.PLATFORM,
    Cause.REFUSED: SwitchReason.APPLICATION,
    Cause.MISSED: SwitchReason.MEASUREMENT,
    Cause.CAMERA: SwitchReason.MEASUREMENT,
    Cause.NEARER: SwitchReason.MEASUREMENT,
    Cause.OBJECTIVE: SwitchReason.MEASUREMENT,
    Cause.ENERGY: SwitchReason.ENERGY,
}
"""Where targets, applications, platform and scenes are as they were."""

_WAITING = (Cause.DWELL, Cause.CHANGING)

_OF_ANY_SCENE = (Cause.FIRST, Cause.TRIED, Cause.OFFER, Cause.REFUSED)
"""What pictures have no part in."""


class SwitchReasons:
    """Follow the plans, and tell the reason of the switches that each one brings."""

    def __init__(self, settings: ResourceSettings) -> None:
        """Begin without a plan."""
        self._settings = settings
        self._last: Problem | None = None
        # That of the last plan that put nothing off, and what has changed since.
        self._before: Problem | None = None
        self._fresh: SwitchReason | None = None

    def of(self, plan: Plan, fresh: SwitchReason | None) -> SwitchReason:
        """
        Take the next plan, and return why it switches applications, if it does.

        :param fresh: what has changed of what is asked for or there to choose from
        """
        if fresh is SwitchReason.TARGET or plan.problem is not self._last:
            self._fresh = fresh or self._fresh
        # An option that the profile lacks is left without any other cause.
        reason = self._fresh or _OF_CAUSE.get(plan.cause, SwitchReason.APPLICATION)
        if self._fresh is None and self._before is not None:
            reason = self._of_scene(plan, self._before) or reason
            if self._is_for_the_platform(plan, self._before):
                reason = SwitchReason.PLATFORM
        self._last = plan.problem
        if plan.cause not in _WAITING:
            self._before, self._fresh = plan.problem, None
        return reason

    def _is_for_the_platform(self, plan: Plan, before: Problem) -> bool:
        """Tell whether an improvement was none with the load and power cap of before."""
        problem = plan.problem
        if plan.cause not in (Cause.NEARER, Cause.OBJECTIVE, Cause.ENERGY):
            return False
        if before.joint is not problem.joint:
            return False
        if plan.setting not in before.settings:
            return True
        return not self._departs(
            plan, replace(problem, foreign=before.foreign, power_cap=before.power_cap)
        )

    def _of_scene(self, plan: Plan, before: Problem) -> SwitchReason | None:
        """Return what scenes have become where a change was none with those of before."""
        if not plan.cause.departs or plan.cause in _OF_ANY_SCENE:
            return None
        for reason, supposed in _without_changes(before, plan.problem):
            if not self._departs(plan, supposed):
                return reason
        return None

    def _departs(self, plan: Plan, supposed: Problem) -> bool:
        """Tell whether the plan would be worth a change if the problem were another one."""
        found = plan.evaluation
        both = evaluate(supposed, found.settings, found.options, self._settings)
        return worth_a_change(supposed, both, plan.gain).departs


def _without_changes(before: Problem, problem: Problem) -> Iterator[tuple[SwitchReason, Problem]]:
    """Return the problem with harder and with easier scenes taken back, where there are such."""
    old, new = before.joint, problem.joint
    if old is new or len(old.tables) != len(new.tables):
        return
    if not all(_same_profile(a, b) for a, b in zip(old.tables, new.tables)):
        return
    for reason, sense in ((SwitchReason.HARDER, 1), (SwitchReason.EASIER, -1)):
        moved = [sense * (b.difficulty - a.difficulty) > 0 for a, b in zip(old.tables, new.tables)]
        if not any(moved):
            continue
        tables = tuple(a if m else b for a, b, m in zip(old.tables, new.tables, moved))
        demands = tuple(
            replace(b, path_variation=a.path_variation) if m else b
            for a, b, m in zip(before.demands, problem.demands, moved)
        )
        # Candidates are weighed by their figures alone, so what bounds them may stay.
        joint = replace(new, tables=tables)
        yield reason, replace(problem, joint=joint, demands=demands)


def _same_profile(table: ApplicationTable, other: ApplicationTable) -> bool:
    """Tell whether two tables are of one profile, seen in scenes of whatever difficulty."""
    return table.rows is other.rows and table.options is other.options
