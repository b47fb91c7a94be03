# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The manager as one object: observations in, decisions out.

No clock is read: every call is told the time, so the same calls give the same decisions, in a
node and in a simulation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import ResourceSettings
from dynamic_dnn_ros.management.beside import OtherPrograms
from dynamic_dnn_ros.management.decisions import (
    Decision,
    DomainFrequency,
    Mode,
    PlatformState,
    SwitchReason,
    TargetReport,
)
from dynamic_dnn_ros.management.frames import Frames
from dynamic_dnn_ros.management.handover import Handover
from dynamic_dnn_ros.management.narrowing import WITHIN
from dynamic_dnn_ros.management.no_profile.learner import Learner
from dynamic_dnn_ros.management.no_profile.memory import Memory
from dynamic_dnn_ros.management.observations import Application, Load, Status, StatusEvent
from dynamic_dnn_ros.management.planning import Planner
from dynamic_dnn_ros.management.platform_view import PlatformView
from dynamic_dnn_ros.management.power_budget import PowerBudget
from dynamic_dnn_ros.management.questions import answered, unanswerable
from dynamic_dnn_ros.management.records import ApplicationRecord, Registry
from dynamic_dnn_ros.management.reports import Reporter
from dynamic_dnn_ros.management.targets import Objective, Target, TargetError, TargetStore

SETTLING = 1.0
"""Seconds that the platform is given to report a new setting as its own."""


@dataclass(frozen=True)
class ManagerSettings:
    """
    How a manager works.

    `adoption` seconds for which it learns before it moves an application that another manager
    had set, or that was asked for nothing; `application_dwell` seconds between two moves of the
    application level; `default_objective` of applications that were asked for nothing; `floors`
    hertz by domain; `power_cap` W of the whole board, `temperature_limit` degrees Celsius;
    `learns` the figures of applications without a profile, trying settings of the clocks;
    `decider_file` is that of a decider that was trained, empty: none.
    """

    mode: Mode = Mode.CONTROL
    resource: ResourceSettings = field(default_factory=ResourceSettings)
    adoption: float = 3.0
    application_dwell: float = 1.0
    default_objective: Objective = Objective.MAXIMUM_ACCURACY
    floors: dict[str, float] = field(default_factory=dict)
    power_cap: float = math.inf
    temperature_limit: float = math.inf
    learns: bool = True
    decider_file: str = ''


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
        self._others = OtherPrograms()
        self._registry = Registry(self.settings.application_dwell)
        self._planner = Planner(
            self.settings.resource,
            self.settings.default_objective,
            self.targets,
            self.platform,
            self._budget,
            self._others,
        )
        self._frames = Frames(self.targets, self._planner)
        self._handover = Handover(instance, self._registry, self.targets, self._planner)
        self._reporter = Reporter(self.settings.resource)
        self._learner = Learner(self.settings.resource) if self.settings.learns else None
        self._frequencies: dict[str, float] | None = None  # asked of the platform
        self._settling_until = -math.inf
        self._fresh: SwitchReason | None = None

    # What the manager is told.

    def adjust(self, settings: ManagerSettings) -> None:
        """
        Work by other settings from the next decision on.

        What is known of applications and platform stays, and so do `resource` and
        `application_dwell`.
        """
        before = self.settings
        self.settings = replace(
            settings, resource=before.resource, application_dwell=before.application_dwell
        )
        if self.settings == before:
            return
        self._budget.limit(settings.power_cap, settings.temperature_limit)
        self.platform.allow(settings.floors)
        self._planner.objective = settings.default_objective
        # What the operator wishes is asked for as a target is.
        self._fresh = SwitchReason.TARGET

    def add_application(self, application: Application, now: float) -> bool:
        """
        Take what an application says of itself; a departed one is forgotten.

        :return: whether to decide at once
        """
        echo = application.target
        if echo is not None and echo.application == application.id:
            if self.targets.adopt(echo):
                self.targets.forget_absent({*self._registry, echo.application})
                self._fresh = SwitchReason.APPLICATION
        if self._learner is not None:
            application = self._learner.present(application)
        record, changed = self._registry.add(application, now)
        if record is not None:
            self._begin(record, now)
        if changed:
            self._ask_anew()
            self._fresh = SwitchReason.APPLICATION
        return changed

    def remove_application(self, name: str) -> bool:
        """Forget an application, not its target; tell whether to decide at once."""
        removed = self._registry.remove(name)
        if self._learner is not None:
            self._learner.remove(name)
        if removed:
            self._ask_anew()
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
        self.targets.forget_absent(set(self._registry))
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
        self.targets.forget_absent(set(self._registry))
        self._reporter.accept(application)
        self._target_changed(application)

    def ask(self, target: Target, now: float) -> TargetReport:
        """Tell what would become of a target that is not set; nothing is changed by it."""
        name, plan, planned = target.application, self._planner.plan, self._planner.planned
        if plan is None or name not in planned:
            return unanswerable(
                target,
                f'{name} is not there, not active, has no profile for this platform, or has not '
                'been decided for yet.',
            )
        index, record = planned.index(name), self._registry.get(name)
        problem = plan.problem
        if record is not None:
            problem = self._planner.supposing(plan, record, target.quantile)
        if record is not None and record.is_held(now):
            # A target would end that it is left alone.
            options = problem.joint.tables[index].options
            usable = np.array([not record.is_excluded(option, now) for option in options])
            demands = list(problem.demands)
            demands[index] = replace(demands[index], usable=usable)
            problem = replace(problem, demands=tuple(demands))
        return answered(
            problem,
            index,
            target,
            self.settings.resource,
            self._planner.power,
            record.application.metric if record is not None else '',
        )

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
        record.learnt.measurements.count(status, now)
        self.platform.cores.hear(status, now)
        if status.event is StatusEvent.SERVED:
            settling = now < self._settling_until
            if self._learner is not None:
                self._learner.hear_frame(status, record.learnt.contention, now)
            return self._frames.served(record, status, self._running(now), settling, now) or new
        if status.event is StatusEvent.SWITCH:
            refused = self._handover.answered(record, status, now)
            if refused:
                self._fresh = SwitchReason.APPLICATION
            return refused or new
        if status.event is StatusEvent.HEARTBEAT:
            record.assignment.serve((status.sub_network, status.processor))
        return new

    def observe_load(self, load: Load, now: float) -> bool:
        """Take a load of the platform; tell whether to decide at once."""
        unknown = self.platform.load is None
        changed = self.platform.observe(load, now)
        if self._learner is not None and self.platform.load is load:
            self._learner.hear_load(load, now)
        if unknown:
            # Frames were judged as if the clocks were at their highest.
            self._learn_anew(self._records(), now)
        if now < self._settling_until and self._frequencies is not None:
            domains = {d.name: d for d in load.domains}
            if all(
                name in domains and abs(domains[name].requested_maximum / wanted - 1) < 1e-3
                for name, wanted in self._frequencies.items()
                if name in domains and domains[name].available
            ):
                self._settling_until = -math.inf
                for name in self._registry:
                    self._registry[name].learnt.restart()
        settled = now >= self._settling_until and self.platform.load is load
        if self.platform.offer_changed and self._fresh is None:
            self._fresh = SwitchReason.PLATFORM
        # A plan beyond what it may take waits for nothing anyway; what may be more, for the dwell.
        if self.platform.load is load:
            self._others.observe(load, self._planner.own_power, settled, now)
        bounded = self._budget.observe(load, self._planner.power, settled, now)
        return changed or bounded or self.platform.foreign_rose

    def remember(self, memories: Iterable[Memory]) -> None:
        """Take up what earlier managers learnt of bundles without a profile."""
        if self._learner is not None:
            self._learner.remember(memories)

    def memories(self) -> list[Memory]:
        """Return what was learnt of bundles without a profile, to be kept."""
        return self._learner.memories() if self._learner is not None else []

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
        self._renew(now)
        controllable, domains = self._plan(now)
        self._fresh = None
        for name in self._registry:
            if name not in self._planner.planned:
                self._registry[name].assignment.leave()
        control = self.settings.mode is Mode.CONTROL
        switches = self._handover.due(now) if control else ()
        setting = domains if controllable and control else None
        self._follow(setting, now)
        return Decision(
            now,
            switches,
            domains,
            setting,
            (),
            self.platform.state(now),
            self._planner.power,
            self._message(now),
        )

    def reported(self, decision: Decision) -> Decision:
        """Return the last decision with how each target stands, and why."""
        reports = self._reporter.reports(
            self._registry,
            self.targets,
            self._planner.plan,
            self._planner.planned,
            self.settings.mode is Mode.CONTROL,
            decision.time,
        )
        return replace(decision, reports=reports)

    # How it is done.

    def _plan(self, now: float) -> tuple[bool, tuple[DomainFrequency, ...]]:
        """
        Plan for all that have a choice; who makes that fail is left out, and costs nobody else.

        :return: whether the clocks can be set, and the frequencies decided on
        """
        while True:
            every = (self._registry[name] for name in self._registry)
            records = [record for record in every if record.has_choice(now)]
            if not records:
                self._planner.forget()
                return False, ()
            try:
                return self._planned(records, now)
            except Exception as error:
                offenders = self._planner.offenders(records, now)
                if not offenders:
                    # Each alone can be decided for: who came last to those that are served.
                    offenders = {max(records, key=lambda r: r.application.started): error}
                self._planner.forget()
                for record, problem in offenders.items():
                    record.leave_out(now, f'{type(problem).__name__}: {problem}')

    def _planned(
        self, records: list[ApplicationRecord], now: float
    ) -> tuple[bool, tuple[DomainFrequency, ...]]:
        """Plan; now and then with a setting that is tried for what it teaches."""
        learner, planner = self._learner, self._planner
        if learner is None:
            return planner.make(records, now, self._fresh)
        before = learner.trying
        if self._fresh is not None or self.platform.foreign_rose:
            learner.give_up()
        free = self.settings.mode is Mode.CONTROL and not any(
            record.is_held(now) or record.assignment.changes(now) for record in records
        )
        same = planner.planned == tuple(record.application.id for record in records)
        if self._fresh is None and same and self.platform.is_fresh(now):
            learner.consider(planner.plan, free, now)
        tried = before is not None and learner.trying is None
        made = planner.make(records, now, self._fresh, learner.trying, tried)
        if learner.trying is not None and planner.misses:
            learner.give_up()
            made = planner.make(records, now, self._fresh, tried=True)
        return made

    def _renew(self, now: float) -> None:
        """Take over what was learnt of applications without a profile."""
        if self._learner is None:
            return
        for application in self._learner.renewed(now, self.platform.cores.number):
            record = self._registry.get(application.id)
            if record is not None and record.application.instance == application.instance:
                record.renew(application, self._running(now))

    def _ask_anew(self) -> None:
        """Have settings tried that were not worth it for what was asked for before."""
        if self._learner is not None:
            self._learner.ask_anew()

    def _begin(self, record: ApplicationRecord, now: float) -> None:
        record.adopted = record.application.switch_manager not in ('', self.instance)
        self._hold(record, now)
        if record.adopted:
            # It served before it was known, so what the others took for their slow-down was its
            # turn of the processor.
            self._learn_anew([r for r in self._records() if r is not record], now)

    def _records(self) -> list[ApplicationRecord]:
        return [self._registry[name] for name in self._registry]

    def _hold(self, record: ApplicationRecord, now: float) -> None:
        if record.adopted or self.targets.get(record.application.id) is None:
            record.hold(now, self.settings.adoption)

    def _learn_anew(self, records: Iterable[ApplicationRecord], now: float) -> None:
        """Drop what frames taught of circumstances that were not known, and learn again."""
        for record in records:
            if record.learnt.slow_down.observations:
                record.learnt.forget()
                record.learnt.restart()
                self._hold(record, now)

    def _target_changed(self, name: str) -> None:
        self._ask_anew()
        self._fresh = SwitchReason.TARGET
        record = self._registry.get(name)
        if record is not None:
            record.adopted = False
            record.release()
            record.readmit()

    def _running(self, now: float) -> dict[str, float]:
        """Return the frequencies that the platform is thought to run at, Hz by domain."""
        running = dict(self._frequencies or {})
        if self.platform.state(now) is not PlatformState.NONE:
            running.update(self.platform.granted())
        return running

    def _follow(self, setting: tuple[DomainFrequency, ...] | None, now: float) -> None:
        frequencies = {d.name: d.maximum for d in setting} if setting is not None else None
        if frequencies != self._frequencies:
            self._frequencies = frequencies
            self._settling_until = now + SETTLING

    def _message(self, now: float) -> str:
        parts = []
        if self.platform.state(now) is PlatformState.STALE:
            parts.append(
                'The platform node is silent: the clocks are given back and only sub-networks are '
                'chosen. Check that it runs.'
            )
        load = self.platform.load
        if load is not None and load.setting_result >= 10:
            if load.setting_manager == self.instance:
                parts.append(f'The platform refused the last setting: {load.setting_message}')
        parts += self._message_of_power()
        learnt = self._learner.message() if self._learner is not None else ''
        parts += [learnt] if learnt else []
        if self._planner.unjoined:
            parts.append(
                f'The profiles of {", ".join(self._planner.unjoined)} share no setting of the '
                'frequencies with the others, or too many. Profile all bundles with the same '
                'settings.'
            )
        return ' '.join(parts)

    def _message_of_power(self) -> list[str]:
        plan, budget = self._planner.plan, self._budget.budget
        parts = [self._budget.message] if self._budget.message else []
        if budget == math.inf or plan is None:
            return parts
        if not self._planner.power_profiled:
            # What only the power mode asks for, the board sees to.
            if min(self.settings.power_cap, self.settings.temperature_limit) < math.inf:
                parts.append(
                    'The profiles have no power, so no cap of it can be kept. Profile on a '
                    'platform with power sensors.'
                )
        elif self._planner.power > budget * (1 + WITHIN):
            parts.append(
                f'No setting takes as little as the {budget:.3g} W that plans may take: the '
                'least is chosen.'
            )
        return parts
