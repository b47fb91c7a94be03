# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What decides for all applications: the manager, and everything that it is judged against."""

from __future__ import annotations

from typing import Protocol

from dynamic_dnn_ros.management.decisions import Decision
from dynamic_dnn_ros.management.observations import Application, Load, Status
from dynamic_dnn_ros.management.targets import Target


class Decider(Protocol):
    """The interface of `management.manager.Manager`, which everything it is judged against has."""

    instance: str

    def add_application(self, application: Application, now: float) -> bool:
        """Take what an application says of itself; tell whether to decide at once."""

    def remove_application(self, name: str) -> bool:
        """Forget an application; tell whether to decide at once."""

    def set_target(self, target: Target, arrival: int) -> Target:
        """Put a target into force."""

    def clear_target(self, application: str, stamp: int, arrival: int, sender: str = '') -> None:
        """Withdraw a target."""

    def observe(self, status: Status, now: float) -> bool:
        """Take a status of an application; tell whether to decide at once."""

    def observe_load(self, load: Load, now: float) -> bool:
        """Take a load of the platform; tell whether to decide at once."""

    def decide(self, now: float) -> Decision:
        """Decide for all applications."""
