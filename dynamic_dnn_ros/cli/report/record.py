# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A run in plain values, recorded or simulated: what reports are made of. Also as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from dynamic_dnn_ros.management.targets import LateFrames, Objective, Target, TargetError
from dynamic_dnn_ros.storage import write_whole

FORMAT = 'dynamic_dnn_ros run 1'

STAGES = ('waiting', 'preprocessing', 'inference', 'parked', 'decoding', 'tracking')
"""Parts of the latency of a frame, as `InferenceStatus` names them."""


class ReportError(ValueError):
    """Something that no report can be made of: what, why, and the remedy."""


class Frame(NamedTuple):
    """
    A served frame: `time` of its result and `latency`, s.

    `limit` is the latency that it was asked for, s, 0 for none, to be kept by the share
    `quantile`; `overrun` tells that it is kept out of figures; `stages` has s by the places of
    `STAGES`, NaN where a stage was not told. `path` is the stage of the network after which its
    picture left, empty for one piece or where it was not told; `work` the share of the largest
    path's cost that it took.
    """

    time: float
    latency: float
    sub_network: str
    limit: float
    quantile: float
    overrun: bool
    stages: tuple[float, ...]
    path: str = ''
    work: float = 1.0

    @property
    def arrival(self) -> float:
        """Return when its picture came, s."""
        return self.time - self.latency


class TargetChange(NamedTuple):
    """A target that came into force, or None where it was withdrawn."""

    time: float
    target: Target | None


class Standing(NamedTuple):
    """How a target stood, says the manager: in words, and misses in the units of limits."""

    time: float
    state: str
    missed_by: Mapping[str, float]
    message: str


class SwitchNote(NamedTuple):
    """A switch to another sub-network; `explanation` is why the manager decided as it did."""

    time: float
    sub_network: str
    reason: str
    explanation: str


class BoardSample(NamedTuple):
    """The board: clocks in Hz, power of the whole board in W, hottest zone in degrees Celsius."""

    time: float
    clocks: Mapping[str, float]
    power: float
    temperature: float


@dataclass
class ApplicationRecord:
    """
    One application.

    `accuracies` by sub-network, of the bundle's own test data; counts are of the frames while the
    run was recorded; `missing` served ones are not in the recording.
    """

    id: str
    bundle: str = ''
    engine: str = ''
    metric: str = ''
    accuracies: dict[str, float] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    targets: list[TargetChange] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)
    switches: list[SwitchNote] = field(default_factory=list)
    received: int = 0
    replaced: int = 0
    rejected: int = 0
    dropped: int = 0
    missing: int = 0


@dataclass
class RunRecord:
    """
    A run. Times are seconds from its beginning; figures are taken from `measured_from` on.

    `started` is the time of day, s since 1970, NaN where there is none; `events` are marked in
    pictures; `notes` say what a reader has to know; `energy_gap` is the longest time, s, for
    which one sample of the power holds.
    """

    name: str
    platform: str = ''
    simulated: bool = False
    manager: str = ''
    started: float = math.nan
    duration: float = 0.0
    measured_from: float = 0.0
    energy_gap: float = 1.0
    applications: dict[str, ApplicationRecord] = field(default_factory=dict)
    samples: list[BoardSample] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def write_run(run: RunRecord, path: Path) -> None:
    """Write a run as JSON; what is not known is null."""
    content = {'format': FORMAT, **asdict(run)}
    text = json.dumps(_without_nan(content), allow_nan=False, separators=(',', ':'))
    write_whole(path, text.encode())


def read_run(path: Path) -> RunRecord:
    """
    Read what `write_run` wrote.

    :raises ReportError: when the file is something else
    """
    try:
        content = json.loads(path.read_bytes())
        if content.pop('format') != FORMAT:
            raise ValueError('it is of another version')
        return _run_of(content)
    except (
        AttributeError,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        RecursionError,
        OverflowError,
    ) as error:
        raise ReportError(
            f'{path}: is no run that can be read ({error}). Give the folder of a recording, or '
            'what `dynamic-dnn simulate --record` wrote'
        ) from error


def _path_of(rest: Sequence[Any]) -> tuple[str, float]:
    """Return path and work, which runs of earlier releases do not have."""
    if not rest:
        return '', 1.0
    path, work = rest
    return str(path), _number(work)


def _run_of(content: dict[str, Any]) -> RunRecord:
    applications = {}
    for name, row in content.pop('applications').items():
        frames = [
            Frame(
                _number(time),
                _number(latency),
                str(sub_network),
                _number(limit),
                _number(quantile),
                bool(overrun),
                tuple(map(_number, stages)),
                *_path_of(rest),
            )
            for time, latency, sub_network, limit, quantile, overrun, stages, *rest in row.pop(
                'frames'
            )
        ]
        targets = [
            TargetChange(_number(time), _target_of(target)) for time, target in row.pop('targets')
        ]
        standings = [
            Standing(_number(time), str(state), _numbers(missed), str(message))
            for time, state, missed, message in row.pop('standings')
        ]
        switches = [
            SwitchNote(_number(time), *map(str, words)) for time, *words in row.pop('switches')
        ]
        accuracies = _numbers(row.pop('accuracies'))
        applications[str(name)] = ApplicationRecord(
            frames=frames,
            targets=targets,
            standings=standings,
            switches=switches,
            accuracies=accuracies,
            **row,
        )
    samples = [
        BoardSample(_number(time), _numbers(clocks), _number(power), _number(temperature))
        for time, clocks, power, temperature in content.pop('samples')
    ]
    events = [(_number(time), str(text)) for time, text in content.pop('events')]
    started = _number(content.pop('started'))
    return RunRecord(
        applications=applications, samples=samples, events=events, started=started, **content
    )


def _target_of(row: Mapping[str, Any] | None) -> Target | None:
    if row is None:
        return None
    values = dict(row)
    values['objective'] = Objective(values['objective'])
    values['late_frames'] = LateFrames(values['late_frames'])
    return Target(**values)


def target_in_message(message: Any) -> Target | None:
    """Return the target of a `PerformanceTarget` that was recorded; None where it is none."""
    if not message.application:
        return None
    try:
        return Target(
            application=message.application,
            latency=float(message.latency),
            latency_quantile=float(message.latency_quantile),
            accuracy=float(message.accuracy),
            energy=float(message.energy),
            rate=float(message.rate),
            priority=int(message.priority),
            objective=Objective(int(message.objective)),
            late_frames=LateFrames(int(message.late_frames)),
            sender=message.sender,
        )
    except (TargetError, ValueError):
        return None


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): _number(value) for name, value in row.items()}


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
