# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which setting a platform accepts, and how long it holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
import math

from dynamic_dnn_ros.platforms.contract import DomainLimits, DomainRange

CLOCK_TOLERANCE = 0.25
"""Seconds that a setting may seem to come from the future: its sender extrapolates our clock."""

FREQUENCY_TOLERANCE = 1e-6
"""Relative difference up to which a frequency counts as one of the table."""

SILENT_SHARE = 0.5
"""
Share of a lease without renewal after which its holder counts as gone: it renews at a third.

Another manager may take the lease over then, so that one that was restarted goes on with the
clocks as they are; the limits found come back only if nobody does.
"""

LARGEST_STEP = 1000
"""Most by which a manager's sequence numbers grow from one setting to the next."""

_MANAGERS_REMEMBERED = 64


class SettingResult(IntEnum):
    """What became of a setting; the values are those of `SystemLoad.msg`."""

    NONE = 0
    APPLIED = 1
    LIMITED = 2
    RELEASED = 3
    EXPIRED = 4
    REFUSED_PLATFORM = 10
    REFUSED_BOOT = 11
    REFUSED_MANAGER = 12
    REFUSED_SEQUENCE = 13
    REFUSED_LEASE = 14
    REFUSED_DOMAIN = 15
    REFUSED_FREQUENCY = 16
    REFUSED_HARDWARE = 17


class SettingRefused(ValueError):
    """A setting is not accepted. The text names the input, the problem and the remedy."""

    def __init__(self, result: SettingResult, where: str, problem: str, remedy: str) -> None:
        super().__init__(f'{where}: {problem}. {remedy}')
        self.result = result


@dataclass(frozen=True)
class Setting:
    """Frequencies that a manager asks for; mirrors `DvfsSetting.msg`, units as there."""

    platform: str
    boot_id: str
    manager: str
    sequence: int
    issued: float
    lease: float
    release: bool = False
    domains: tuple[DomainRange, ...] = ()


class LeaseKeeper:
    """
    Judges settings and counts the one lease of a platform. Touches no hardware.

    Sequence numbers are remembered for as long as a copy of a setting could count: later it is too
    old anyway. So a setting in a manager's name that is not its own locks it out for no longer.

    A manager that misses a renewal may be relieved by another one before its lease has run out.

    All times are seconds on the platform's own monotonic clock.
    """

    def __init__(self, platform: str, boot_id: str, maximum_lease: float) -> None:
        self._platform = platform
        self._boot_id = boot_id
        self._maximum_lease = maximum_lease
        self._holder = ''
        self._expiry = -math.inf
        self._silent_from = -math.inf
        # The last number of a manager, and until when a copy of that setting could count again.
        self._sequences: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def holder(self, now: float) -> str:
        """Return the manager that holds the lease; empty: nobody."""
        return self._holder if now < self._expiry else ''

    def remaining(self, now: float) -> float:
        """Return the seconds that the lease still lasts; 0: no lease."""
        return self._expiry - now if self.holder(now) else 0.0

    def expired(self, now: float) -> bool:
        """Return whether a lease ran out; True once for each, the lease is gone then."""
        if self._holder and now >= self._expiry:
            self.end()
            return True
        return False

    def end(self) -> None:
        """End the lease; sequence numbers stay remembered for a while."""
        self._holder, self._expiry = '', -math.inf

    @property
    def expiry(self) -> float:
        """Return when the lease ends; minus infinity: nobody has it."""
        return self._expiry

    @staticmethod
    def expiry_of(setting: Setting, now: float) -> float:
        """Return when the lease of a setting ends, if it is given now."""
        return min(setting.issued, now) + setting.lease

    def hold(self, setting: Setting, now: float) -> None:
        """Give the lease to the manager of a setting that `judge` accepted."""
        self._holder = setting.manager
        self._expiry = self.expiry_of(setting, now)
        self._silent_from = now + SILENT_SHARE * setting.lease

    def judge(
        self, setting: Setting, now: float, limits: Iterable[DomainLimits]
    ) -> tuple[DomainRange, ...]:
        """
        Check a setting; its sequence number counts as used from here on.

        :return: the ranges to apply, 0 replaced by the lowest or highest frequency and every
            frequency by that of the table; empty for a release
        :raises SettingRefused: with the reason, in the order of `SettingResult`
        """
        name = f'setting {setting.sequence} of manager {setting.manager!r}'
        self._check_origin(setting, name, now)
        self._check_lease(setting, name, now)
        if setting.release:
            return ()
        return resolve(setting.domains, limits, name)

    def _check_origin(self, setting: Setting, name: str, now: float) -> None:
        if setting.platform != self._platform:
            raise SettingRefused(
                SettingResult.REFUSED_PLATFORM,
                name,
                f'it is for platform {setting.platform!r}, this is {self._platform!r}',
                "Take 'platform' from the latest system_load",
            )
        if setting.boot_id != self._boot_id:
            raise SettingRefused(
                SettingResult.REFUSED_BOOT,
                name,
                f'it is from boot {setting.boot_id!r}, this computer runs {self._boot_id!r}',
                "Take 'boot_id' from the latest system_load; do not replay recorded settings",
            )
        if not setting.manager:
            raise SettingRefused(
                SettingResult.REFUSED_MANAGER,
                name,
                'it names no manager',
                "Fill 'manager' with the instance of the sender",
            )
        holder = self.holder(now)
        relieved = now >= self._silent_from and not setting.release
        if holder and holder != setting.manager and not relieved:
            raise SettingRefused(
                SettingResult.REFUSED_MANAGER,
                name,
                f'manager {holder!r} holds the lease for {self.remaining(now):.2f} s more',
                'Stop one of the two managers, or wait until the lease ends',
            )
        last, until = self._sequences.get(setting.manager, (0, -math.inf))
        if now > until:
            last = 0
        problem = ''
        if setting.sequence <= last:
            problem = f'sequence {setting.sequence} is not newer than {last}'
        elif last and setting.sequence > last + LARGEST_STEP:
            problem = f'sequence {setting.sequence} is far beyond {last}'
        if problem:
            raise SettingRefused(
                SettingResult.REFUSED_SEQUENCE,
                name,
                problem,
                'Count up from 1 with each setting, renewals too',
            )
        lasting = self._maximum_lease
        if 0.0 < setting.lease < lasting and not setting.release:
            lasting = setting.lease
        self._sequences[setting.manager] = setting.sequence, max(until, now + lasting)
        self._sequences.move_to_end(setting.manager)
        while len(self._sequences) > _MANAGERS_REMEMBERED:
            self._sequences.popitem(last=False)

    def _check_lease(self, setting: Setting, name: str, now: float) -> None:
        problem = ''
        if not math.isfinite(setting.issued):
            problem = f'issued is {setting.issued}'
        elif setting.issued > now + CLOCK_TOLERANCE:
            problem = f'it was issued {setting.issued - now:.2f} s in the future'
        elif setting.release:
            if not self.holder(now):
                problem = 'there is no lease to give back'
            elif setting.issued + self._maximum_lease <= now:
                problem = f'it was issued {now - setting.issued:.2f} s ago'
        elif not (math.isfinite(setting.lease) and setting.lease > 0.0):
            problem = f'lease is {setting.lease} s'
        elif setting.lease > self._maximum_lease:
            problem = f'lease is {setting.lease:g} s, at most {self._maximum_lease:g} s are given'
        elif setting.issued + setting.lease <= now:
            problem = (
                f'its lease of {setting.lease:g} s had run out '
                f'{now - setting.issued - setting.lease:.2f} s before it arrived'
            )
        if problem:
            raise SettingRefused(
                SettingResult.REFUSED_LEASE,
                name,
                problem,
                "Send a lease above 0 s, at most parameter 'maximum_lease', and 'issued' on the "
                'clock of system_load.monotonic_time, and renew it in time',
            )


def resolve(
    domains: Sequence[DomainRange], limits: Iterable[DomainLimits], name: str = 'setting'
) -> tuple[DomainRange, ...]:
    """
    Return the ranges as frequencies of the tables; 0 becomes the lowest or highest.

    :raises SettingRefused: for a domain or a frequency that cannot be set
    """
    known = {row.name: row for row in limits}
    ranges: dict[str, DomainRange] = {}
    for domain in domains:
        row = known.get(domain.name)
        if row is None or not row.available or domain.name in ranges:
            settable = ', '.join(n for n, r in known.items() if r.available) or 'none'
            problem = (
                f'frequency domain {domain.name!r} is named twice'
                if domain.name in ranges
                else f'frequency domain {domain.name!r} is unknown'
                if row is None
                else f'frequency domain {domain.name!r} is not set on this platform'
            )
            raise SettingRefused(
                SettingResult.REFUSED_DOMAIN, name, problem, f'Domains that are set: {settable}'
            )
        minimum = _of_table(domain.minimum, row, row.available[0], 'minimum', name)
        maximum = _of_table(domain.maximum, row, row.available[-1], 'maximum', name)
        if minimum > maximum:
            raise SettingRefused(
                SettingResult.REFUSED_FREQUENCY,
                name,
                f'{domain.name} minimum {minimum:.0f} Hz is above maximum {maximum:.0f} Hz',
                'Swap them, or make them equal for a fixed clock',
            )
        ranges[domain.name] = DomainRange(domain.name, minimum, maximum)
    return tuple(ranges.values())


def _of_table(value: float, row: DomainLimits, default: float, what: str, name: str) -> float:
    if value == 0.0:
        return default
    if math.isfinite(value):
        nearest = min(row.available, key=lambda frequency: abs(frequency - value))
        if abs(nearest - value) <= FREQUENCY_TOLERANCE * nearest:
            return nearest
        problem = (
            'is above the limit'
            if value > row.maximum
            else 'is below the limit'
            if value < row.minimum
            else f'is not in the table, the nearest is {nearest:.0f} Hz'
        )
    else:
        problem = 'is no frequency'
    raise SettingRefused(
        SettingResult.REFUSED_FREQUENCY,
        name,
        f'{row.name} {what} {value:.0f} Hz {problem} ({row.available[0]:.0f} to '
        f'{row.available[-1]:.0f} Hz)',
        "Take a frequency of 'available' in system_load",
    )
