# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a simulation asks of a manager, and of a network that a board runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.management.decisions import Decision
from dynamic_dnn_ros.management.observations import Application, Load, Status
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.platforms.board_model import MeasuredNetwork, NetworkCost


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


@dataclass(frozen=True, eq=False)
class Workload:
    """
    A dynamic network as one board runs it.

    `points` is the profile that a manager is given; `costs` is what the board model makes the
    truth of. `accuracies` and `costs` have a row for each sub-network of `points`.
    """

    name: str
    points: OperatingPoints
    accuracies: Mapping[str, float]
    costs: Mapping[str, NetworkCost | MeasuredNetwork]

    def by_size(self) -> tuple[str, ...]:
        """Return the sub-networks from the least to the most accurate, the cheaper ones first."""
        names = self.points.sub_networks
        mean = {
            name: float(self.points.latency_mean[self.points.sub_network == index].min())
            for index, name in enumerate(names)
        }
        return tuple(sorted(names, key=lambda name: (self.accuracies[name], mean[name])))
