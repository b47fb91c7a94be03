# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all baselines share: applications, targets, the load, and what there is to choose from."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import replace
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.baselines.judge import Judge
from dynamic_dnn_ros.management.decisions import (
    Decision,
    DomainFrequency,
    Mode,
    PlatformState,
    Prediction,
    Switch,
    SwitchReason,
    TargetReport,
)
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.observations import Application, Load, Status, StatusEvent
from dynamic_dnn_ros.management.questions import unanswerable
from dynamic_dnn_ros.management.tables import ApplicationTable, Grid, Option, application_table
from dynamic_dnn_ros.management.targets import Target, TargetError, TargetStore

SETTLED = 0.25
"""Seconds after a change of clocks until frames and power are those of the new ones alone."""


class Baseline(abc.ABC):
    """A manager that is told everything and chooses as its kind does."""

    def __init__(self, instance: str, settings: ManagerSettings | None = None) -> None:
        """
        Begin with no application, no target and no platform.

        Of the settings only the mode counts: a baseline knows no dwell, margin, floor or cap.
        """
        self.instance = instance
        self.settings = settings or ManagerSettings()
        self.targets = TargetStore()
        self.applications: dict[str, Application] = {}
        self.tables: dict[str, ApplicationTable] = {}
        self.serving: dict[str, Option] = {}
        self.load: Load | None = None
        self._judge = Judge()
        self._told: dict[str, tuple[Option, Target | None]] = {}
        self._sequence = 0

    def adjust(self, settings: ManagerSettings) -> None:
        """Take over the mode."""
        self.settings = settings

    @abc.abstractmethod
    def pick(self, now: float) -> tuple[Mapping[str, Option], Mapping[str, float] | None]:
        """Return the option of each application, and clocks, Hz by domain; none: governors."""

    def served(self, application: str, status: Status, now: float) -> bool:
        """Take a served frame; tell whether to decide at once."""
        return False

    def add_application(self, application: Application, now: float) -> bool:
        """Take what an application says of itself."""
        before = self.applications.get(application.id)
        echo = application.target
        if echo is not None and echo.application == application.id:
            self.targets.adopt(echo)
        self.applications[application.id] = application
        if (
            before is None
            or before.operating_points is not application.operating_points
            or before.accuracies != application.accuracies
        ):
            self.tables[application.id] = application_table(application)
        self.serving[application.id] = (application.sub_network, application.processor)
        if before is None:
            self._told.pop(application.id, None)
        return before is None

    def remove_application(self, name: str) -> bool:
        """Forget an application."""
        self.serving.pop(name, None)
        return self.applications.pop(name, None) is not None

    def set_target(self, target: Target, arrival: int) -> Target:
        """Put a target into force."""
        kept = self.targets.set(target, arrival)
        self._judge.accept(target.application)
        return kept

    def clear_target(self, application: str, stamp: int, arrival: int, sender: str = '') -> None:
        """Withdraw a target."""
        self.targets.clear(application, stamp, arrival)
        self._judge.accept(application)

    def ask(self, target: Target, now: float) -> TargetReport:
        """Answer that nothing can be said: a baseline predicts nothing for others to read."""
        return unanswerable(target, 'the decider that is chosen predicts nothing.')

    def refuse_target(self, application: str, sender: str, error: TargetError) -> None:
        """Note a target that could not be read."""
        self._judge.refuse(application, error)

    def observe(self, status: Status, now: float) -> bool:
        """Take a status of an application."""
        if status.application not in self.applications or status.event is not StatusEvent.SERVED:
            return False
        self._judge.frame(status)
        return self.served(status.application, status, now)

    def observe_load(self, load: Load, now: float) -> bool:
        """Take a load of the platform."""
        changed = self.load is None or [d.limit_maximum for d in self.load.domains] != [
            d.limit_maximum for d in load.domains
        ]
        self.load = load
        return changed

    def decide(self, now: float) -> Decision:
        """Choose, and say what changes; `reported` tells how targets stand."""
        return self.choose(now)

    def reported(self, decision: Decision) -> Decision:
        """Return the last decision with each target beside what was measured."""
        accuracies = {name: app.accuracies for name, app in self.applications.items()}
        return replace(
            decision, reports=self._judge.reports(self.serving, accuracies, self.targets)
        )

    def choose(self, now: float) -> Decision:
        """Choose, and say what changes."""
        options, clocks = self.pick(now)
        if self.settings.mode is Mode.ADVISE:
            options = {}
        switches = []
        for name, option in options.items():
            target = self.targets.get(name)
            if self._told.get(name) == (option, target) or name not in self.applications:
                continue
            if option == self.serving[name] and name not in self._told and target is None:
                continue
            self._told[name] = (option, target)
            self._sequence += 1
            switches.append(
                Switch(
                    name, self._sequence, *option, SwitchReason.ENERGY, Prediction(*option), target
                )
            )
        setting = None
        if clocks is not None:
            setting = tuple(DomainFrequency(name, f, f) for name, f in clocks.items())
        state = PlatformState.FRESH if self.load is not None else PlatformState.NONE
        control = self.settings.mode is Mode.CONTROL
        return Decision(
            now,
            tuple(switches),
            setting or (),
            setting if control else None,
            (),
            state,
            math.nan,
        )

    def allowed(self, grid: Grid) -> NDArray[np.bool_]:
        """Return which settings lie inside the limits of the board, all where none does."""
        keep = np.ones(len(grid.rows), dtype=bool)
        for column, name in enumerate(grid.domains):
            domain = self.load.domain(name) if self.load is not None else None
            if domain is not None and domain.available:
                clocks = grid.hertz[:, column]
                offered = np.array(domain.available)
                keep &= np.abs(clocks[:, None] / offered - 1).min(axis=1) < 1e-3
                keep &= clocks <= domain.limit_maximum * 1.001
            elif domain is not None and domain.granted > 0:
                # Nobody asks us: it stays where it runs.
                distance = np.abs(np.log(grid.hertz[:, column] / domain.granted))
                keep &= distance <= distance.min() + 1e-9
        return keep if keep.any() else np.ones(len(grid.rows), dtype=bool)

    def shared_tables(self) -> dict[str, ApplicationTable]:
        """Return the table of each application; none where their settings are not the same."""
        tables = {name: self.tables[name] for name in self.applications}
        first = next(iter(tables.values()), None)
        if first is None or any(
            table.domains != first.domains or not np.array_equal(table.rows, first.rows)
            for table in tables.values()
        ):
            return {}
        return tables

    def slowness(self, application: str, status: Status) -> float:
        """
        Return what a frame took over its profile at the clocks that are granted.

        That of its largest path. NaN: nothing can be said.
        """
        table = self.tables[application]
        option = table.option(status.sub_network, status.processor)
        if self.load is None or option is None or not status.service > 0:
            return math.nan
        granted = {domain.name: domain.granted for domain in self.load.domains}
        return status.service_of_largest_path / float(
            table.mean[option, table.nearest_row(granted)]
        )

    def by_accuracy(self, name: str) -> list[Option]:
        """Return an application's options on the processor it is on, least accurate first."""
        application = self.applications[name]
        every = self.tables[name].options
        on = application.processor
        processor = on if any(option[1] == on for option in every) else every[0][1]
        options = [option for option in every if option[1] == processor]
        return sorted(options, key=lambda option: application.accuracies[option[0]])
