# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was observed during a run, in plain values: the source of table, summary and picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynamic_dnn_ros.cli.demo.script import Phase


@dataclass(frozen=True)
class FrameRecord:
    """
    A served frame. `time` and the latency, arrival to publication of the result, in s.

    `exit_stage` is the stage after which its picture left, empty where there are none. `stamp` is
    the image's, ns.
    """

    time: float
    sub_network: str
    latency: float
    simulated: bool
    overrun: bool
    exit_stage: str = ''
    stamp: int = 0


@dataclass(frozen=True)
class LoadRecord:
    """A sample of the platform: hertz, watts, degrees Celsius; NaN where it is not known."""

    time: float
    frequencies: Mapping[str, float]
    power: float
    temperature: float


@dataclass(frozen=True)
class DecisionRecord:
    """
    What the manager said of the application's target.

    `required` are its limits, `missed_by` how far they are missed, both in the limits' units.
    `asked` is the target in words and `sender` who asked for it; empty: there is none, or nobody
    says.
    """

    time: float
    state: str
    sub_network: str
    missed_by: Mapping[str, float]
    message: str
    required: Mapping[str, float] = field(default_factory=dict)
    sender: str = ''
    asked: str = ''


@dataclass(frozen=True)
class SwitchRecord:
    """A switch that the manager sent, and why."""

    time: float
    sub_network: str
    reason: str


@dataclass(frozen=True)
class PhaseRecord:
    """A phase of the script and when it was in force, s."""

    phase: Phase
    start: float
    end: float


@dataclass(frozen=True)
class FrameCounts:
    """Frames since the application was activated."""

    received: int = 0
    served: int = 0
    replaced: int = 0
    rejected: int = 0
    dropped: int = 0


@dataclass
class RunRecord:
    """
    Everything that was observed. Times are seconds since the start of the observation.

    `metric` is what accuracies are, as people call it; `stand_ins` names the table of latencies
    where networks that compute nothing stood in for measured ones; `stages` has the names of
    those of each sub-network that has several. `others` are records of cameras whose targets stay
    what they are, each with one phase.
    """

    application: str = ''
    bundle: str = ''
    engine: str = ''
    platform: str = ''
    source: str = ''
    metric: str = ''
    stand_ins: str = ''
    simulated: bool = False
    extrapolated: bool = False
    accuracies: dict[str, float] = field(default_factory=dict)
    stages: dict[str, tuple[str, ...]] = field(default_factory=dict)
    frequency_limits: dict[str, float] = field(default_factory=dict)
    phases: list[PhaseRecord] = field(default_factory=list)
    frames: list[FrameRecord] = field(default_factory=list)
    loads: list[LoadRecord] = field(default_factory=list)
    decisions: list[DecisionRecord] = field(default_factory=list)
    switches: list[SwitchRecord] = field(default_factory=list)
    counts: FrameCounts = FrameCounts()
    result: str = ''
    others: list[RunRecord] = field(default_factory=list)

    def phase_at(self, time: float) -> PhaseRecord | None:
        """Return the phase in force at a time."""
        for record in reversed(self.phases):
            if record.start <= time:
                return record
        return None
