# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every platform offers, and the values that pass between a platform and its user."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
import math


class PlatformError(RuntimeError):
    """A platform cannot do what was asked. The text names the input, the problem, the remedy."""

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        super().__init__(f'{where}: {problem}. {remedy}')
        self.where = str(where)
        self.problem = problem
        self.remedy = remedy


class StateError(PlatformError):
    """
    What an earlier run left behind cannot be known.

    The clocks may be as it fixed them, and must not be taken for what the operator wants.
    """


class HardwareError(PlatformError):
    """The hardware, or the kernel in front of it, refused a read or a write."""


class PlatformKind(IntEnum):
    """How a platform's figures come about; the values are those of `SystemLoad.msg`."""

    MEASURED = 1
    SIMULATED = 2


@dataclass(frozen=True)
class DomainRange:
    """Frequencies that one domain may run at, Hz: a cap, or a fixed clock where both are equal."""

    name: str
    minimum: float
    maximum: float


@dataclass(frozen=True)
class DomainLimits:
    """
    What may be set in one frequency domain.

    `available` ascends, Hz, and lies within `minimum` and `maximum`, which the operator or the
    power mode set; it is empty where the domain cannot be set.
    """

    name: str
    available: tuple[float, ...]
    minimum: float
    maximum: float


@dataclass(frozen=True)
class DomainState:
    """
    The state of one frequency domain; mirrors `FrequencyDomain.msg`.

    Frequencies in Hz, utilisations 0..1, NaN where not known. `limit_maximum` counts
    temperature too. `requested` is the setting in force, None without one.
    """

    name: str
    available: tuple[float, ...]
    limit_minimum: float
    limit_maximum: float
    requested: DomainRange | None
    granted: float
    utilisation_own: float
    utilisation_foreign: float
    governor: str


class NoticeKind(Enum):
    """What a notice is about."""

    LIMITED = 'limited'  # the hardware runs slower than it was asked to
    POWER_MODE = 'power mode'  # it was changed
    BY_HAND = 'by hand'  # somebody else changed or fixed limits
    CURRENT = 'over-current'  # the supply gives too little, or more is taken than it may give
    REFUSED = 'refused'  # a domain is left alone because a file refused
    SENSOR = 'sensor'  # a source of figures is not there


@dataclass(frozen=True)
class Notice:
    """Something about the hardware that its operator should know, with the remedy if any."""

    kind: NoticeKind
    text: str


@dataclass(frozen=True)
class PlatformSample:
    """
    One reading of a platform; mirrors the measured part of `SystemLoad.msg`.

    `power` in watts a rail, `temperatures` in degrees Celsius a zone, `memory` in bytes,
    `slow_downs` by application id, on simulated platforms only. A temperature or a power that
    cannot be read now is NaN. `power_budget` is what the power mode and the protection against
    over-current allow the whole board, W, infinite where nothing does. `notices` are those that
    hold now; each keeps its text meanwhile.
    """

    domains: tuple[DomainState, ...]
    power: Mapping[str, float] = field(default_factory=dict)
    total_power_rail: str = ''
    power_budget: float = math.inf
    temperatures: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[str, float] = field(default_factory=dict)
    slow_downs: Mapping[str, float] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class LimitsFound:
    """
    The two files of one frequency control and what they held before our first write.

    Plain data, so that a process that knows nothing else can restore it. Values are text as the
    kernel printed it, in the file's own unit.
    """

    minimum_file: str
    maximum_file: str
    minimum: str
    maximum: str


class Platform(abc.ABC):
    """
    A computer with frequency domains. Not safe for use from several threads at once.

    Times are seconds on one monotonic clock that the caller passes in, so that a simulated
    platform runs in simulated time as well.
    """

    id: str
    kind: PlatformKind
    processors: tuple[str, ...]

    @abc.abstractmethod
    def limits(self) -> tuple[DomainLimits, ...]:
        """Return what may be set now, a row for each domain."""

    @abc.abstractmethod
    def observe(
        self,
        now: float,
        application: str,
        instance: str,
        processor: str,
        busy: Mapping[str, float],
        frames: int = 0,
    ) -> None:
        """
        Take note of what one application reported.

        :param busy: seconds since this instance started for which it kept each domain busy
        :param frames: that it served since then; 0: not known
        """

    @abc.abstractmethod
    def read(self, now: float) -> PlatformSample:
        """
        Return the present state.

        A sensor that cannot be read gives NaN or no row, never an exception.
        """

    @abc.abstractmethod
    def limits_found(self) -> tuple[LimitsFound, ...]:
        """Return what a guard has to restore if this process dies from now on."""

    @abc.abstractmethod
    def apply(self, now: float, setting: Sequence[DomainRange]) -> tuple[DomainRange, ...]:
        """
        Put a setting in force; domains that are not named go back to what was found.

        :param setting: ranges that lie on the tables of `limits()`
        :return: what the hardware granted of each named domain
        :raises HardwareError: when a write was refused; what was found is restored then
        """

    @abc.abstractmethod
    def restore(self, now: float) -> None:
        """
        Put back what was found before the first setting. Does nothing where nothing is changed.

        What a file refuses stays remembered, so the next call tries again.

        :raises HardwareError: when a write was refused; everything else is restored
        """

    def close(self) -> None:  # noqa: B027 (most have nothing to let go of)
        """Let go of what reads the sensors; the clocks are `restore`'s."""
