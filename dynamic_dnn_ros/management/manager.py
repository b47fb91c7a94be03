# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The manager as one object: observations in, decisions out.

No clock is read: every call is told the time, so the same calls give the same decisions, in a
node and in a simulation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import WORST, Problem, ResourceSettings
from dynamic_dnn_ros.management.decisions import (
    Decision,
    DomainFrequency,
    Mode,
    PlatformState,
    Switch,
    SwitchReason,
    TargetReport,
)
from dynamic_dnn_ros.management.demands import demand_of, steadied
from dynamic_dnn_ros.management.measurements import ENOUGH
from dynamic_dnn_ros.management.narrowing import WITHIN
from dynamic_dnn_ros.management.observations import (
    SWITCH_APPLIED,
    SWITCH_FAILED,
    SWITCH_REFUSED_PROCESSOR,
    SWITCH_REFUSED_SUB_NETWORK,
    Application,
    Load,
    Status,
    StatusEvent,
)
from dynamic_dnn_ros.management.platform_view import Choice, PlatformView
from dynamic_dnn_ros.management.power_budget import PowerBudget
from dynamic_dnn_ros.management.questions import answered, unanswerable
from dynamic_dnn_ros.management.records import Option, Record, Registry, is_handed_over
from dynamic_dnn_ros.management.reports import Reporter, prediction
from dynamic_dnn_ros.management.resource_level import Cause, Plan, ResourceLevel
from dynamic_dnn_ros.management.tables import ApplicationTable, JointTable, join
from dynamic_dnn_ros.management.targets import Objective, Target, TargetError, TargetStore

SETTLING = 1.0
"""Seconds that the platform is given to report a new setting as its own."""

RESEND_AFTER = 1.0
"""Seconds after which a switch that was not acknowledged is sent again."""

RETRY_FAILED = 30.0
"""Seconds for which an option is left out that the application could not prepare."""


@dataclass(frozen=True)
class ManagerSettings:
    """
    How a manager works.

    `adoption` seconds for which it learns before it moves an application that another manager
    had set, or that was asked for nothing; `application_dwell` seconds between two moves of the
    application level; `default_objective` of applications that were asked for nothing; `floors`
    hertz by domain; `power_cap` W of the whole board, `temperature_limit` degrees Celsius.
    """

    mode: Mode = Mode.CONTROL
    resource: ResourceSettings = field(default_factory=ResourceSettings)
    adoption: float = 3.0
    application_dwell: float = 1.0
    default_objective: Objective = Objective.MAXIMUM_ACCURACY
    floors: dict[str, float] = field(default_factory=dict)
    power_cap: float = math.inf
    temperature_limit: float = math.inf


class Manager:
    """
    Choose sub-networks and frequencies for all applications.

    :param instance: of this manager, new at each start; marks its switches
    """

    def __init__(self, instance: str, settings: ManagerSettings | None = None) -> None:
        """Begin with no application, no target and no platform."""
        self.instance = instance
        self.settings = settings or ManagerSettings()
        self.targets = TargetStore()
        self.platform = PlatformView(self.settings.floors)
        self._budget = PowerBudget(self.settings.power_cap, self.settings.temperature_limit)
        self._registry = Registry(self.settings.application_dwell)
        self._resource = ResourceLevel(self.settings.resource)
        self._reporter = Reporter(self.settings.resource)
        self._joint: JointTable | None = None
        self._plan: Plan | None = None
        self._planned: tuple[str, ...] = ()
        self._intended: dict[str, float] | None = None  # decided on, in mode advise too
        self._frequencies: dict[str, float] | None = None  # asked of the platform
        self._settling_until = -math.inf
        self._sequences: dict[str, int] = {}
        self._fresh: SwitchReason | None = None

    # What the manager is told.

    def add_application(self, application: Application, now: float) -> bool:
        """
        Take what an application says of itself; a departed one is forgotten.

        :return: whether to decide at once
        """
        echo = application.target
        if echo is not None and echo.application == application.id:
            if self.targets.adopt(echo):
                self._fresh = SwitchReason.APPLICATION
        record, changed = self._registry.add(application, now)
        if record is not None:
            self._begin(record, now)
        if changed:
            self._fresh = SwitchReason.APPLICATION
        return changed

    def remove_application(self, name: str) -> bool:
        """Forget an application, not its target; tell whether to decide at once."""
        removed = self._registry.remove(name)
        if removed:
            self._fresh = SwitchReason.APPLICATION
        return removed

    def set_target(self, target: Target, arrival: int) -> Target:
        """
        Put a target into force.

        :param arrival: when it arrived, nanoseconds of the clock of its stamp
        :return: the target as it is kept
        :raises TargetError: when a later one is in force; the answer is in the next decision
        """
        before = self.targets.get(target.application)
        try:
            kept = self.targets.set(target, arrival)
        except TargetError as error:
            self._reporter.refuse(target.application, target.sender, error)
            raise
        self._reporter.accept(target.application)
        if not kept.asks_the_same(before):
            self._target_changed(target.application)
        return kept

    def clear_target(self, application: str, stamp: int, arrival: int, sender: str = '') -> None:
        """
        Withdraw a target.

        :raises TargetError: when a later one is in force, or the name is none
        """
        try:
            self.targets.clear(application, stamp, arrival)
        except TargetError as error:
            self._reporter.refuse(application, sender, error)
            raise
        self._reporter.accept(application)
        self._target_changed(application)

    def ask(self, target: Target) -> TargetReport:
        """Tell what would become of a target that is not set; nothing is changed by it."""
        name = target.application
        if self._plan is None or name not in self._planned:
            return unanswerable(
                target,
                f'{name} is not there, not active, has no profile for this platform, or has not '
                'been decided for yet.',
            )
        index = self._planned.index(name)
        return answered(self._plan.problem, index, target, self.settings.resource, self._power())

    def refuse_target(self, application: str, sender: str, error: TargetError) -> None:
        """Note a target that could not be read, so that the next decision answers it."""
        self._reporter.refuse(application, sender, error)

    def observe(self, status: Status, now: float) -> bool:
        """Take a status of an application; tell whether to decide at once."""
        record, new = self._registry.hear(status.application, status.instance, now)
        if record is None:
            return False
        if new:
            self._begin(record, now)
            self._fresh = SwitchReason.APPLICATION
        record.measurements.count(status, now)
        if status.event is StatusEvent.SERVED:
            return self._observe_frame(record, status, now) or new
        if status.event is StatusEvent.SWITCH:
            return self._observe_answer(record, status, now) or new
        if status.event is StatusEvent.HEARTBEAT and record.outstanding is None:
            record.actual = (status.sub_network, status.processor)
        return new

    def observe_load(self, load: Load, now: float) -> bool:
        """Take a load of the platform; tell whether to decide at once."""
        changed = self.platform.observe(load, now)
        if now < self._settling_until and self._frequencies is not None:
            domains = {d.name: d for d in load.domains}
            if all(
                name in domains and abs(domains[name].requested_maximum / wanted - 1) < 1e-3
                for name, wanted in self._frequencies.items()
                if name in domains and domains[name].available
            ):
                self._settling_until = -math.inf
                for name in self._registry:
                    # A frame may have been in work when the clocks changed.
                    self._registry[name].skip = 1
                    self._registry[name].measurements.restart()
        settled = now >= self._settling_until and self.platform.load is load
        changed |= self._budget.observe(load, self._power(), settled, now)
        if changed and self._fresh is None:
            self._fresh = SwitchReason.PLATFORM
        return changed or self.platform.foreign_rose

    @property
    def applications(self) -> tuple[str, ...]:
        """Return the ids of the applications that are there."""
        return tuple(self._registry)

    @property
    def power_budget(self) -> float:
        """Return what plans may take of the board by their prediction, W; infinite: any."""
        return self._budget.budget

    # What the manager decides.

    def decide(self, now: float) -> Decision:
        """
        Decide for all applications, and report on each.

        To be called twice a second, and at once when a call above returns true or a target was
        set or cleared.
        """
        return self.reported(self.choose(now))

    def choose(self, now: float) -> Decision:
        """Decide without reports: all that is to be sent, as early as it can be."""
        if self._registry.drop_silent(now):
            self._fresh = SwitchReason.APPLICATION
        records = [
            record
            for record in (self._registry[name] for name in self._registry)
            if record.has_choice(now)
        ]
        controllable = False
        domains: tuple[DomainFrequency, ...] = ()
        if records:
            controllable, domains = self._plan_for(records, now)
        else:
            self._plan, self._planned, self._joint = None, (), None
        self._fresh = None
        for name in self._registry:
            record = self._registry[name]
            if name not in self._planned:
                record.desired = record.actual
        control = self.settings.mode is Mode.CONTROL
        switches = tuple(self._switches(now)) if control else ()
        setting = domains if controllable and control else None
        self._intended = {d.name: d.maximum for d in domains} if controllable else None
        self._follow(setting, now)
        return Decision(
            now,
            switches,
            domains,
            setting,
            (),
            self.platform.state(now),
            self._power(),
            self._message(now),
        )

    def reported(self, decision: Decision) -> Decision:
        """Return the last decision with how each target stands, and why."""
        reports = self._reporter.reports(
            self._registry,
            self.targets,
            self._plan,
            self._planned,
            self.settings.mode is Mode.CONTROL,
            decision.time,
        )
        return replace(decision, reports=reports)

    # How it is done.

    def _begin(self, record: Record, now: float) -> None:
        set_by_another = record.application.switch_manager not in ('', self.instance)
        if set_by_another or self.targets.get(record.application.id) is None:
            record.held_until = now + self.settings.adoption

    def _target_changed(self, name: str) -> None:
        self._fresh = SwitchReason.TARGET
        record = self._registry.get(name)
        if record is not None:
            record.held_until = -math.inf

    def _observe_frame(self, record: Record, status: Status, now: float) -> bool:
        told = math.isfinite(status.total) and 0 < status.service < math.inf
        if status.overrun or not told:
            record.behind_overrun = True
            return False
        if record.behind_overrun:
            # It may have waited for a frame that is no figure of the board.
            record.behind_overrun = False
            return False
        pair: Option = (status.sub_network, status.processor)
        if pair != record.last_frame:
            record.last_frame = pair
            record.measurements.restart()
            record.skip = max(record.skip, 1)
        rate = record.measurements.camera_rate
        record.measurements.frame(status, 1 / rate if rate > 0 else math.inf)
        if record.skip or now < self._settling_until:
            record.skip = max(record.skip - 1, 0)
            return False
        table = record.table
        option = table.option(*pair) if table is not None else None
        if table is None or option is None:
            return False
        row = table.nearest_row(self._running(now))
        expected = table.mean[row, option] * record.contention
        if not expected > 0:
            return False
        spread = (table.p95[row, option] - table.p50[row, option]) / 1.645
        # No frame is that slow; the square of what a broken clock says may be out of range.
        ratio = min(float(status.service / expected), WORST)
        # Whatever the frame before gave reason to suspect, this one tells.
        record.suspected = 0.0
        reacts = self._react(record, table, row, option, ratio, status.total, now)
        dispersion = float(max(spread, 0.0) / table.mean[row, option])
        stepped = record.slow_down.update(ratio, dispersion)
        if stepped:
            record.level.confirm()
        if record.slow_down.observations == ENOUGH:
            record.held_until = -math.inf
        return reacts or stepped

    def _react(
        self,
        record: Record,
        table: ApplicationTable,
        row: int,
        option: int,
        ratio: float,
        total: float,
        now: float,
    ) -> bool:
        target = self.targets.get(record.application.id)
        settled = record.outstanding is None and table.options[option] == record.desired
        if target is None or not settled or record.is_held(now):
            return False
        if not 0 < target.latency < total:
            return False
        demand = demand_of(record, table, (), target, self.settings.default_objective, now)
        reaction = record.level.react(table, row, option, demand, ratio, total, now)
        if reaction is None:
            return False
        if reaction.suspected is not None:
            record.suspected = reaction.suspected
        if reaction.option is not None:
            record.desired = table.options[reaction.option]
            record.reason = SwitchReason.MEASUREMENT
            self._resource.note_change(now)
        return True

    def _observe_answer(self, record: Record, status: Status, now: float) -> bool:
        if status.switch_manager != self.instance:
            if status.switch_result == SWITCH_APPLIED:
                # By hand: stays until something is better by more than a change costs.
                record.actual = record.desired = (status.sub_network, status.processor)
                # Whatever target it carried is told by the application itself.
                record.echo, record.answered = None, None
                self._resource.note_change(now)
            return False
        outstanding = record.outstanding
        if outstanding is None or status.switch_sequence != outstanding.sequence:
            return False
        record.outstanding = None
        if status.switch_result == SWITCH_APPLIED:
            record.actual = (status.sub_network, status.processor)
            record.echo = outstanding.target
            record.answered = (self.instance, outstanding.sequence)
            return False
        pair: Option = (outstanding.sub_network, outstanding.processor)
        options = record.table.options if record.table is not None else ()
        if status.switch_result == SWITCH_REFUSED_SUB_NETWORK:
            record.exclude([o for o in options if o[0] == pair[0]], math.inf, status.message)
        elif status.switch_result == SWITCH_REFUSED_PROCESSOR:
            record.exclude([o for o in options if o[1] == pair[1]], math.inf, status.message)
        elif status.switch_result == SWITCH_FAILED:
            record.exclude([pair], now + RETRY_FAILED, status.message)
        record.desired = record.actual
        self._fresh = SwitchReason.APPLICATION
        return True

    def _power(self) -> float:
        """Return what the board is expected to take on the plan in force, W; NaN: not known."""
        if self._plan is None or not self._plan.evaluation.power_known:
            return math.nan
        return float(self._plan.evaluation.power[self._plan.row])

    def _running(self, now: float) -> dict[str, float]:
        """Return the frequencies that the platform is thought to run at, Hz by domain."""
        running = dict(self._frequencies or {})
        if self.platform.state(now) is not PlatformState.NONE:
            running.update(self.platform.granted())
        return running

    def _plan_for(
        self, records: list[Record], now: float
    ) -> tuple[bool, tuple[DomainFrequency, ...]]:
        tables = tuple(record.table for record in records if record.table is not None)
        if self._joint is None or self._joint.tables != tables:
            self._joint = join(tables, self._joint)
        joint = self._joint
        choice = self.platform.choice(joint, now)
        setting = self._setting_in_force(joint, choice)
        settings = choice.settings
        if setting is not None and any(record.is_held(now) for record in records):
            settings = np.array([setting], dtype=np.int64)
        objective = self.settings.default_objective
        # Figures of power that the profiles lack are no watts.
        known = all(np.isfinite(table.power).any() for table in tables)
        cap = self._budget.budget if known else math.inf
        demands = tuple(
            demand_of(
                record,
                table,
                joint.domains,
                self.targets.get(record.application.id),
                objective,
                now,
            )
            for record, table in zip(records, tables)
        )
        problem = steadied(
            Problem(joint, settings, demands, self.platform.foreign(), cap),
            self._plan.problem if self._plan is not None else None,
        )
        incumbent = None
        if setting is not None:
            options = [table.option(*r.desired) for r, table in zip(records, tables)]
            incumbent = (setting, [option if option is not None else 0 for option in options])
        plan = self._resource.decide(problem, incumbent, now, self._fresh is not None)
        self._adopt_plan(plan, records, tables)
        frequencies = joint.frequencies(plan.setting)
        domains = tuple(
            DomainFrequency(name, snapped, snapped)
            for name, snapped in (
                (name, self.platform.snapped(name, frequencies[name]))
                for name in (choice.domains if choice.controllable else joint.domains)
            )
        )
        return choice.controllable, domains

    def _adopt_plan(
        self, plan: Plan, records: list[Record], tables: tuple[ApplicationTable, ...]
    ) -> None:
        self._plan = plan
        self._planned = tuple(record.application.id for record in records)
        busy = [float(found.busy[plan.row]) for found in plan.evaluation.applications]
        chosen = [table.options[plan.option(a)] for a, table in enumerate(tables)]
        for a, record in enumerate(records):
            if chosen[a] != record.desired:
                record.desired = chosen[a]
                record.reason = self._fresh or _REASONS[plan.cause]
            record.contention = 1.0 + sum(
                min(busy[b], 1.0)
                for b in range(len(records))
                if b != a and chosen[b][1] == chosen[a][1]
            )

    def _setting_in_force(self, joint: JointTable, choice: Choice) -> int | None:
        if not choice.controllable:
            return int(choice.settings[0])
        frequencies = self._intended
        load = self.platform.load
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

    def _switches(self, now: float) -> list[Switch]:
        switches = []
        for name in self._registry:
            record = self._registry[name]
            target = self.targets.get(name)
            if not record.serves or not record.desired[0]:
                continue
            waiting = record.outstanding
            if waiting is None:
                if record.desired == record.actual and is_handed_over(target, record.echo):
                    continue
            elif (
                (waiting.sub_network, waiting.processor) == record.desired
                and is_handed_over(target, waiting.target)
                and now - record.sent < RESEND_AFTER
            ):
                continue
            reason = record.reason
            if record.desired == record.actual and waiting is None:
                reason = SwitchReason.TARGET_ECHO
            self._sequences[name] = self._sequences.get(name, 0) + 1
            switch = Switch(
                name,
                self._sequences[name],
                *record.desired,
                reason,
                prediction(self._plan, self._planned, name, record),
                target,
            )
            record.outstanding = switch
            record.sent = now
            switches.append(switch)
        return switches

    def _follow(self, setting: tuple[DomainFrequency, ...] | None, now: float) -> None:
        frequencies = {d.name: d.maximum for d in setting} if setting is not None else None
        if frequencies != self._frequencies:
            self._frequencies = frequencies
            self._settling_until = now + SETTLING

    def _message(self, now: float) -> str:
        parts = []
        if self.platform.state(now) is PlatformState.STALE:
            parts.append(
                'system_load is older than three periods: the clocks are given back and only '
                'sub-networks are chosen. Check that the platform node runs.'
            )
        load = self.platform.load
        if load is not None and load.setting_result >= 10:
            if load.setting_manager == self.instance:
                parts.append(f'The platform refused the last setting: {load.setting_message}')
        parts += self._message_of_power()
        if self._joint is not None and self._joint.unjoined:
            parts.append(
                f'The profiles of {", ".join(self._joint.unjoined)} share no setting of the '
                'frequencies with the others. Profile all bundles with the same settings.'
            )
        return ' '.join(parts)

    def _message_of_power(self) -> list[str]:
        plan, budget = self._plan, self._budget.budget
        parts = [self._budget.message] if self._budget.message else []
        if budget == math.inf or plan is None:
            return parts
        if plan.problem.power_cap == math.inf:
            parts.append(
                'The profiles have no power, so no cap of it can be kept. Profile on a platform '
                'with power sensors.'
            )
        elif self._power() > budget * (1 + WITHIN):
            parts.append(
                f'No setting takes as little as the {budget:.3g} W that plans may take: the '
                'least is chosen.'
            )
        return parts


_REASONS = {
    Cause.KEPT: SwitchReason.MEASUREMENT,
    Cause.FIRST: SwitchReason.APPLICATION,
    Cause.PLATFORM: SwitchReason.PLATFORM,
    Cause.MISSED: SwitchReason.MEASUREMENT,
    Cause.NEARER: SwitchReason.MEASUREMENT,
    Cause.OBJECTIVE: SwitchReason.ENERGY,
    Cause.ENERGY: SwitchReason.ENERGY,
}
