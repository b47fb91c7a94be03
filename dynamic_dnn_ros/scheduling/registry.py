# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The schedulers by name; other packages add theirs by entry points."""

from __future__ import annotations

from collections.abc import Mapping

from dynamic_dnn_ros.extensions import ExtensionError, Extensions
from dynamic_dnn_ros.scheduling.apparent_tardiness import ApparentTardiness
from dynamic_dnn_ros.scheduling.arrival_order import FirstComeFirstServed, NewestFrame
from dynamic_dnn_ros.scheduling.contract import Scheduler
from dynamic_dnn_ros.scheduling.dysta import Dysta
from dynamic_dnn_ros.scheduling.earliest_deadline import EarliestDeadlineFirst
from dynamic_dnn_ros.scheduling.fluid_batching import FluidBatching
from dynamic_dnn_ros.scheduling.planaria import Planaria
from dynamic_dnn_ros.scheduling.prema import Prema
from dynamic_dnn_ros.scheduling.round_robin import RoundRobin
from dynamic_dnn_ros.scheduling.sdrm3 import Sdrm3
from dynamic_dnn_ros.scheduling.shortest_job import ShortestJobFirst

GROUP = 'dynamic_dnn_ros.schedulers'
"""Entry points of this group name further schedulers: a class that is made without arguments."""

SCHEDULERS: Mapping[str, type[Scheduler]] = {
    each.name: each
    for each in (
        ApparentTardiness,
        EarliestDeadlineFirst,
        FluidBatching,
        Dysta,
        RoundRobin,
        NewestFrame,
        FirstComeFirstServed,
        ShortestJobFirst,
        Prema,
        Sdrm3,
        Planaria,
    )
}

DEFAULT_SCHEDULER = ApparentTardiness.name
"""What decides where nobody asks for another one."""

_OTHERS = Extensions(GROUP, 'scheduler', SCHEDULERS, Scheduler)


class UnknownSchedulerError(ValueError):
    """A name that no scheduler of use has. The text names those that are known."""


def scheduler_names() -> tuple[str, ...]:
    """Return the names of all schedulers, those of other packages last."""
    return (*SCHEDULERS, *_OTHERS.names())


def create_scheduler(name: str) -> Scheduler:
    """
    Create a scheduler for one processor, that has seen nothing yet.

    :raises UnknownSchedulerError: when none has that name, or it cannot be loaded
    """
    make: type[Scheduler] | None = SCHEDULERS.get(name)
    if make is None:
        try:
            make = _OTHERS.find(name)
        except ExtensionError as error:
            raise UnknownSchedulerError(str(error)) from error
    if make is None:
        raise UnknownSchedulerError(
            f'scheduler {name!r} is unknown. Choose one of: {", ".join(scheduler_names())}.'
        )
    return make()
