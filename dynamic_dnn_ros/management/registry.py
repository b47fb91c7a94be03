# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The deciders by name; other packages add theirs by entry points."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynamic_dnn_ros.extensions import ExtensionError, Extensions
from dynamic_dnn_ros.management.baselines.alert import Alert
from dynamic_dnn_ros.management.baselines.carin import Carin
from dynamic_dnn_ros.management.baselines.coral import Coral
from dynamic_dnn_ros.management.baselines.dynamic_ofa import DynamicOfaRule
from dynamic_dnn_ros.management.baselines.e4 import E4
from dynamic_dnn_ros.management.baselines.flame import Flame
from dynamic_dnn_ros.management.baselines.random_search import RandomSearch
from dynamic_dnn_ros.management.baselines.restricted import (
    OpenLoop,
    PathBlind,
    dvfs_only,
    memory_blind,
    network_only,
)
from dynamic_dnn_ros.management.baselines.static import Static
from dynamic_dnn_ros.management.baselines.weights_file import DeciderFileError
from dynamic_dnn_ros.management.baselines.ztt import Ztt
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
    'coral': Coral,
    'random_search': RandomSearch,
    'carin': Carin,
    'flame': Flame,
    'e4': E4,
    'ztt': Ztt,
    'dvfs_only': dvfs_only,
    'network_only': network_only,
    'path_blind': PathBlind,
    'memory_blind': memory_blind,
    'open_loop': OpenLoop,
}

_OTHERS = Extensions(GROUP, 'decider', DECIDERS)


class UnknownDeciderError(ValueError):
    """A name that no decider of use has. The text names those that are known."""


def decider_names() -> tuple[str, ...]:
    """Return the names of all deciders, those of other packages last."""
    return (*DECIDERS, *_OTHERS.names())


def create_decider(name: str, instance: str, settings: ManagerSettings | None = None) -> Decider:
    """
    Create a decider that knows nothing yet.

    :param instance: new at each start; marks its switches
    :raises UnknownDeciderError: when none has that name, or it cannot be loaded
    """
    make: MakeDecider | None = DECIDERS.get(name)
    if make is None:
        try:
            make = _OTHERS.find(name)
        except ExtensionError as error:
            raise UnknownDeciderError(str(error)) from error
    if make is None:
        raise UnknownDeciderError(
            f'decider {name!r} is unknown. Choose one of: {", ".join(decider_names())}.'
        )
    try:
        return make(instance, settings or ManagerSettings())
    except DeciderFileError as error:
        raise UnknownDeciderError(str(error)) from error
