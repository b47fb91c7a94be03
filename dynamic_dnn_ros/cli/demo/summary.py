# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The summary of a run: a row for each phase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
import math

from dynamic_dnn_ros.cli.demo.run_record import (
    FrameRecord,
    LoadRecord,
    PhaseRecord,
    RunRecord,
)
from dynamic_dnn_ros.cli.demo.script import QUANTILE
from dynamic_dnn_ros.cli.demo.verdict import judge, told_apart
from dynamic_dnn_ros.cli.run_summary import (
    SETTLING_SECONDS,
    SETTLING_SHARE,
    kept_by,
    settled_from,
    title_of,
)
from dynamic_dnn_ros.management.words import paths_text, percent, quality_title, quantity

COLUMNS = (
    'phase',
    'target',
    'result',
    'sub-networks',
    'p50 [ms]',
    'p95 [ms]',
    'p99 [ms]',
    'late (allowed)',
    'accuracy',
    'power [W]',
    'J a frame',
    'frames',
)


@dataclass(frozen=True)
class PhaseSummary:
    """
    One phase, without its first moments in which the system settles.

    Latencies in seconds, of frames without overrun; power in watts and energy in joules are of
    the whole board. What is not known is NaN. `met` is None where nothing was asked for, or
    nothing can be said. Of `judged` frames `late` took longer than the target, and `allowed` may:
    all 0 where no latency was asked for. `exits` has the frames that left after each stage, of
    the sub-networks that have several.
    """

    name: str
    target: str
    met: bool | None
    expected: bool
    verdict: str
    late: int
    allowed: int
    judged: int
    sub_networks: dict[str, int]
    frames: int
    overruns: int
    p50: float
    p95: float
    p99: float
    accuracy: float
    power: float
    energy_per_frame: float
    frequencies: dict[str, float]
    exits: dict[str, dict[str, int]] = field(default_factory=dict)


def latency_quantile(frames: Sequence[FrameRecord], quantile: float) -> float:
    """Return a quantile of the latencies, s, of frames without overrun; NaN without frames."""
    return kept_by(quantile, (frame.latency for frame in frames if not frame.overrun))


def summarise(run: RunRecord) -> list[PhaseSummary]:
    """Return a summary of each phase."""
    return [_summarise_phase(run, record) for record in run.phases]


def _summarise_phase(run: RunRecord, record: PhaseRecord) -> PhaseSummary:
    start, end = settled_from(record.start, record.end), record.end
    frames = [frame for frame in run.frames if start <= frame.time < end]
    loads = [load for load in run.loads if start <= load.time < end]
    verdict = judge(run, record)
    power = _mean([load.power for load in loads])
    return PhaseSummary(
        name=record.phase.name,
        target=record.phase.goal.text,
        met=verdict.met,
        expected=verdict.met is None or verdict.met == record.phase.possible,
        verdict=verdict.words,
        late=verdict.late,
        allowed=verdict.allowed,
        judged=verdict.judged,
        sub_networks=dict(Counter(frame.sub_network for frame in frames).most_common()),
        frames=len(frames),
        overruns=sum(frame.overrun for frame in frames),
        p50=latency_quantile(frames, 0.5),
        p95=verdict.latency,
        p99=latency_quantile(frames, 0.99),
        accuracy=verdict.accuracy,
        power=power,
        energy_per_frame=power * (end - start) / len(frames) if frames else math.nan,
        frequencies=_mean_frequencies(loads),
        exits=_exits(run, frames),
    )


def _exits(run: RunRecord, frames: Sequence[FrameRecord]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for frame in frames:
        stages = run.stages.get(frame.sub_network, ())
        if frame.exit_stage in stages:
            counts = found.setdefault(frame.sub_network, dict.fromkeys(stages, 0))
            counts[frame.exit_stage] += 1
    return found


def failures(run: RunRecord, phases: Sequence[PhaseSummary]) -> list[str]:
    """
    Return what makes the run a failure; a missed target is none, as it can be the machine's.

    A chain that does not serve, or is not managed, is one.
    """
    found = []
    for phase in phases:
        if not phase.frames:
            found.append(f'no frame was served in phase {phase.name!r}')
    found += [f'no frame of {one.application} was served' for one in run.others if not one.frames]
    if not run.loads:
        found.append('the platform node published no load')
    answered = {record.phase.name: False for record in run.phases if not record.phase.goal.clear}
    for decision in run.decisions:
        record = run.phase_at(decision.time)
        if record is not None and decision.state != 'no target':
            answered[record.phase.name] = True
    found += [
        f'the manager did not answer the target of phase {name!r}'
        for name, was in answered.items()
        if not was
    ]
    return found


def columns(run: RunRecord) -> list[str]:
    """Return the titles of the columns, accuracy by its own name."""
    return [quality_title(run.metric) if title == 'accuracy' else title for title in COLUMNS]


def cells(phase: PhaseSummary) -> list[str]:
    """Return the cells of a phase's row, under `COLUMNS`."""
    return [
        phase.name,
        phase.target,
        phase.verdict,
        ', '.join(_served_by(name, phase.exits.get(name, {})) for name in phase.sub_networks)
        or '–',
        *(quantity(value * 1e3, '.1f') for value in (phase.p50, phase.p95, phase.p99)),
        f'{phase.late} of {phase.judged} ({phase.allowed})' if phase.judged else '–',
        percent(phase.accuracy),
        quantity(phase.power, '.2f'),
        quantity(phase.energy_per_frame, '.3f'),
        str(phase.frames),
    ]


def _served_by(name: str, left: dict[str, int]) -> str:
    """Return a sub-network, and where pictures left it."""
    total = sum(left.values())
    if not total:
        return name
    return f'{name} ({paths_text(list(left), [count / total for count in left.values()])})'


def caution(phases: Sequence[PhaseSummary]) -> str:
    """Return why the figures are not to be trusted, empty where they are."""
    frames = sum(phase.frames for phase in phases)
    if 2 * sum(phase.overruns for phase in phases) <= frames:
        return ''
    return (
        'This machine was too busy for the demo: most frames took longer on it than on the '
        'simulated board, so the figures are those of few. Run it again when less else runs.'
    )


def notes(run: RunRecord, phases: Sequence[PhaseSummary]) -> list[str]:
    """Return what has to be known to read the figures."""
    if run.simulated:
        first = (
            'Latency, from the arrival of a frame to the publication of its result, frequencies, '
            'power and energy are **simulated**; power and energy are of the whole board. '
        )
        if run.stand_ins:
            first += (
                'The networks are **stand-ins** that compute nothing and find nothing. Their '
                f'latencies at the highest clocks were measured by others ({run.stand_ins}); how '
                'they follow the clocks, and all power, are assumed. Accuracies are given, not '
                'measured.'
            )
        else:
            first += 'The network runs for real on real frames, and all messages travel over DDS.'
    else:
        first = (
            'Latency, from the arrival of a frame to the publication of its result, is '
            '**measured** on this machine.'
        )
    judged = (
        f'Each phase is judged without its first {SETTLING_SECONDS:g} s (at most '
        f'{SETTLING_SHARE:.0%} of it), in which manager and network settle. A frame is late that '
        f'took longer than the target allows; of each {round(1 / (1 - QUANTILE))} frames one may '
        f'be, as the target is about p{QUANTILE * 100:g}. '
        f"{_quality(run)} is that of the sub-networks on the bundle's own test data, the least "
        'where several served.'
    )
    lines = [first, judged, *filter(None, (told_apart(run, record) for record in run.phases))]
    if any('(announced)' in phase.verdict for phase in phases):
        lines.append(
            'Announced: the manager said at once that nothing on this board meets the target, '
            'and served the nearest point.'
        )
    if run.extrapolated and not run.stand_ins:
        lines.append(
            'This network was never measured on the board: its simulated latencies are '
            'extrapolated.'
        )
    overruns = sum(phase.overruns for phase in phases)
    if overruns:
        lines.append(
            f'In {overruns} of {sum(phase.frames for phase in phases)} frames this machine took '
            'longer than the simulated board would have; their latencies are left out of every '
            'figure.'
        )
    elif run.simulated:
        lines.append('No frame took longer on this machine than on the simulated board.')
    return lines


def _quality(run: RunRecord) -> str:
    name = quality_title(run.metric)
    if name != 'accuracy':
        return name
    return f'Accuracy ({run.metric})' if run.metric else 'Accuracy'


def platform_text(run: RunRecord) -> str:
    """Return the platform and how its figures come about."""
    if run.stand_ins:
        return f'{platform_title(run)} (`{run.platform}`), latencies of {run.stand_ins}'
    if run.simulated:
        return f'{platform_title(run)} (`{run.platform}`): nothing here was measured on that board'
    return f'{platform_title(run)}, measured'


def platform_title(run: RunRecord) -> str:
    """Return the platform as people call it, e.g. `simulated Xavier NX`."""
    name = title_of(run.platform, run.simulated, '')
    if run.simulated:
        return name
    return f'this computer ({name})' if name else 'this computer'


def platform_place(run: RunRecord) -> str:
    """Return the platform as it stands after `on`."""
    return f'a {platform_title(run)}' if run.simulated else platform_title(run)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _mean_frequencies(loads: Sequence[LoadRecord]) -> dict[str, float]:
    names = sorted({name for load in loads for name in load.frequencies})
    return {
        name: _mean([load.frequencies.get(name, math.nan) for load in loads]) for name in names
    }
