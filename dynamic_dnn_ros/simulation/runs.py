# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a simulated run has come to, kept by columns. All of it is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.decisions import Decision, DomainFrequency, Switch
from dynamic_dnn_ros.management.targets import Target


class SimulatedFrame(NamedTuple):
    """
    One frame that was served.

    `arrival` and `time` of its result in seconds; `target` the latency that it was asked for, s,
    0 for none, to be kept by the share `quantile`; `inference` as it was, not as it was read;
    `path` the share of the sub-network's cost that its picture took.
    """

    arrival: float
    time: float
    inference: float
    sub_network: str
    processor: str
    accuracy: float
    target: float
    quantile: float
    path: float = 1.0

    @property
    def latency(self) -> float:
        """Return the time from arrival to result, s."""
        return self.time - self.arrival


class Sample(NamedTuple):
    """The board at a time: clocks in Hz, mean power of the time before in W, zones in Celsius."""

    time: float
    granted: tuple[float, ...]
    power: tuple[float, ...]
    temperatures: tuple[float, ...]


@dataclass
class ApplicationRun:
    """
    Frames of one application: served ones, and arrivals of all, those replaced and dropped.

    `accuracies` are of all its sub-networks.
    """

    id: str
    frames: list[SimulatedFrame] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    replaced: list[float] = field(default_factory=list)
    dropped: list[float] = field(default_factory=list)
    targets: list[tuple[float, Target | None]] = field(default_factory=list)
    switches: list[tuple[float, str]] = field(default_factory=list)
    accuracies: Mapping[str, float] = field(default_factory=dict)

    def between(self, start: float, end: float = math.inf) -> list[SimulatedFrame]:
        """Return the frames that arrived in a stretch of time and were served."""
        return [frame for frame in self.frames if start <= frame.arrival < end]

    def latencies(self, start: float = 0.0, end: float = math.inf) -> NDArray[np.float64]:
        """Return their latencies, s."""
        return np.array([frame.latency for frame in self.between(start, end)])


@dataclass
class Run:
    """
    One simulated run.

    `energy` in joules by rail, from `measured_from` on; `idle_power` watts by rail of the idle
    board at its lowest clocks; `schedulers` are those of the servers; `foreign_late` is the share
    of the time with other load for which that lagged behind. `wall`, `deciding` and `observing`
    are seconds of processor time that the run took: all of it, decisions, and what the manager
    made of frames and loads.
    """

    scenario: str
    manager: str
    governors: dict[str, str]
    domains: tuple[str, ...]
    rails: tuple[str, ...]
    total_rail: str
    zones: tuple[str, ...]
    duration: float
    measured_from: float
    seed: int
    schedulers: tuple[str, ...] = ()
    applications: dict[str, ApplicationRun] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    settings: list[tuple[float, tuple[DomainFrequency, ...] | None]] = field(default_factory=list)
    switches: list[tuple[float, Switch]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    energy: dict[str, float] = field(default_factory=dict)
    idle_power: dict[str, float] = field(default_factory=dict)
    foreign_late: float = 0.0
    clock_changes: int = 0
    events: int = 0
    wall: float = 0.0
    deciding: float = 0.0
    observing: float = 0.0

    @property
    def measured(self) -> float:
        """Return for how long figures were taken, s."""
        return self.duration - self.measured_from
