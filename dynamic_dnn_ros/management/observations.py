# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the manager is told: applications, the frames they served, and the platform's load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
import math
from typing import Any, NamedTuple
import zlib

import numpy as np

from dynamic_dnn_ros.bundles.profile import FIGURES, OperatingPoints
from dynamic_dnn_ros.management.targets import Target


class ApplicationState(IntEnum):
    """How an application presents itself; the values are those of `Application.msg`."""

    INACTIVE = 0
    ACTIVE = 1
    DEPARTED = 2


class StatusEvent(IntEnum):
    """What a status belongs to; the values are those of `InferenceStatus.msg`."""

    HEARTBEAT = 0
    SERVED = 1
    SWITCH = 2
    REJECTED = 3


_COLUMNS = {
    'sub_network': '<u2',
    'processor': '<u1',
    **dict.fromkeys(('frequencies', *FIGURES), '<f8'),
}
"""Columns of operating points, as `OperatingPoints.msg` types them."""

SWITCH_APPLIED = 1
"""`switch_result` of a switch that was applied; what lies above is a refusal."""

SWITCH_REFUSED_SUB_NETWORK = 11
SWITCH_REFUSED_PROCESSOR = 12
SWITCH_FAILED = 14


class StageShare(NamedTuple):
    """
    A stage of a sub-network, by what its bundle knows of calibration pictures.

    `work` is the share of the largest path's cost, 0..1, of a picture that leaves after it;
    `taken` the share of pictures that do.
    """

    name: str
    work: float
    taken: float


@dataclass(frozen=True, eq=False)
class Application:
    """
    One application as it presents itself.

    `accuracies` gives the accuracy of each of `operating_points.sub_networks`, by `metric` (as
    `tasks.contract.Metric` has it; empty: not said); `started` is in nanoseconds; `target` is
    the one that it echoes. `stages` has those of each sub-network that is not one piece, by its
    id, in the order in which they run. `server` names the process whose applications take turns
    on each processor by `scheduler`; empty: it takes turns with nobody.
    """

    id: str
    instance: str
    started: int
    state: ApplicationState
    operating_points: OperatingPoints
    accuracies: Mapping[str, float]
    sub_network: str
    processor: str
    bundle_sha256: str = ''
    switch_manager: str = ''
    switch_sequence: int = 0
    target: Target | None = None
    metric: str = ''
    stages: Mapping[str, tuple[StageShare, ...]] = field(default_factory=dict)
    server: str = ''
    scheduler: str = ''


@dataclass(frozen=True)
class Status:
    """
    One status of an application; stages in seconds, NaN where none belongs to it.

    `busy` holds, for each frequency domain, the seconds for which it was kept busy since the
    node started; `received` and `served` count frames since it was activated. `work` is the share
    of the largest path's cost that a served frame took, 0..1, `exit_stage` the stage after which
    it left, empty where its sub-network is one piece. `batch` frames ran together at its end.
    `sent` is when it was sent, s by the application's clock.
    """

    application: str
    instance: str
    event: StatusEvent
    sub_network: str
    processor: str
    preprocessing: float = math.nan
    inference: float = math.nan
    total: float = math.nan
    busy: Mapping[str, float] = field(default_factory=dict)
    received: int = 0
    served: int = 0
    switch_manager: str = ''
    switch_sequence: int = 0
    switch_result: int = 0
    overrun: bool = False
    message: str = ''
    work: float = 1.0
    exit_stage: str = ''
    batch: int = 1
    sent: float = math.nan

    @property
    def service(self) -> float:
        """Return preprocessing + inference, s."""
        return self.preprocessing + self.inference

    @property
    def service_of_largest_path(self) -> float:
        """Return what service would have been had its picture taken the largest path, s."""
        return self.preprocessing + self.inference / self.work


@dataclass(frozen=True)
class DomainLoad:
    """
    The state of one frequency domain; hertz and 0..1, NaN where not known.

    `available` is ascending and empty where the domain cannot be set; `requested_minimum` and
    `requested_maximum` are 0 where no setting holds.
    """

    name: str
    available: tuple[float, ...]
    limit_minimum: float
    limit_maximum: float
    granted: float
    utilisation_own: float = math.nan
    utilisation_foreign: float = math.nan
    requested_minimum: float = 0.0
    requested_maximum: float = 0.0


@dataclass(frozen=True)
class Load:
    """
    One sample of a platform; `period` in seconds, `lease_manager` empty where nobody holds.

    `power` of the whole board, W, and `temperature` of its hottest sensor, degrees Celsius; NaN
    where not measured. `power_budget` is what the power mode allows the board, W, infinite where
    it has none.
    """

    platform: str
    boot_id: str
    period: float
    domains: tuple[DomainLoad, ...]
    lease_manager: str = ''
    lease_remaining: float = 0.0
    setting_manager: str = ''
    setting_sequence: int = 0
    setting_result: int = 0
    setting_message: str = ''
    instance: str = ''
    monotonic_time: float = 0.0
    power: float = math.nan
    temperature: float = math.nan
    power_budget: float = math.inf

    def domain(self, name: str) -> DomainLoad | None:
        """Return the domain of that name, or none."""
        return next((domain for domain in self.domains if domain.name == name), None)


def points_digest(points: Any) -> str:
    """
    Return what names operating points by all that an application says of them.

    :param points: `OperatingPoints`, or a message of that name from anywhere: the digest is the
        same. Names of sub-networks are not part of it.
    """
    head = (
        str(points.platform),
        int(points.kind),
        bool(points.extrapolated),
        [str(name) for name in points.domains],
        [str(name) for name in points.processors],
        len(points.sub_network),
    )
    # Of each column, so that what was measured anew differs in many. A checksum, since hashlib
    # loads OpenSSL: 4 MB in a process that needs it for nothing else.
    parts: list[Any] = [repr(head).encode()]
    parts += [np.ascontiguousarray(getattr(points, n), kind).data for n, kind in _COLUMNS.items()]
    # Recordings of releases before these fields have none.
    batches = np.ascontiguousarray(getattr(points, 'batch_latency', ()), np.float64)
    if batches.size:
        parts += [repr(int(points.largest_batch)).encode(), batches.ravel().data]
    return ''.join(f'{zlib.crc32(part):08x}' for part in parts)
