# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The deciders by name; other packages add theirs by entry points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points

from dynamic_dnn_ros.management.baselines.alert import Alert
from dynamic_dnn_ros.management.baselines.dynamic_ofa import DynamicOfaRule
from dynamic_dnn_ros.management.baselines.restricted import dvfs_only, network_only
from dynamic_dnn_ros.management.baselines.static import Static
from dynamic_dnn_ros.management.contract import Decider
from dynamic_dnn_ros.management.manager import Manager, ManagerSettings

GROUP = 'dynamic_dnn_ros.deciders'
"""Entry points of this group name further deciders: a callable of an instance and settings."""

MANAGER = 'dynamic_dnn'
"""The manager of this package."""

MakeDecider = Callable[[str, ManagerSettings], Decider]

DECIDERS: Mapping[str, MakeDecider] = {
    MANAGER: Manager,
    'largest': lambda instance, settings: Static(-1, instance, settings),
    'smallest': lambda instance, settings: Static(0, instance, settings),
    'dynamic_ofa': DynamicOfaRule,
    'alert': Alert,
    'dvfs_only': dvfs_only,
    'network_only': network_only,
}


class UnknownDeciderError(ValueError):
    """A name that no decider has. The text names those that are known."""


def decider_names() -> tuple[str, ...]:
    """Return the names of all deciders, those of other packages last."""
    found = (entry.name for entry in entry_points(group=GROUP))
    return tuple(dict.fromkeys([*DECIDERS, *sorted(found)]))


def create_decider(name: str, instance: str, settings: ManagerSettings | None = None) -> Decider:
    """
    Create a decider that knows nothing yet.

    :param instance: new at each start; marks its switches
    :raises UnknownDeciderError: when none has that name
    """
    make: MakeDecider | None = DECIDERS.get(name)
    if make is None:
        for entry in entry_points(group=GROUP):
            if entry.name == name:
                make = entry.load()
    if make is None:
        raise UnknownDeciderError(
            f'decider {name!r} is unknown. Choose one of: {", ".join(decider_names())}.'
        )
    return make(instance, settings or ManagerSettings())
