# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What this package finds of the board: clocks, load, power, temperatures; what is missing."""

from __future__ import annotations

from collections.abc import Iterator
import math
from pathlib import Path
import time

from dynamic_dnn_ros.cli.doctor.finding import Finding, Level
from dynamic_dnn_ros.platforms.contract import (
    DomainLimits,
    DomainState,
    Platform,
    PlatformError,
    PlatformSample,
)
from dynamic_dnn_ros.platforms.nvidia_pc import DRIVER
from dynamic_dnn_ros.platforms.nvml import open_cards
from dynamic_dnn_ros.platforms.registration import PlatformOptions
from dynamic_dnn_ros.platforms.registry import this_board
from dynamic_dnn_ros.platforms.sysfs import Sysfs

_NO_POWER = (
    "no rail includes all others, so energy targets, 'power_cap' and limits for the current have "
    'nothing to go by'
)


def check_board(root: Path) -> Iterator[Finding]:
    """
    Look at what the platform node would find, and at what it would say; nothing is set.

    :param root: folder that holds `sys`
    """
    sysfs = Sysfs(root)
    board = this_board(sysfs)
    options = PlatformOptions(str(root), manage_cpu=True, manage_gpu=True, manage_memory=True)
    try:
        platform = board.make(sysfs, options)
    except PlatformError as error:
        yield Finding('board', Level.NOTE, f'{error.where}: {error.problem}', error.remedy)
        return
    try:
        found = f'{board.title} ({platform.id}); this package was tried on: {board.tried}'
        yield Finding('board', Level.OK, found)
        if sysfs.text(sysfs.path(DRIVER)) is not None and board.name == 'linux':
            yield _cards_that_are_not_seen()
        yield from _findings(platform)
    finally:
        platform.close()


def _cards_that_are_not_seen() -> Finding:
    try:
        found, remedy = f'{len(open_cards())} cards', ''
    except PlatformError as error:
        found, remedy = f'a driver is loaded, but {error.where}: {error.problem}', error.remedy
    return Finding('NVIDIA cards', Level.NOTE, found, remedy)


def _findings(platform: Platform) -> Iterator[Finding]:
    sample = platform.read(time.monotonic())
    for row, state in zip(platform.limits(), sample.domains):
        yield _clock(row, state)
        if math.isnan(state.utilisation_foreign):
            yield Finding(
                f'load of {row.name}',
                Level.NOTE,
                'is not told: load that is not ours is taken to be none',
                _load_remedy(row.name),
            )
    yield _power(sample)
    yield _temperatures(sample)
    for notice in sample.notices:
        text, _, remedy = notice.text.partition('. ')
        yield Finding(notice.kind.value, Level.NOTE, text, remedy)


def _clock(row: DomainLimits, state: DomainState) -> Finding:
    name = f'clock of {row.name}'
    if not row.available:
        return Finding(name, Level.NOTE, 'is not shown: it is neither read nor set')
    count, low, high = len(row.available), row.available[0], row.available[-1]
    running = f', runs at {state.granted / 1e6:.0f}' if state.granted > 0 else ''
    governor = f', governor {state.governor}' if state.governor else ''
    span = f'{low / 1e6:.0f} to {high / 1e6:.0f} MHz'
    return Finding(name, Level.OK, f'{count} frequencies, {span}{running}{governor}')


def _load_remedy(domain: str) -> str:
    if domain.startswith('gpu'):
        return '`pip install nvidia-ml-py` on a Jetson Thor; on other Jetsons, jetson-stats'
    return ''


def _power(sample: PlatformSample) -> Finding:
    rails = ', '.join(
        name if math.isnan(watts) else f'{name} {watts:.2f} W'
        for name, watts in sample.power.items()
    )
    if sample.total_power_rail:
        total = f'the total is {sample.total_power_rail}'
        budget = sample.power_budget
        limit = f'; the board allows {budget:.1f} W' if budget < math.inf else ''
        return Finding('power', Level.OK, f'{rails}; {total}{limit}')
    if rails:
        return Finding(
            'power', Level.NOTE, f'{rails}; {_NO_POWER}', 'give it a sensor of its input'
        )
    return Finding(
        'power',
        Level.NOTE,
        f'no rail can be read; {_NO_POWER}',
        "RAPL of a PC is root's: the udev rule in deploy/ opens it; on a board, `grep . "
        '/sys/class/hwmon/hwmon*/name` tells whether a sensor has a driver',
    )


def _temperatures(sample: PlatformSample) -> Finding:
    known = {name: value for name, value in sample.temperatures.items() if math.isfinite(value)}
    if not known:
        return Finding(
            'temperature',
            Level.NOTE,
            "no zone can be read, so 'temperature_limit' has nothing to go by",
            'look at /sys/class/thermal; in a container or a virtual machine it is not shown',
        )
    hottest = max(known, key=lambda name: known[name])
    return Finding(
        'temperature', Level.OK, f'{len(known)} sensors, {hottest} {known[hottest]:.0f} degrees C'
    )
