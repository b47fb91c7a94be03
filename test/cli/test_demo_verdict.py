# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How phases stand: the same while the demo runs and in its summary, and whose target holds."""

from __future__ import annotations

import dataclasses
import io
import math
import random

import pytest

from dynamic_dnn_ros.cli.demo.display import LineDisplay
from dynamic_dnn_ros.cli.demo.page import as_markdown
from dynamic_dnn_ros.cli.demo.run_record import (
    DecisionRecord,
    FrameRecord,
    PhaseRecord,
    RunRecord,
)
from dynamic_dnn_ros.cli.demo.script import QUANTILE, SENDER, Goal, Phase
from dynamic_dnn_ros.cli.demo.summary import summarise
from dynamic_dnn_ros.cli.demo.texts import standing
from dynamic_dnn_ros.cli.demo.verdict import judge, told_apart
from support.demo_run import demo_run

LIMIT = 0.020


def run_of(latencies: list[float], goal: Goal | None = None) -> RunRecord:
    """Return a run of one phase from 0 s on, a frame each 0.1 s, judged from 1.5 s on."""
    seconds = 1.5 + 0.1 * len(latencies)
    run = RunRecord(accuracies={'s0': 0.9})
    run.phases = [PhaseRecord(Phase('tight', goal or Goal(latency=LIMIT), seconds), 0.0, seconds)]
    run.frames = [
        FrameRecord(1.5 + 0.1 * index, 's0', latency, True, False)
        for index, latency in enumerate(latencies)
    ]
    return run


def decision(time: float, state: str, sender: str = SENDER) -> DecisionRecord:
    asked = 'latency ≤ 80 ms' if sender else ''
    return DecisionRecord(time, state, 's0', {}, '', {}, sender, asked)


@pytest.mark.parametrize('seed', range(20))
def test_what_is_late_and_what_the_quantile_says_never_disagree(seed: int) -> None:
    generator = random.Random(seed)
    count = generator.randint(1, 120)
    latencies = [LIMIT * math.exp(generator.gauss(-0.25, 0.15)) for _ in range(count)]
    run = run_of(latencies)
    (record,) = run.phases
    verdict = judge(run, record)
    assert verdict.judged == count
    assert verdict.met == (verdict.late <= verdict.allowed) == (verdict.latency <= LIMIT)
    assert verdict.allowed == math.floor((1 - QUANTILE) * count + 1e-9)
    assert f'{verdict.late} of {count} frames late, {verdict.allowed} allowed' in verdict.text


def test_a_late_frame_that_the_quantile_allows_is_told_beside_met() -> None:
    run = run_of([0.010] * 39 + [0.030])
    assert judge(run, run.phases[0]).text == 'met: 1 of 40 frames late, 2 allowed'
    run = run_of([0.010] * 37 + [0.030] * 3)
    assert judge(run, run.phases[0]).text == ('missed by 10.0 ms: 3 of 40 frames late, 2 allowed')


def test_the_display_ends_each_phase_with_the_verdict_of_the_summary() -> None:
    run = demo_run()
    for record, phase in zip(run.phases, summarise(run)):
        last = standing(run, record.end - 1e-6)
        assert last.record is record
        assert last.verdict.words == phase.verdict
        assert (last.verdict.late, last.verdict.allowed) == (phase.late, phase.allowed)
        assert last.verdict.latency == pytest.approx(phase.p95, nan_ok=True)
        stream = io.StringIO()
        LineDisplay(stream).update(run, record.end - 1e-6, '')
        assert last.verdict.text in stream.getvalue()
        assert '| the manager says ' in stream.getvalue()


def test_nothing_is_judged_before_the_phase_has_settled() -> None:
    run = run_of([0.010] * 40)
    early = dataclasses.replace(run, frames=[FrameRecord(0.5, 's0', 0.5, True, False)])
    verdict = standing(early, 1.0).verdict
    assert (verdict.met, verdict.words, verdict.latency) == (None, 'settling', 0.5)
    assert judge(run, run.phases[0]).met


def test_the_target_of_another_sender_is_named_and_its_phase_is_not_ours() -> None:
    run = run_of([0.010] * 40)
    run.decisions = [decision(0.2, 'pending'), decision(3.0, 'met', 'alice')]
    verdict = judge(run, run.phases[0])
    assert verdict.met is None
    assert verdict.other == 'alice set latency ≤ 80 ms'
    (phase,) = summarise(run)
    assert phase.met is None and phase.expected and phase.judged == 0
    assert '| not ours: alice set latency ≤ 80 ms |' in as_markdown(run, [phase])
    # Before that it was ours.
    assert judge(run, run.phases[0], until=2.9).met


def test_what_somebody_set_in_the_phase_before_is_no_fault_of_this_one() -> None:
    run = run_of([0.010] * 40)
    run.decisions = [decision(0.1, 'met', 'alice'), decision(0.3, 'pending'), decision(2, 'met')]
    assert judge(run, run.phases[0]).met


def test_a_target_that_somebody_withdrew_is_told() -> None:
    run = run_of([0.010] * 40)
    run.decisions = [decision(0.2, 'met'), decision(3.0, 'no target', '')]
    assert judge(run, run.phases[0]).other == 'somebody withdrew the target'
    # Of a phase that asks for nothing there is nothing to withdraw.
    run = run_of([0.010] * 40, Goal(clear=True))
    run.decisions = [decision(0.1, 'met'), decision(3.0, 'no target', '')]
    assert judge(run, run.phases[0]).words == 'nothing asked'
    run.decisions.append(decision(3.5, 'pending', 'alice'))
    assert judge(run, run.phases[0]).words == 'not ours: alice set latency ≤ 80 ms'


def test_where_the_manager_said_otherwise_the_summary_says_why() -> None:
    run = run_of([0.010] * 39 + [0.030])
    run.decisions = [decision(2.0, 'missed'), decision(2.5, 'met')]
    said = told_apart(run, run.phases[0])
    assert said == (
        'In phase tight the manager said missed for 0.5 s, by the last 20 to 128 frames of what '
        'serves. The phase is judged by all of its frames: 1 of 40 frames late, 2 allowed.'
    )
    assert said in as_markdown(run, summarise(run))
    run.decisions = [decision(2.0, 'infeasible'), decision(2.5, 'met')]
    assert 'infeasible for 0.5 s, by what it expects' in told_apart(run, run.phases[0])
    run.decisions = [decision(2.0, 'pending'), decision(2.5, 'met')]
    assert told_apart(run, run.phases[0]) == ''
    missed = dataclasses.replace(run, frames=run_of([0.030] * 40).frames)
    assert 'said met for 3.0 s' in told_apart(missed, run.phases[0])


def test_quality_is_called_by_its_own_name() -> None:
    goal = Goal(latency=LIMIT, accuracy=0.95, quality='AP 50:95')
    run = run_of([0.010] * 40, goal)
    run.metric = 'AP 50:95'
    assert goal.text == 'p95 ≤ 20 ms, AP 50:95 ≥ 95.0%, least energy'
    assert judge(run, run.phases[0]).words == 'missed by 5.0% AP 50:95'
    page = as_markdown(run, summarise(run))
    assert '| AP 50:95 |' in page and 'accuracy' not in page.lower()
    run.metric = 'top-1'
    assert '| accuracy |' in as_markdown(run, summarise(run))
