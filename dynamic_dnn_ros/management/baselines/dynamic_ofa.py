# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The rule that Dynamic-OFA ships, written from a description of its run-time script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynamic_dnn_ros.management.baselines.baseline import Baseline
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.observations import Status
from dynamic_dnn_ros.management.tables import Option

WARM_UP = 21
"""Images after a switch whose latency is not kept."""

WINDOW = 20
"""Latencies whose mean is compared with the constraint."""

BEFORE_UP = 50
"""Images after a switch, beyond which `WINDOW` more are needed to go up."""

DISCARDED = 1.5
"""Latencies from so many times the constraint on are thrown away (90 ms of 60)."""


@dataclass
class _Level:
    level: int
    images: int = 0
    kept: list[float] = field(default_factory=list)
    history: list[int] = field(default_factory=list)


class DynamicOfaRule(Baseline):
    """
    One level down when the mean of 20 latencies is too long, up when accuracy is too low.

    It sets no clocks, knows nothing of other applications and of energy. A history of two levels
    keeps it from going back up at once.
    """

    def __init__(
        self, instance: str = 'dynamic_ofa', settings: ManagerSettings | None = None
    ) -> None:
        """Begin with the levels that serve."""
        super().__init__(instance, settings)
        self._levels: dict[str, _Level] = {}

    def served(self, application: str, status: Status, now: float) -> bool:
        """Keep the latency and move a level where the rule says so."""
        options = self.by_accuracy(application)
        serving = (status.sub_network, status.processor)
        state = self._state(application)
        if serving not in options or options.index(serving) != state.level:
            return False
        target = self.targets.get(application)
        if target is None:
            return False
        state.images += 1
        limit = target.latency
        if state.images > WARM_UP and (not limit or status.total < DISCARDED * limit):
            state.kept.append(status.total)
        moved = 0
        recent = state.kept[-WINDOW:]
        accuracy = self.applications[application].accuracies[serving[0]]
        if limit and len(recent) == WINDOW and sum(recent) / WINDOW > limit:
            moved = -1
        elif (
            target.accuracy
            and accuracy < target.accuracy
            and state.images > BEFORE_UP + WINDOW
            and state.level + 1 not in state.history[-2:]
        ):
            moved = 1
        level = state.level + moved
        if not moved or not 0 <= level < len(options):
            return False
        self._levels[application] = _Level(level, history=[*state.history, state.level])
        return True

    def pick(self, now: float) -> tuple[Mapping[str, Option], Mapping[str, float] | None]:
        """Return the present levels; the clocks are the governors'."""
        return {
            name: self.by_accuracy(name)[self._state(name).level] for name in self.applications
        }, None

    def _state(self, name: str) -> _Level:
        if name not in self._levels:
            self._levels[name] = _Level(self.by_accuracy(name).index(self.serving[name]))
        return self._levels[name]
