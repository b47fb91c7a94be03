# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a run, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

from dynamic_dnn_ros.cli.demo.run_record import DecisionRecord, FrameRecord, PhaseRecord, RunRecord
from dynamic_dnn_ros.cli.demo.script import QUANTILE
from dynamic_dnn_ros.cli.demo.summary import latency_quantile, platform_title
from dynamic_dnn_ros.cli.demo.verdict import Verdict, judge
from dynamic_dnn_ros.management.words import in_unit, limit_name, milliseconds, paths_text

#: Seconds over which the live latency is computed.
WINDOW = 2.0
#: Frames that the line of blocks shows.
SPARKS = 48
#: Names that a target may limit; messages may bring others.
LIMITS = ('latency', 'accuracy', 'energy', 'rate')
_BLOCKS = '▁▂▃▄▅▆▇█'


def recent_frames(run: RunRecord, now: float) -> list[FrameRecord]:
    """Return the frames of the present phase within the last `WINDOW` seconds."""
    record = run.phase_at(now)
    since = max(now - WINDOW, record.start if record is not None else 0.0)
    recent = []
    for frame in reversed(run.frames):
        if frame.time < since:
            break
        recent.append(frame)
    return recent[::-1]


def sparkline(values: Sequence[float]) -> str:
    """Return values as a line of blocks, from 0 to the largest."""
    highest = max(values, default=0.0)
    if highest <= 0.0:
        return ''
    last = len(_BLOCKS) - 1
    return ''.join(_BLOCKS[round(last * value / highest)] for value in values)


def frequencies_text(run: RunRecord) -> str:
    """Return the granted frequencies of the newest sample."""
    if not run.loads:
        return 'no load yet'
    parts = []
    for name, value in run.loads[-1].frequencies.items():
        shown = f'{value * 1e-6:.0f}' if math.isfinite(value) else '?'
        limit = run.frequency_limits.get(name, math.nan)
        of = f' of {limit * 1e-6:.0f}' if math.isfinite(limit) else ''
        parts.append(f'{name} {shown}{of} MHz')
    return ', '.join(parts) or 'none that can be read'


def power_text(run: RunRecord) -> str:
    """Return the board's power of the newest sample."""
    power = run.loads[-1].power if run.loads else math.nan
    return f'{power:.2f} W' if math.isfinite(power) else 'not known'


def frames_text(run: RunRecord) -> str:
    """Return how many frames came, and what became of them."""
    counts = run.counts
    text = f'{counts.received} received, {counts.served} served, {counts.replaced} replaced'
    text += f', {counts.dropped} dropped' if counts.dropped else ''
    return f'{text}, {counts.rejected} rejected' if counts.rejected else text


def taken_text(run: RunRecord) -> str:
    """Return after which stages the last frames left, empty where there are no stages."""
    serving = run.frames[-1].sub_network if run.frames else ''
    stages = run.stages.get(serving, ())
    left = [f.exit_stage for f in run.frames[-SPARKS:] if f.sub_network == serving]
    return paths_text(stages, [left.count(stage) / len(left) for stage in stages])


def state_text(run: RunRecord) -> str:
    """Return how the target stands, as the manager says by the last frames that it saw."""
    return decision_text(run.decisions[-1], run.metric) if run.decisions else 'no answer yet'


def decision_text(decision: DecisionRecord, metric: str) -> str:
    """Return how a target stood, and by how much it was missed."""
    missed = [
        f'{limit_name(name, metric)} by {in_unit(name, value)}'
        for name, value in decision.missed_by.items()
        if name in LIMITS and value > 0.0
    ]
    return f'{decision.state}: {", ".join(missed)}' if missed else decision.state


def reason_text(run: RunRecord) -> str:
    """Return the last switch and why it was sent."""
    if not run.switches:
        return 'none seen yet'
    return f'{run.switches[-1].sub_network}, because {run.switches[-1].reason}'


def honesty(run: RunRecord) -> str:
    """Return what is real and what is not."""
    if run.simulated:
        return 'latency, clocks and power are simulated; network, frames and messages are real'
    return 'all figures are measured'


def headline(run: RunRecord) -> str:
    """Return the platform, and what is real and what is not."""
    return f'{platform_title(run)}: {honesty(run)}'


@dataclass(frozen=True)
class Standing:
    """How the phase in force stands by now: the same figures as in the summary once it is over."""

    record: PhaseRecord | None
    verdict: Verdict

    @property
    def target(self) -> str:
        """Return what is asked for."""
        return self.record.phase.goal.text if self.record is not None else 'none yet'

    @property
    def latency(self) -> str:
        """Return the latency with its limit."""
        limit = self.record.phase.goal.latency if self.record is not None else 0.0
        against = f' of {limit * 1e3:.3g} ms' if limit else ''
        return f'{milliseconds(self.verdict.latency)}{against}'


def standing(run: RunRecord, now: float) -> Standing:
    """Return how the phase in force stands; before it has settled, with its last latency."""
    record = run.phase_at(now)
    verdict = judge(run, record, now) if record is not None else Verdict(None, 'no target yet')
    if math.isnan(verdict.latency):
        recent = latency_quantile(recent_frames(run, now), QUANTILE)
        verdict = replace(verdict, latency=recent)
    return Standing(record, verdict)


def manager_text(run: RunRecord) -> str:
    """Return what the manager says of the target."""
    message = run.decisions[-1].message if run.decisions else ''
    return f'{state_text(run)}; {message}' if message else state_text(run)


def platform_facts(run: RunRecord) -> list[tuple[str, str]]:
    """Return what is known of the platform, as names and texts."""
    return [('frequencies', frequencies_text(run)), ('power', power_text(run))]


def application_facts(run: RunRecord, seen: str) -> list[tuple[str, str]]:
    """Return what is known of the application, as names and texts."""
    return [
        ('frames', frames_text(run)),
        *([('paths', paths)] if (paths := taken_text(run)) else []),
        ('last switch', reason_text(run)),
        ('sees', seen or 'nothing yet'),
        ('latency', sparkline([frame.latency for frame in run.frames[-SPARKS:]])),
        ('manager', run.decisions[-1].message if run.decisions else ''),
    ]
