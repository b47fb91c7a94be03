# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The summary of a run: figures, verdicts, and what makes it a failure."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from dynamic_dnn_ros.cli.demo.cameras import camera_rows
from dynamic_dnn_ros.cli.demo.page import as_json, as_markdown
from dynamic_dnn_ros.cli.demo.run_record import FrameRecord, PhaseRecord, RunRecord
from dynamic_dnn_ros.cli.demo.script import Goal, Phase
from dynamic_dnn_ros.cli.demo.summary import (
    caution,
    failures,
    latency_quantile,
    platform_place,
    platform_title,
    summarise,
)
from support.demo_run import demo_run


def frames(*latencies: float, overrun: bool = False) -> list[FrameRecord]:
    return [
        FrameRecord(0.1 * index, 's0', latency, True, overrun)
        for index, latency in enumerate(latencies)
    ]


def test_quantile_is_what_the_share_of_frames_keeps() -> None:
    latencies = [0.001 * index for index in range(1, 21)]
    kept = latency_quantile(frames(*latencies), 0.95)
    assert sum(latency <= kept for latency in latencies) / len(latencies) >= 0.95
    assert kept == pytest.approx(0.019)
    assert latency_quantile(frames(*latencies), 0.5) == pytest.approx(0.010)
    assert math.isnan(latency_quantile([], 0.95))


def test_overruns_are_no_figure_of_the_board_and_are_counted() -> None:
    run = demo_run()
    for record in run.phases:
        settled = [frame for frame in run.frames if record.start <= frame.time < record.end]
        assert settled
    (first, *_) = summarise(run)
    assert first.overruns > 0
    honest = [
        frame.latency
        for frame in run.frames
        if not frame.overrun and run.phases[0].start + 1.5 <= frame.time < run.phases[0].end
    ]
    assert first.p99 <= max(honest)
    assert first.frames == len(honest) + first.overruns
    assert 'took longer than the simulated board' in as_markdown(run, summarise(run))


def test_a_phase_without_a_figure_is_neither_met_nor_missed() -> None:
    run = demo_run()
    busy = [dataclasses.replace(frame, overrun=True) for frame in run.frames]
    for phase, record in zip(summarise(dataclasses.replace(run, frames=busy)), run.phases):
        if record.phase.goal.latency:
            assert phase.met is None and phase.expected
            assert phase.verdict == 'no figure: this computer was too busy'


def test_a_machine_that_was_too_busy_is_said_before_the_figures() -> None:
    run = demo_run()
    assert caution(summarise(run)) == ''
    frames = [dataclasses.replace(frame, overrun=True) for frame in run.frames]
    busy = dataclasses.replace(run, frames=frames)
    assert 'too busy' in caution(summarise(busy))
    page = as_markdown(busy, summarise(busy))
    assert page.index('too busy') < page.index('| phase')


def test_verdicts_of_a_run() -> None:
    run = demo_run()
    phases = summarise(run)
    assert [phase.met for phase in phases] == [True, True, True, True, False, None]
    assert all(phase.expected for phase in phases)
    impossible = phases[4]
    assert impossible.verdict.startswith('missed by ')
    assert impossible.verdict.endswith('accuracy (announced)')
    assert failures(run, phases) == []


def test_energy_is_what_the_board_draws_for_each_frame() -> None:
    run = demo_run()
    phase, record = summarise(run)[0], run.phases[0]
    seconds = record.end - record.start - 1.5
    assert phase.energy_per_frame == pytest.approx(phase.power * seconds / phase.frames)


def test_a_phase_is_judged_once_it_has_settled() -> None:
    phase = Phase('tight', Goal(latency=0.020), 4.0)
    run = RunRecord(simulated=True, accuracies={'s0': 0.9})
    run.phases = [PhaseRecord(phase, 0.0, 4.0)]
    run.frames = [
        FrameRecord(0.1 * index, 's0', 0.050 if index < 10 else 0.010, True, False)
        for index in range(40)
    ]
    (summary,) = summarise(run)
    assert summary.met
    assert summary.p99 == pytest.approx(0.010)
    run.frames = [dataclasses.replace(frame, latency=0.021) for frame in run.frames]
    (summary,) = summarise(run)
    assert summary.met is False
    assert summary.verdict == 'missed by 1.0 ms'


def test_a_chain_that_does_not_serve_or_answer_is_a_failure() -> None:
    run = demo_run()
    tight = run.phases[1]
    run.frames = [frame for frame in run.frames if not tight.start <= frame.time < tight.end]
    run.decisions = [
        decision for decision in run.decisions if not tight.start <= decision.time < tight.end
    ]
    run.loads = []
    phases = summarise(run)
    found = failures(run, phases)
    assert found == [
        "no frame was served in phase 'tight'",
        'the platform node published no load',
        "the manager did not answer the target of phase 'tight'",
    ]
    page = as_markdown(run, phases)
    assert all(problem in page for problem in found)


def test_json_says_how_the_figures_came_about() -> None:
    run = demo_run()
    run.loads = []
    content = json.loads(as_json(run, summarise(run)))
    assert content['kind'] == 'simulated'
    assert content['phases'][0]['power'] is None
    assert content['phases'][0]['sub_networks'] == {'s6': content['phases'][0]['frames']}
    assert content['frames']['replaced'] == 2


def test_page_says_that_it_is_simulated_and_extrapolated() -> None:
    run = demo_run()
    run.extrapolated = True
    page = as_markdown(run, summarise(run))
    assert 'simulated Xavier NX' in page
    assert 'extrapolated' in page
    measured = dataclasses.replace(run, simulated=False, extrapolated=False, platform='linux')
    assert platform_title(measured) == platform_place(measured) == 'this computer (Linux)'
    assert platform_place(run) == 'a simulated Xavier NX'
    nameless = dataclasses.replace(measured, platform='')
    assert platform_place(nameless) == 'this computer'
    assert 'simulated' not in as_markdown(measured, [])


def test_each_of_several_cameras_has_a_row() -> None:
    run, other = demo_run(), demo_run(seed=1)
    other.application = '/inference_node/camera_2'
    goal = Goal(latency=0.2)
    other.phases = [PhaseRecord(Phase('all', goal, 42.0), 2.0, 44.0)]
    other.counts = dataclasses.replace(other.counts, dropped=5)
    assert 'Cameras' not in as_markdown(run, summarise(run))
    run.others = [other]
    first, second = camera_rows(run)
    assert first[:3] == ['inference_node', 'see above', '–']
    assert second[:3] == ['camera_2', goal.text, 'met'] and second[-1] == '5'
    assert as_markdown(run, summarise(run)).count('| camera_2 | p95 ≤ 200 ms') == 1
    (row,) = json.loads(as_json(run, summarise(run)))['other_cameras']
    assert row['application'] == other.application and row['counts']['dropped'] == 5
    other.frames.clear()
    assert failures(run, summarise(run)) == ['no frame of /inference_node/camera_2 was served']
