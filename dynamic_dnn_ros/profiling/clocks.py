# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The clocks of a platform in the hands of a measurement, and back on every way out of it."""

from __future__ import annotations

from collections.abc import Mapping
import time

from dynamic_dnn_ros.platforms.contract import (
    DomainLimits,
    DomainRange,
    HardwareError,
    Platform,
)
from dynamic_dnn_ros.platforms.guard import Guard
from dynamic_dnn_ros.platforms.sysfs import boot_id
from dynamic_dnn_ros.profiling.timing import Clock


class Clocks:
    """
    Sets fixed clocks; what was found is restored at the end, by the guard where this process dies.

    A context manager. While it is open no platform node can set the clocks of this computer: the
    guard holds the lock that such a node needs.
    """

    def __init__(
        self, platform: Platform, sysfs_root: str = '/', clock: Clock = time.perf_counter
    ) -> None:
        """
        Describe whose clocks; nothing is touched before the context is entered.

        :param sysfs_root: the tree that the platform was made with
        """
        self._platform = platform
        self._sysfs_root = sysfs_root
        self._clock = clock
        self._guard: Guard | None = None
        self._setting: Mapping[str, float] | None = None
        self._granted: dict[str, float] = {}

    def __enter__(self) -> Clocks:
        """
        Take the lock, and restore what an earlier process left behind.

        :raises PlatformError: when another process sets the clocks
        """
        found = self._platform.limits_found()
        if found:
            self._guard = Guard(self._sysfs_root, boot_id())
            try:
                self._guard.recover()
            except BaseException:
                self._guard.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        """Restore. Where a write is refused, the guard tries again as it ends."""
        guard, self._guard = self._guard, None
        try:
            self.restore()
            if guard is not None:
                guard.disarm()  # what it was told may be older than what somebody set since
        finally:
            if guard is not None:
                guard.close()

    def settable(self) -> tuple[tuple[DomainLimits, ...], tuple[str, ...]]:
        """
        Try each domain at its highest frequency, and return those that can be set.

        :return: the domains, and for each other one a sentence that says why it is left alone
        """
        usable, refusals = [], []
        for limits in self._platform.limits():
            if not limits.available:
                refusals.append(f'the clock of {limits.name!r} cannot be set on this computer')
                continue
            try:
                self.set({limits.name: limits.available[-1]})
            except HardwareError as error:
                refusals.append(f'the clock of {limits.name!r} is left alone: {error}')
            else:
                usable.append(limits)
        self.restore()
        return tuple(usable), tuple(refusals)

    def set(self, setting: Mapping[str, float]) -> Mapping[str, float]:
        """
        Fix the clock of each named domain, Hz; the others run as they were found.

        :return: the highest frequency that the hardware grants to each
        :raises HardwareError: when a write is refused; what was found is restored then
        :raises PlatformError: when there is no guard to restore it
        """
        if setting == self._setting:
            return self._granted
        self._setting = None
        if setting and self._guard is not None:
            self._guard.arm(self._platform.limits_found())
        ranges = [DomainRange(name, value, value) for name, value in setting.items()]
        grants = self._platform.apply(self._clock(), ranges)
        self._granted = {grant.name: grant.maximum for grant in grants}
        self._setting = dict(setting)
        return self._granted

    def restore(self) -> None:
        """
        Put back what was found.

        :raises HardwareError: when a write is refused
        """
        self._setting = None
        self._platform.restore(self._clock())
