# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Why applications are switched by a plan: what has changed since the one before it."""

from __future__ import annotations

from dataclasses import replace

from dynamic_dnn_ros.management.assessment import Problem, ResourceSettings, evaluate
from dynamic_dnn_ros.management.decisions import SwitchReason
from dynamic_dnn_ros.management.resource_level import Cause, Plan, worth_a_change

_OF_CAUSE = {
    Cause.FIRST: SwitchReason.APPLICATION,
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
"""Where targets, applications and platform are as they were."""

_WAITING = (Cause.DWELL, Cause.CHANGING)


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
        if self._fresh is None and self._is_for_the_platform(plan):
            reason = SwitchReason.PLATFORM
        self._last = plan.problem
        if plan.cause not in _WAITING:
            self._before, self._fresh = plan.problem, None
        return reason

    def _is_for_the_platform(self, plan: Plan) -> bool:
        """Tell whether an improvement was none with the load and power cap of before."""
        before, problem = self._before, plan.problem
        if plan.cause not in (Cause.NEARER, Cause.OBJECTIVE, Cause.ENERGY) or before is None:
            return False
        if before.joint is not problem.joint:
            return False
        if plan.setting not in before.settings:
            return True
        then = replace(problem, foreign=before.foreign, power_cap=before.power_cap)
        found = plan.evaluation
        both = evaluate(then, found.settings, found.options, self._settings)
        return not worth_a_change(then, both, plan.gain).departs
