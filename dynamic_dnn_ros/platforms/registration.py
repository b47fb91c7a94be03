# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a board tells the registry of itself: one constant `BOARD` in its own file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dynamic_dnn_ros.platforms.contract import Platform
from dynamic_dnn_ros.platforms.sysfs import Sysfs


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


@dataclass(frozen=True)
class Board:
    """
    A kind of computer that this package knows.

    `name` is what users name it by, `title` what it is called in sentences. `is_this` tells
    whether a tree is one; `make` makes the platform of it, and raises PlatformError where it
    cannot. `remedy` is what to look at where somebody names it on another computer. `tried` says
    on what it was tried, so that nobody takes a file tree for a board.
    """

    name: str
    title: str
    is_this: Callable[[Sysfs], bool]
    make: Callable[[Sysfs, PlatformOptions], Platform]
    remedy: str
    tried: str
