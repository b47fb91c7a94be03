# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The platforms by name, those of other packages too (group `dynamic_dnn_ros.platforms`)."""

from __future__ import annotations

from collections.abc import Callable

from dynamic_dnn_ros.extensions import ExtensionError, Extensions
from dynamic_dnn_ros.platforms import jetson, linux, nvidia_pc, raspberry_pi, rockchip
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, load_board
from dynamic_dnn_ros.platforms.contract import Platform, PlatformError
from dynamic_dnn_ros.platforms.registration import Board
from dynamic_dnn_ros.platforms.registration import PlatformOptions as PlatformOptions
from dynamic_dnn_ros.platforms.simulated import SimulatedPlatform
from dynamic_dnn_ros.platforms.sysfs import Sysfs

#: The group of entry points in which another package offers a platform: name = module:callable
#: of a time and `PlatformOptions`. A name that ends as those of simulated boards is never asked.
ENTRY_POINTS = 'dynamic_dnn_ros.platforms'

AUTOMATIC = 'auto'

BOARDS = (
    jetson.BOARD,
    raspberry_pi.BOARD,
    rockchip.BOARD,
    nvidia_pc.BOARD,
    linux.BOARD,
)
"""What a computer may be, the first that it is; plain Linux is what is left."""

_OTHERS = Extensions(ENTRY_POINTS, 'platform', (AUTOMATIC, *(board.name for board in BOARDS)))


def make_platform(name: str, now: float, options: PlatformOptions) -> Platform:
    """
    Return the platform of a name.

    :param name: one of `BOARDS`, a board with the suffix `_simulated`, one of another package, or
        `auto`: what this computer is
    :param now: the caller's monotonic clock, s
    :raises PlatformError: for an unknown name, a board that cannot be read, a board that this
        computer is not, or a platform of another package that cannot be loaded
    """
    sysfs = Sysfs(options.sysfs_root)
    if name == AUTOMATIC:
        return this_board(sysfs).make(sysfs, options)
    named = next((board for board in BOARDS if board.name == name), None)
    if named is not None:
        return _checked(named, sysfs).make(sysfs, options)
    if name.endswith(SIMULATED_SUFFIX):
        board = load_board(name, options.power_mode)
        return SimulatedPlatform(board, now, options.seed, options.foreign_load)
    where = f'platform {name!r}'
    try:
        make: Callable[[float, PlatformOptions], Platform] | None = _OTHERS.find(name)
    except ExtensionError as error:
        raise PlatformError(where, 'is of no use', str(error)) from error
    if make is None:
        known = (AUTOMATIC, *(board.name for board in BOARDS), *_OTHERS.names())
        raise PlatformError(
            where,
            'is unknown',
            f'Choose one of {", ".join(map(repr, known))}, or a board with {SIMULATED_SUFFIX!r}, '
            "e.g. 'xavier_nx_simulated'",
        )
    return make(now, options)


def this_board(sysfs: Sysfs) -> Board:
    """Return what a computer is by its files."""
    return next(board for board in BOARDS if board.is_this(sysfs))


def _checked(board: Board, sysfs: Sysfs) -> Board:
    if board.is_this(sysfs):
        return board
    raise PlatformError(
        f'platform {board.name!r}',
        f'is not this computer: nothing under {sysfs.root} is of {board.title}',
        f"Set parameter 'platform' to {AUTOMATIC!r}; {board.remedy}",
    )
