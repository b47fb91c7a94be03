# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A dynamic network as a simulated board runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.management.observations import StageShare
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.platforms.board_model import MeasuredNetwork, NetworkCost


@dataclass(frozen=True, eq=False)
class Workload:
    """
    A dynamic network as one board runs it.

    `points` is the profile that a manager is given; `costs` is what the board model makes the
    truth of. `accuracies` and `costs` have a row for each sub-network of `points`, `stages` for
    each that has several; points and costs are then those of the largest path.
    """

    name: str
    points: OperatingPoints
    accuracies: Mapping[str, float]
    costs: Mapping[str, NetworkCost | MeasuredNetwork]
    stages: Mapping[str, tuple[StageShare, ...]] = field(default_factory=dict)

    @cached_property
    def paths(self) -> Mapping[str, Paths]:
        """Return the paths of the sub-networks of several stages."""
        return {name: Paths(stages) for name, stages in self.stages.items()}

    def by_size(self) -> tuple[str, ...]:
        """Return the sub-networks from the least to the most accurate, the cheaper ones first."""
        names = self.points.sub_networks
        mean = {
            name: float(self.points.latency_mean[self.points.sub_network == index].min())
            for index, name in enumerate(names)
        }
        return tuple(sorted(names, key=lambda name: (self.accuracies[name], mean[name])))
