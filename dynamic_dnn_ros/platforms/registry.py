# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Platforms by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, load_board
from dynamic_dnn_ros.platforms.contract import Platform, PlatformError
from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from dynamic_dnn_ros.platforms.simulated import SimulatedPlatform

AUTOMATIC = 'auto'


@dataclass(frozen=True)
class PlatformOptions:
    """What a platform is made with; each platform takes what concerns it."""

    sysfs_root: str = '/'
    manage_cpu: bool = False
    seed: int = 0
    power_mode: str = ''
    foreign_load: Mapping[str, float] = field(default_factory=dict)


def make_platform(name: str, now: float, options: PlatformOptions) -> Platform:
    """
    Return the platform of a name.

    :param name: `linux`, a board with the suffix `_simulated`, or `auto`: this computer
    :param now: the caller's monotonic clock, s
    :raises PlatformError: for an unknown name, or a board that cannot be read
    """
    if name in (AUTOMATIC, LinuxPlatform.id):
        return LinuxPlatform(options.sysfs_root, options.manage_cpu)
    if name.endswith(SIMULATED_SUFFIX):
        board = load_board(name, options.power_mode)
        return SimulatedPlatform(board, now, options.seed, options.foreign_load)
    raise PlatformError(
        f'platform {name!r}',
        'is unknown',
        f"Choose 'auto', 'linux', or a board with {SIMULATED_SUFFIX!r}, e.g. "
        "'xavier_nx_simulated'",
    )
