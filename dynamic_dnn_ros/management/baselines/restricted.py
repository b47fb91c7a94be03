# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of the manager: only clocks, only sub-networks, no paths, no clock of the memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.management.manager import Manager, ManagerSettings
from dynamic_dnn_ros.management.observations import Application, Status, StatusEvent


class PathBlind(Manager):
    """A manager that takes each sub-network for one piece: it knows profiles and latencies."""

    def add_application(self, application: Application, now: float) -> bool:
        """Take what an application says of itself, but for its stages."""
        return super().add_application(replace(application, stages={}), now)

    def observe(self, status: Status, now: float) -> bool:
        """Take a status, but for the path of its frame."""
        return super().observe(replace(status, work=1.0, exit_stage=''), now)


MEMORY = 'memory'
"""The frequency domain that `memory_blind` does not see."""

Restriction = Callable[[Application], OperatingPoints]


class Restricted(Manager):
    """A manager that sees only a part of each profile."""

    def __init__(
        self, instance: str, settings: ManagerSettings | None, restriction: Restriction
    ) -> None:
        """Begin with nothing."""
        super().__init__(instance, settings)
        self._restriction = restriction
        self._seen: dict[str, tuple[OperatingPoints, OperatingPoints]] = {}

    def add_application(self, application: Application, now: float) -> bool:
        """Take what an application says of itself, with a part of its profile."""
        whole = application.operating_points
        kept = self._seen.get(application.id)
        if kept is None or kept[0] is not whole:
            kept = self._seen[application.id] = (whole, self._restriction(application))
        return super().add_application(replace(application, operating_points=kept[1]), now)


class OpenLoop(Restricted):
    """A manager that never looks at a frame, and whose profiles know no clock of the memory."""

    def __init__(self, instance: str, settings: ManagerSettings | None = None) -> None:
        """Begin with nothing."""
        super().__init__(instance, settings, _without_memory)

    def observe(self, status: Status, now: float) -> bool:
        """Take a status, but for what its frame took."""
        if status.event is StatusEvent.SERVED:
            status = replace(status, event=StatusEvent.HEARTBEAT)
        return super().observe(status, now)


def dvfs_only(instance: str = 'dvfs_only', settings: ManagerSettings | None = None) -> Restricted:
    """Return a manager that sets clocks and leaves each application at what it begins with."""
    return Restricted(instance, settings, _one_sub_network)


def network_only(
    instance: str = 'network_only', settings: ManagerSettings | None = None
) -> Restricted:
    """Return a manager that chooses sub-networks and leaves the clocks to the governors."""
    return Restricted(instance, settings, _without_domains)


def memory_blind(
    instance: str = 'memory_blind', settings: ManagerSettings | None = None
) -> Restricted:
    """Return a manager whose profiles were taken at the memory's highest clock alone."""
    return Restricted(instance, settings, _without_memory)


def _one_sub_network(application: Application) -> OperatingPoints:
    points = application.operating_points
    index = points.sub_networks.index(application.sub_network)
    return _rows(points, points.sub_network == index)


def _without_domains(application: Application) -> OperatingPoints:
    points = application.operating_points
    highest = points.frequencies.max(axis=0, initial=0.0)
    kept = _rows(points, (points.frequencies == highest).all(axis=1))
    return replace(kept, domains=(), frequencies=np.zeros((len(kept.sub_network), 0)))


def _without_memory(application: Application) -> OperatingPoints:
    points = application.operating_points
    if MEMORY not in points.domains:
        return points
    column = points.domains.index(MEMORY)
    clocks = points.frequencies[:, column]
    kept = _rows(points, clocks == clocks.max(initial=0.0))
    return replace(
        kept,
        domains=tuple(name for name in points.domains if name != MEMORY),
        frequencies=np.delete(kept.frequencies, column, axis=1),
    )


def _rows(points: OperatingPoints, keep: NDArray[np.bool_]) -> OperatingPoints:
    columns = {
        entry.name: getattr(points, entry.name)[keep]
        for entry in fields(points)
        if isinstance(getattr(points, entry.name), np.ndarray)
        and len(getattr(points, entry.name)) == len(keep)
    }
    return replace(points, **columns)
