# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What decides for all applications: the manager, and everything that it is judged against."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from dynamic_dnn_ros.management.decisions import Decision, TargetReport
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.observations import Application, Load, Status
from dynamic_dnn_ros.management.targets import Target, TargetError, TargetStore


class Decider(Protocol):
    """
    What decides; `management.manager.Manager` and all that it is judged against keep to this.

    No call reads a clock: each is told the time, so the same calls give the same decisions.
    """

    instance: str
    targets: TargetStore

    @property
    def applications(self) -> Collection[str]:
        """Return the ids of the applications that are there."""

    def adjust(self, settings: ManagerSettings) -> None:
        """Work by other settings from the next decision on, as far as it heeds them."""

    def add_application(self, application: Application, now: float) -> bool:
        """Take what an application says of itself; tell whether to decide at once."""

    def remove_application(self, name: str) -> bool:
        """Forget an application; tell whether to decide at once."""

    def set_target(self, target: Target, arrival: int) -> Target:
        """
        Put a target into force.

        :raises TargetError: when a later one is in force
        """

    def clear_target(self, application: str, stamp: int, arrival: int, sender: str = '') -> None:
        """
        Withdraw a target.

        :raises TargetError: when a later one is in force
        """

    def ask(self, target: Target, now: float) -> TargetReport:
        """Tell what would become of a target that is not set; nothing is changed by it."""

    def refuse_target(self, application: str, sender: str, error: TargetError) -> None:
        """Note a target that could not be read, so that the next reports answer it."""

    def observe(self, status: Status, now: float) -> bool:
        """Take a status of an application; tell whether to decide at once."""

    def observe_load(self, load: Load, now: float) -> bool:
        """Take a load of the platform; tell whether to decide at once."""

    def decide(self, now: float) -> Decision:
        """Decide for all applications, and report on each where the decider reports."""

    def choose(self, now: float) -> Decision:
        """Decide without reports: all that is to be sent, as early as it can be."""

    def reported(self, decision: Decision) -> Decision:
        """Return the last decision with how each target stands."""
