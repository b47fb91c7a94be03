# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: frames on time, latency, targets met and missed, energy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
import math
import statistics

from dynamic_dnn_ros.cli.report.record import STAGES, ApplicationRecord, Frame, RunRecord
from dynamic_dnn_ros.cli.run_summary import kept_by, settled_from
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.management.words import in_unit, target_text
from dynamic_dnn_ros.simulation.figures import ACCURACY_TOLERANCE, RATE_TOLERANCE

FEWEST = 5
"""Frames from which on a target is judged."""


@dataclass(frozen=True)
class ApplicationFigures:
    """
    One application, from `measured_from` on; s and shares 0..1, NaN for what is not known.

    `on_time` is the share of the `asked` frames, those with a latency target, that kept it;
    `stages` has mean and 0.95 quantile of each part of the latency; frames with an overrun of the
    computer that simulates count as served and are in no other figure. `paths` has the share of
    the frames of networks with stages that left after each of them, `work` the mean share of the
    largest path's cost.
    """

    id: str
    served: int
    overruns: int
    asked: int
    on_time: float
    p50: float
    p95: float
    p99: float
    accuracy: float
    received: int
    replaced: int
    rejected: int
    dropped: int
    switches: int
    stages: dict[str, tuple[float, float]]
    paths: dict[str, float]
    work: float


@dataclass(frozen=True)
class Verdict:
    """
    How one target was kept while it was in force, from `start` to `end`, s.

    `met` is None where too few frames tell; `missed` says by how much; `on_time` is the share of
    frames within the latency, `latency` that at the target's quantile, s; `said` has the share of
    the time for which the manager said each state.
    """

    application: str
    start: float
    end: float
    target: str
    met: bool | None
    missed: tuple[str, ...]
    frames: int
    quantile: float
    on_time: float
    latency: float
    limit: float
    accuracy: float
    said: dict[str, float]


@dataclass(frozen=True)
class RunFigures:
    """
    A run from `measured_from` on: energy in J over `energy_time` s, power in W, degrees Celsius.

    `served` counts frames of all applications, `on_time` is the share of the `asked` ones.
    """

    name: str
    seconds: float
    served: int
    asked: int
    on_time: float
    met: int
    judged: int
    energy: float
    energy_time: float
    power: float
    hottest: float
    switches: int
    applications: tuple[ApplicationFigures, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def energy_per_frame(self) -> float:
        """Return J of the whole board for each served frame."""
        return self.energy / self.served if self.served else math.nan


def run_figures(run: RunRecord) -> RunFigures:
    """Return the figures of a run."""
    applications = tuple(
        application_figures(one, run.measured_from, run.duration)
        for one in run.applications.values()
    )
    verdicts = tuple(
        verdict
        for one in run.applications.values()
        for verdict in verdicts_of(one, run.measured_from, run.duration)
    )
    energy, covered = energy_of(run)
    asked = sum(one.asked for one in applications)
    kept = sum(one.on_time * one.asked for one in applications if one.asked)
    heat = [s.temperature for s in run.samples if s.time >= run.measured_from]
    return RunFigures(
        run.name,
        run.duration - run.measured_from,
        sum(one.served for one in applications),
        asked,
        kept / asked if asked else math.nan,
        sum(one.met is True for one in verdicts),
        sum(one.met is not None for one in verdicts),
        energy,
        covered,
        energy / covered if covered else math.nan,
        max(filter(math.isfinite, heat), default=math.nan),
        sum(one.switches for one in applications),
        applications,
        verdicts,
    )


def application_figures(one: ApplicationRecord, start: float, end: float) -> ApplicationFigures:
    """Return the figures of the frames that came between two times."""
    frames = [frame for frame in one.frames if start <= frame.arrival < end]
    shown = [frame for frame in frames if not frame.overrun]
    asked = [frame for frame in shown if frame.limit > 0]
    return ApplicationFigures(
        one.id,
        len(frames),
        len(frames) - len(shown),
        len(asked),
        sum(f.latency <= f.limit for f in asked) / len(asked) if asked else math.nan,
        quantile(shown, 0.5),
        quantile(shown, 0.95),
        quantile(shown, 0.99),
        _accuracy(one, shown),
        one.received,
        one.replaced,
        one.rejected,
        one.dropped,
        sum(start <= switch.time < end for switch in one.switches),
        _stages(shown),
        _paths(shown),
        statistics.fmean(frame.work for frame in shown) if shown else 1.0,
    )


def quantile(frames: Sequence[Frame], share: float) -> float:
    """Return the smallest latency that a share of the frames keeps, s; NaN without frames."""
    return kept_by(share, (frame.latency for frame in frames))


def _accuracy(one: ApplicationRecord, frames: Iterable[Frame]) -> float:
    known = [one.accuracies.get(frame.sub_network, math.nan) for frame in frames]
    known = [value for value in known if math.isfinite(value)]
    return statistics.fmean(known) if known else math.nan


def _paths(frames: Sequence[Frame]) -> dict[str, float]:
    """Return the share of those frames with paths that left after each stage, most work last."""
    left = [frame for frame in sorted(frames, key=lambda frame: frame.work) if frame.path]
    counts = Counter(frame.path for frame in left)
    return {path: count / len(left) for path, count in counts.items()}


def _stages(frames: Sequence[Frame]) -> dict[str, tuple[float, float]]:
    """Return mean and 0.95 quantile of each stage that was told, and of what is left."""
    found = {}
    for place, name in enumerate(STAGES):
        values = [f.stages[place] for f in frames if math.isfinite(f.stages[place])]
        if values:
            # Where a stage is told of some frames only, the others had none of it.
            zeros = [0.0] * (len(frames) - len(values))
            found[name] = statistics.fmean(values + zeros), kept_by(0.95, values + zeros)
    rest = [f.latency - sum(filter(math.isfinite, f.stages)) for f in frames]
    if rest and statistics.fmean(rest) > 0.01 * statistics.fmean(f.latency for f in frames):
        found['other'] = statistics.fmean(rest), kept_by(0.95, rest)
    return found


def energy_of(run: RunRecord) -> tuple[float, float]:
    """
    Return the energy of the whole board, J, and the seconds that it is known for.

    Each sample of the power holds for the time since the one before, at most `energy_gap`.
    """
    energy, covered, before = 0.0, 0.0, run.measured_from
    for sample in run.samples:
        span = sample.time - before
        if span <= 0:
            continue
        before = sample.time
        if math.isfinite(sample.power) and span <= run.energy_gap:
            energy += sample.power * span
            covered += span
    return (energy, covered) if covered else (math.nan, 0.0)


def verdicts_of(one: ApplicationRecord, start: float, end: float) -> list[Verdict]:
    """Return how each target was kept that was in force between two times."""
    changes = [*one.targets, None]
    found = []
    for change, following in pairwise(changes):
        if change is None or change.target is None:
            continue
        begin = max(change.time, start)
        finish = min(following.time if following is not None else end, end)
        if begin < finish:
            found.append(_verdict(one, change.target, begin, finish))
    return found


def _verdict(one: ApplicationRecord, target: Target, begin: float, finish: float) -> Verdict:
    settled = settled_from(begin, finish)
    came = [frame for frame in one.frames if settled <= frame.arrival < finish]
    frames = [frame for frame in came if not frame.overrun]
    latency, accuracy = quantile(frames, target.quantile), _accuracy(one, frames)
    missed = []
    if target.latency and latency > target.latency:
        missed.append(f'{(latency - target.latency) * 1e3:.3g} ms')
    if target.accuracy and accuracy < target.accuracy * (1 - ACCURACY_TOLERANCE):
        missed.append(f'{in_unit("accuracy", target.accuracy - accuracy)} accuracy')
    rate = len(came) / (finish - settled)
    if target.rate and rate < target.rate * (1 - RATE_TOLERANCE):
        missed.append(f'{target.rate - rate:.2g} Hz')
    said = _said(one, begin, finish)
    if target.energy:
        # Only the manager knows the energy of one application.
        own = [
            row.missed_by['energy']
            for row in one.standings
            if settled <= row.time < finish and row.missed_by.get('energy', 0) > 0
        ]
        if own and said.get('met', 0.0) < 0.5:
            missed.append(f'{in_unit("energy", statistics.median(own))}, says the manager')
    judged = len(frames) >= FEWEST
    return Verdict(
        one.id,
        begin,
        finish,
        target_text(target, one.metric),
        not missed if judged else None,
        tuple(missed) if judged else (),
        len(frames),
        target.quantile,
        sum(f.latency <= target.latency for f in frames) / len(frames)
        if frames and target.latency
        else math.nan,
        latency,
        target.latency,
        accuracy,
        said,
    )


def _said(one: ApplicationRecord, begin: float, finish: float) -> dict[str, float]:
    """Return for which share of a time the manager said what of the target."""
    shares: dict[str, float] = {}
    for row, end in zip(one.standings, [*(r.time for r in one.standings[1:]), finish]):
        span = min(end, finish) - max(row.time, begin)
        if span > 0:
            shares[row.state] = shares.get(row.state, 0.0) + span / (finish - begin)
    return shares
