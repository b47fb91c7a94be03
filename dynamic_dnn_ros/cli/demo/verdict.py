# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a phase stands: by one definition, for the display while it runs and for the summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from dynamic_dnn_ros.cli.demo.run_record import DecisionRecord, PhaseRecord, RunRecord
from dynamic_dnn_ros.cli.demo.script import QUANTILE, SENDER
from dynamic_dnn_ros.cli.run_summary import frames_within, kept_by, settled_from
from dynamic_dnn_ros.management.measurements import ENOUGH, WINDOW
from dynamic_dnn_ros.management.words import milliseconds, percent, quality_title

_UNASKED = 'no target'
_MEASURED = f'the last {ENOUGH} to {WINDOW} frames of what serves'
_JUDGED_BY = {
    'met': _MEASURED,
    'missed': _MEASURED,
    'infeasible': 'what it expects of this computer',
}


@dataclass(frozen=True)
class Verdict:
    """
    How a phase stands by the frames that count: those after it has settled, without overrun.

    `met` is None where nothing can be said. Of `judged` frames `late` took longer than the target
    allows, and `allowed` may; all are 0 where no latency is asked. `latency` is theirs at
    quantile 0.95, s, and `accuracy` the least of the sub-networks that served; NaN: not known.
    `other` says who took the target from the phase, and what holds instead; empty: nobody did.
    """

    met: bool | None
    words: str
    latency: float = math.nan
    accuracy: float = math.nan
    judged: int = 0
    late: int = 0
    allowed: int = 0
    other: str = ''

    @property
    def counted(self) -> str:
        """Return how many frames were late, empty where no latency is asked."""
        if not self.judged:
            return ''
        return f'{self.late} of {self.judged} frames late, {self.allowed} allowed'

    @property
    def text(self) -> str:
        """Return the verdict with how many frames were late."""
        return f'{self.words}: {self.counted}' if self.counted else self.words


def judge(run: RunRecord, record: PhaseRecord, until: float = math.inf) -> Verdict:
    """
    Return how a phase stands.

    :param until: what came later does not count, seconds of the record
    """
    goal = record.phase.goal
    start, end = settled_from(record.start, record.end), min(record.end, until)
    frames = [frame for frame in run.frames if start <= frame.time < end]
    latencies = [frame.latency for frame in frames if not frame.overrun]
    latency = kept_by(QUANTILE, latencies)
    accuracy = min(
        (run.accuracies.get(frame.sub_network, math.nan) for frame in frames), default=math.nan
    )
    figures = (latency, accuracy)
    decisions = [one for one in run.decisions if record.start <= one.time < end]
    other = other_sender([one for one in decisions if one.time >= start], decisions, goal.clear)
    if other:
        return Verdict(None, f'not ours: {other}', *figures, other=other)
    if goal.clear:
        return Verdict(None, 'nothing asked', *figures)
    if end <= start or (not frames and end < record.end):
        return Verdict(None, 'settling', *figures)
    if goal.latency:
        late = sum(each > goal.latency for each in latencies)
        counts = (len(latencies), late, len(latencies) - frames_within(QUANTILE, len(latencies)))
    else:
        counts = (0, 0, 0)
    if goal.latency and math.isnan(latency):
        return Verdict(None, 'no figure: this computer was too busy', *figures)
    missed = []
    if goal.latency and not latency <= goal.latency:
        missed.append(milliseconds(latency - goal.latency))
    # Accuracies are figures of the bundle: equal means met, whatever the last digit.
    if goal.accuracy and not accuracy >= goal.accuracy - 1e-9:
        missed.append(f'{percent(goal.accuracy - accuracy)} {quality_title(run.metric)}')
    if not missed:
        return Verdict(True, 'met', *figures, *counts)
    announced = bool(decisions) and decisions[-1].state == 'infeasible'
    words = f'missed by {", ".join(missed)}' + (' (announced)' if announced else '')
    return Verdict(False, words, *figures, *counts)


def other_sender(
    settled: Sequence[DecisionRecord], decisions: Sequence[DecisionRecord], clear: bool
) -> str:
    """
    Return who took a phase's target from it and what holds instead, empty where nobody did.

    :param settled: those of `decisions` that count: before, the target of the last phase may
        still hold
    :param decisions: of the whole phase
    :param clear: whether the phase asks for nothing
    """
    for decision in settled:
        if decision.sender not in ('', SENDER):
            return f'{decision.sender} set {decision.asked or "a target"}'
    ours = any(one.sender == SENDER for one in decisions)
    if not clear and ours and any(one.state == _UNASKED for one in settled):
        return 'somebody withdrew the target'
    return ''


def told_apart(run: RunRecord, record: PhaseRecord) -> str:
    """Return why the manager said otherwise within a phase, empty where it did not."""
    verdict = judge(run, record)
    if verdict.met is None:
        return ''
    against = ('missed', 'infeasible') if verdict.met else ('met',)
    start = settled_from(record.start, record.end)
    said = [one for one in run.decisions if start <= one.time < record.end]
    ends = [*(one.time for one in said[1:]), record.end]
    seconds: dict[str, float] = {}
    for one, end in zip(said, ends):
        if one.state in against:
            seconds[one.state] = seconds.get(one.state, 0.0) + end - one.time
    if not seconds:
        return ''
    words = ' and '.join(
        f'{state} for {lasted:.1f} s, by {_JUDGED_BY[state]}' for state, lasted in seconds.items()
    )
    return (
        f'In phase {record.phase.name} the manager said {words}. The phase is judged by all of '
        + (f'its frames: {verdict.counted}.' if verdict.counted else 'its frames.')
    )
