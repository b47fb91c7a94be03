# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The plan in force: the problem that all applications pose together, and what is decided on it.

Which settings there are and what is in force comes of the platform, what is asked for of targets
and records; the decision itself is that of the resource level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import Problem, ResourceSettings
from dynamic_dnn_ros.management.beside import OtherPrograms
from dynamic_dnn_ros.management.decisions import DomainFrequency, SwitchReason
from dynamic_dnn_ros.management.demands import demand_of, steadied
from dynamic_dnn_ros.management.platform_view import Choice, PlatformView
from dynamic_dnn_ros.management.power_budget import PowerBudget
from dynamic_dnn_ros.management.records import ApplicationRecord
from dynamic_dnn_ros.management.resource_level import Cause, Plan, ResourceLevel
from dynamic_dnn_ros.management.switch_reasons import SwitchReasons
from dynamic_dnn_ros.management.tables import ApplicationTable, IndexArray, JointTable, join
from dynamic_dnn_ros.management.targets import Objective, TargetStore, quantile_of


class Planner:
    """
    Keep the plan in force, and make the next one.

    `plan` is for the applications of `planned`, in that order; none while no application has a
    choice.

    :param objective: of applications that were asked for nothing; may be set at any time
    """

    def __init__(
        self,
        settings: ResourceSettings,
        objective: Objective,
        targets: TargetStore,
        platform: PlatformView,
        budget: PowerBudget,
        others: OtherPrograms | None = None,
    ) -> None:
        """Begin without a plan."""
        self.plan: Plan | None = None
        self.planned: tuple[str, ...] = ()
        self.objective = objective
        self._targets = targets
        self._platform = platform
        self._budget = budget
        self._others = others if others is not None else OtherPrograms()
        self._settings = settings
        self._resource = ResourceLevel(settings)
        self._joint: JointTable | None = None
        # Decided on last, in mode advise too, and again once the platform is heard again.
        self._intended: dict[str, float] | None = None
        self._reasons = SwitchReasons(settings)

    @property
    def unjoined(self) -> tuple[str, ...]:
        """Return the applications whose profile shares no setting with the others'."""
        return self._joint.unjoined if self._joint is not None else ()

    @property
    def power(self) -> float:
        """Return what the board is expected to take on the plan in force, W; NaN: not known."""
        if self.plan is None or not self.plan.evaluation.power_known:
            return math.nan
        return float(self.plan.evaluation.power[self.plan.row])

    @property
    def own_power(self) -> float:
        """Return the same without other programs, W."""
        beside = self.plan.problem.power_beside if self.plan is not None else None
        if beside is None or self.plan is None:
            return self.power
        return self.power - float(beside[self.plan.setting])

    @property
    def misses(self) -> bool:
        """Tell whether the plan in force misses a target, or takes more than it may."""
        if self.plan is None:
            return False
        found, row = self.plan.evaluation, self.plan.row
        missed = any(bool(each.shortfall[row] > 0.0) for each in found.applications)
        return missed or bool(found.excess[row] > 0.0)

    @property
    def power_profiled(self) -> bool:
        """Tell whether all profiles have figures of power."""
        return self._joint is not None and self._joint.has_power

    def note_change(self, now: float) -> None:
        """Note that an application was moved, though by no plan."""
        self._resource.note_change(now)

    def forget(self) -> None:
        """Drop the plan: no application has a choice."""
        self.plan, self.planned = None, ()
        self._joint, self._intended = None, None

    def make(
        self,
        records: Sequence[ApplicationRecord],
        now: float,
        fresh: SwitchReason | None,
        trying: Mapping[str, float] | None = None,
        tried: bool = False,
    ) -> tuple[bool, tuple[DomainFrequency, ...]]:
        """
        Plan for all applications that have a choice.

        :param fresh: what has changed of what is asked for or there to choose from; none: nothing
        :param trying: the only frequencies to choose, Hz by domain, where the clocks can be set
        :param tried: whether what is in force was only tried, so that leaving it costs nothing
        :return: whether the clocks can be set, and the frequencies decided on
        """
        seen = [
            record.seen(quantile_of(self._targets.get(record.application.id)))
            for record in records
        ]
        tables = tuple(table for table in seen if table is not None)
        if self._joint is None or self._joint.tables != tables:
            self._joint = join(tables, self._joint)
        joint = self._joint
        choice = self._platform.choice(joint, now)
        if trying is not None and choice.controllable:
            choice = replace(choice, settings=joint.nearest(trying, choice.settings))
        setting = self._setting_in_force(joint, choice)
        problem = self._problem(joint, choice, setting, records, now)
        incumbent = None
        if setting is not None and not tried:
            options = [table.option(*r.assignment.desired) for r, table in zip(records, tables)]
            incumbent = (setting, [option if option is not None else 0 for option in options])
        changing = any(record.assignment.changes(now) for record in records)
        preparations = [
            record.preparations(table.options) for record, table in zip(records, tables)
        ]
        plan = self._resource.decide(problem, incumbent, now, fresh, changing, preparations)
        if (trying is not None or tried) and plan.cause in (Cause.FIRST, Cause.OFFER):
            plan = replace(plan, cause=Cause.TRIED)
        self._adopt(plan, records, tables, fresh)
        frequencies = joint.frequencies(plan.setting)
        domains = tuple(
            DomainFrequency(name, snapped, snapped)
            for name, snapped in (
                (name, self._platform.snapped(name, frequencies[name]))
                for name in (choice.domains if choice.controllable else joint.domains)
            )
        )
        if choice.controllable:
            self._intended = {d.name: d.maximum for d in domains}
        return choice.controllable, domains

    def supposing(self, plan: Plan, record: ApplicationRecord, quantile: float) -> Problem:
        """Return the problem of a plan if latency of an application counted at a quantile."""
        problem, table = plan.problem, record.seen(quantile)
        index = self.planned.index(record.application.id)
        tables = list(problem.joint.tables)
        if table is None or table is tables[index] or not record.paths:
            return problem
        tables[index] = table
        demands = list(problem.demands)
        demands[index] = replace(demands[index], path_variation=record.path_variation(quantile))
        return replace(problem, joint=join(tables, problem.joint), demands=tuple(demands))

    def offenders(
        self, records: Sequence[ApplicationRecord], now: float
    ) -> dict[ApplicationRecord, Exception]:
        """Return the applications that no decision comes about with even alone, and why."""
        found = {}
        for record in records:
            try:
                table = record.seen(quantile_of(self._targets.get(record.application.id)))
                joint = join([table] if table is not None else [])
                settings = self._platform.choice(joint, now).settings
                problem = self._new_problem(joint, settings, [record], now)
                ResourceLevel(self._settings).decide(problem, None, now, None)
            except Exception as error:
                found[record] = error
        return found

    def _problem(
        self,
        joint: JointTable,
        choice: Choice,
        setting: int | None,
        records: Sequence[ApplicationRecord],
        now: float,
    ) -> Problem:
        """Return what is to be decided, the same object while nothing that matters changes."""
        settings = choice.settings
        if setting is not None and any(record.is_held(now) for record in records):
            settings = np.array([setting], dtype=np.int64)
        return steadied(
            self._new_problem(joint, settings, records, now),
            self.plan.problem if self.plan is not None else None,
        )

    def _new_problem(
        self,
        joint: JointTable,
        settings: IndexArray,
        records: Sequence[ApplicationRecord],
        now: float,
    ) -> Problem:
        demands = tuple(
            demand_of(
                record,
                table,
                joint.domains,
                self._targets.get(record.application.id),
                self.objective,
                now,
                self._platform.cores.number,
            )
            for record, table in zip(records, joint.tables)
        )
        beside = self._others.power if joint.has_power else None
        foreign = self._platform.foreign()
        return Problem(joint, settings, demands, foreign, self._cap(joint), beside)

    def _cap(self, joint: JointTable) -> float:
        """Return what plans may take, W; infinite where it bounds nothing."""
        budget = self._budget.budget
        # Figures of power that the profiles lack are no watts.
        return budget if joint.has_power and budget < joint.most_power else math.inf

    def _adopt(
        self,
        plan: Plan,
        records: Sequence[ApplicationRecord],
        tables: Sequence[ApplicationTable],
        fresh: SwitchReason | None,
    ) -> None:
        reason = self._reasons.of(plan, fresh)
        self.plan = plan
        self.planned = tuple(record.application.id for record in records)
        found = plan.evaluation.applications
        for a, (record, table) in enumerate(zip(records, tables)):
            record.assignment.decide(table.options[plan.option(a)], reason)
            # Frames are judged by what was predicted for them.
            record.learnt.queue(
                found[a].queueing(plan.row), plan.problem.demands[a].target.quantile
            )
            record.learnt.meet(float(found[a].contention[plan.row]))

    def _setting_in_force(self, joint: JointTable, choice: Choice) -> int | None:
        if not choice.controllable:
            return int(choice.settings[0])
        frequencies = self._intended
        load = self._platform.load
        if frequencies is None and load is not None and load.lease_manager:
            frequencies = {d.name: d.requested_maximum for d in load.domains}
        if not frequencies:
            return None
        at = np.array([joint.domains.index(name) for name in choice.domains], dtype=np.int64)
        wanted = np.array([frequencies.get(name, 0.0) for name in choice.domains]) / 1e3
        if not (wanted > 0).all():
            return None
        distance = np.abs(joint.settings[choice.settings][:, at] / wanted - 1).max(
            axis=1, initial=0.0
        )
        nearest = int(distance.argmin())
        return int(choice.settings[nearest]) if distance[nearest] < 1e-3 else None
