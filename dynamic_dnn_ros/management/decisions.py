# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the manager decides, as values; the numbers of the enums are those of the messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
import math

from dynamic_dnn_ros.management.targets import Target


class Mode(IntEnum):
    """Whether decisions are carried out; the values are those of `ManagerStatus.msg`."""

    CONTROL = 1
    ADVISE = 2


class PlatformState(IntEnum):
    """How fresh the platform's load is; the values are those of `ManagerStatus.msg`."""

    NONE = 0
    FRESH = 1
    STALE = 2


class SwitchReason(IntEnum):
    """Why an application is switched; the values are those of `SubNetworkSwitch.msg`."""

    TARGET = 1
    MEASUREMENT = 2
    PLATFORM = 3
    APPLICATION = 4
    ENERGY = 5
    TARGET_ECHO = 6
    HARDER = 8
    EASIER = 9


class TargetState(IntEnum):
    """How a target stands; the values are those of `TargetStatus.msg`."""

    NO_TARGET = 0
    PENDING = 1
    MET = 2
    MISSED = 3
    INFEASIBLE = 4
    WAITING = 5
    REFUSED = 6
    ANSWERED = 7


class Constraint(IntEnum):
    """What keeps a decision from a better one; the values are those of `TargetStatus.msg`."""

    NONE = 0
    LATENCY = 1
    ACCURACY = 2
    ENERGY = 3
    RATE = 4
    PLATFORM = 5


@dataclass(frozen=True)
class Prediction:
    """
    What is expected of one operating point; NaN where not known.

    `frequencies` in hertz by domain, `latency` in seconds at the target's quantile with waiting,
    `energy` in joules for one inference, `power` in watts of the whole board.
    """

    sub_network: str = ''
    processor: str = ''
    frequencies: tuple[tuple[str, float], ...] = ()
    latency: float = math.nan
    accuracy: float = math.nan
    energy: float = math.nan
    power: float = math.nan


@dataclass(frozen=True)
class Switch:
    """
    A sub-network to serve from the next frame on, with the target in force.

    `again` tells that it was sent before, and not answered yet.
    """

    application: str
    sequence: int
    sub_network: str
    processor: str
    reason: SwitchReason
    prediction: Prediction
    target: Target | None
    again: bool = False


@dataclass(frozen=True)
class DomainFrequency:
    """The frequencies, Hz, that one domain may run at: fixed where both are equal."""

    name: str
    minimum: float
    maximum: float


@dataclass(frozen=True)
class TargetReport:
    """
    How one application's target stands.

    `names`, `required`, `predicted`, `measured` and `missed_by` are rows, one for each limit
    that the target sets; `metric` is what accuracy is here; `reason` says why the decision was
    made. `stages` are those of the sub-network in force, none where it is of one piece, and
    `stage_shares` tell what share of the pictures leaves after each, as learnt of this scene;
    `difficulty` is that of its pictures, 1 as at calibration.
    """

    application: str
    state: TargetState
    target: Target | None = None
    names: tuple[str, ...] = ()
    required: tuple[float, ...] = ()
    predicted: tuple[float, ...] = ()
    measured: tuple[float, ...] = ()
    missed_by: tuple[float, ...] = ()
    binding_constraint: Constraint = Constraint.NONE
    decision: Prediction = field(default_factory=Prediction)
    runner_up: Prediction = field(default_factory=Prediction)
    runner_up_reason: str = ''
    slow_down: float = 1.0
    slow_down_deviation: float = 0.0
    reason: str = ''
    message: str = ''
    metric: str = ''
    stages: tuple[str, ...] = ()
    stage_shares: tuple[float, ...] = ()
    difficulty: float = 1.0


@dataclass(frozen=True)
class Decision:
    """
    The outcome of one call of `Manager.decide`.

    `switches` are to be sent now; `domains` are the frequencies decided on; `setting` are those
    to lease, none when the clocks are to be left to the governors.
    """

    time: float
    switches: tuple[Switch, ...]
    domains: tuple[DomainFrequency, ...]
    setting: tuple[DomainFrequency, ...] | None
    reports: tuple[TargetReport, ...]
    platform_state: PlatformState
    power: float
    message: str = ''
