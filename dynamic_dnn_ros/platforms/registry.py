# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The platforms by name, those of other packages too (group `dynamic_dnn_ros.platforms`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dynamic_dnn_ros.extensions import ExtensionError, Extensions
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, load_board
from dynamic_dnn_ros.platforms.contract import Platform, PlatformError
from dynamic_dnn_ros.platforms.jetson import JetsonPlatform, is_jetson
from dynamic_dnn_ros.platforms.jetson_stats import JetsonStats, is_installed
from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from dynamic_dnn_ros.platforms.simulated import SimulatedPlatform
from dynamic_dnn_ros.platforms.sysfs import Sysfs

#: The group of entry points in which another package offers a platform: name = module:callable
#: of a time and `PlatformOptions`. A name that ends as those of simulated boards is never asked.
ENTRY_POINTS = 'dynamic_dnn_ros.platforms'

AUTOMATIC = 'auto'
JETSON = 'jetson'

_OTHERS = Extensions(ENTRY_POINTS, 'platform', (AUTOMATIC, JETSON, LinuxPlatform.id))


@dataclass(frozen=True)
class PlatformOptions:
    """What a platform is made with; each platform takes what concerns it."""

    sysfs_root: str = '/'
    manage_cpu: bool = False
    manage_gpu: bool = True
    manage_memory: bool = False
    jetson_stats: bool = False
    seed: int = 0
    power_mode: str = ''
    foreign_load: Mapping[str, float] = field(default_factory=dict)


def make_platform(name: str, now: float, options: PlatformOptions) -> Platform:
    """
    Return the platform of a name.

    :param name: `linux`, `jetson`, a board with the suffix `_simulated`, one of another package,
        or `auto`: this computer, which may be a Jetson
    :param now: the caller's monotonic clock, s
    :raises PlatformError: for an unknown name, a board that cannot be read, no Jetson, or a
        platform of another package that cannot be loaded
    """
    if name in (AUTOMATIC, JETSON, LinuxPlatform.id):
        return _this_computer(name, options)
    if name.endswith(SIMULATED_SUFFIX):
        board = load_board(name, options.power_mode)
        return SimulatedPlatform(board, now, options.seed, options.foreign_load)
    where = f'platform {name!r}'
    try:
        make: Callable[[float, PlatformOptions], Platform] | None = _OTHERS.find(name)
    except ExtensionError as error:
        raise PlatformError(where, 'is of no use', str(error)) from error
    if make is None:
        known = (AUTOMATIC, LinuxPlatform.id, JETSON, *_OTHERS.names())
        raise PlatformError(
            where,
            'is unknown',
            f'Choose one of {", ".join(map(repr, known))}, or a board with {SIMULATED_SUFFIX!r}, '
            "e.g. 'xavier_nx_simulated'",
        )
    return make(now, options)


def _this_computer(name: str, options: PlatformOptions) -> Platform:
    sysfs = Sysfs(options.sysfs_root)
    jetson = is_jetson(sysfs)
    if name == LinuxPlatform.id or (name == AUTOMATIC and not jetson):
        return LinuxPlatform(sysfs, options.manage_cpu, options.manage_gpu)
    if not jetson:
        raise PlatformError(
            f'platform {name!r}',
            f'is not this computer: nothing under {options.sysfs_root} is of a Jetson',
            "Set parameter 'platform' to 'auto'; in a container, mount /proc/device-tree and /sys",
        )
    statistics = JetsonStats() if options.jetson_stats and is_installed() else None
    return JetsonPlatform(
        sysfs, options.manage_cpu, options.manage_gpu, options.manage_memory, statistics
    )
