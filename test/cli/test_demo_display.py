# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows while it runs, in a terminal and in a pipe."""

from __future__ import annotations

import dataclasses
import io

import pytest

from dynamic_dnn_ros.cli.demo.display import LineDisplay
from dynamic_dnn_ros.cli.demo.drawing import render, render_cameras, render_summary
from dynamic_dnn_ros.cli.demo.run_record import RunRecord
from dynamic_dnn_ros.cli.demo.summary import summarise
from dynamic_dnn_ros.cli.demo.texts import recent_frames, sparkline
from support.demo_run import demo_run


def until(run: RunRecord, time: float) -> RunRecord:
    """Return what was known of a run at a time."""
    return dataclasses.replace(
        run,
        frames=[frame for frame in run.frames if frame.time <= time],
        loads=[load for load in run.loads if load.time <= time],
        decisions=[decision for decision in run.decisions if decision.time <= time],
        switches=[switch for switch in run.switches if switch.time <= time],
    )


def drawn(renderable: object, width: int = 120) -> str:
    rich_console = pytest.importorskip('rich.console')
    console = rich_console.Console(width=width, file=io.StringIO())
    console.print(renderable)
    text = console.file.getvalue()
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize('width', [80, 120, 200])
def test_table_shows_all_that_matters(width: int) -> None:
    run = demo_run()
    text = drawn(render(until(run, 20.0), 20.0, 'cat (93%)'), width)
    joined = ' '.join(text.split())
    for expected in (
        'simulated Xavier NX',
        's5 (90.0%)',
        f'{run.phases[2].phase.goal.latency * 1e3:.3g} ms',
        'met',
        'gpu 500 of 1100 MHz',
        '4.25 W',
        '843',
        'the target changed',
        'cat (93%)',
    ):
        assert expected in joined, expected
    assert max(len(line) for line in text.splitlines()) <= width


def test_where_there_are_stages_the_table_says_how_many_leave_at_which() -> None:
    run = until(demo_run(), 20.0)
    serving = run.frames[-1].sub_network
    frames = [
        dataclasses.replace(frame, exit_stage='last' if index % 4 == 0 else 'first')
        for index, frame in enumerate(run.frames[-48:])
    ]
    staged = dataclasses.replace(run, frames=frames, stages={serving: ('first', 'last')})
    assert {frame.sub_network for frame in frames} == {serving}
    assert '75% leave at first, 25% at last' in drawn(render(staged, 20.0, ''), 120)
    assert 'leave at' not in drawn(render(run, 20.0, ''), 120)


def test_table_copes_with_a_run_that_has_only_begun() -> None:
    text = drawn(render(RunRecord(application='/inference_node'), 0.1, ''))
    assert 'no answer yet' in text
    assert 'none seen yet' in text


def test_missed_target_is_shown_with_its_distance() -> None:
    text = drawn(render(until(demo_run(), 34.0), 34.0, ''), 200)
    assert 'infeasible: latency by' in text


def test_latency_of_another_phase_does_not_count() -> None:
    run = until(demo_run(), 9.5)
    recent = recent_frames(run, 9.5)
    assert recent
    assert {frame.sub_network for frame in recent} == {'s3'}


def test_sparkline() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == '▁▅█'
    assert sparkline([]) == ''


def test_cameras_beside_the_first_have_a_row_and_a_line_each() -> None:
    run, other = until(demo_run(), 20.0), until(demo_run(seed=1), 20.0)
    other.application = '/inference_node/camera_2'
    run.others = [other]
    assert '/inference_node/camera_2' in drawn(render(run, 20.0, ''), 160).replace('\n', '')
    stream = io.StringIO()
    LineDisplay(stream).update(run, 20.0, '')
    (line,) = [one for one in stream.getvalue().splitlines() if other.application in one]
    assert 'p95' in line and ' received, ' in line
    assert 'camera_2' in drawn(render_cameras(run), 160)


def test_lines_come_once_a_second_and_name_each_phase() -> None:
    run = demo_run()
    stream = io.StringIO()
    display = LineDisplay(stream)
    display.start()
    for step in range(420):
        now = 2.0 + step * 0.1
        display.update(until(run, now), now, '')
    display.stop()
    display.report(run, summarise(run))
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if line.startswith('-- ')] == [
        f'-- {record.phase.name}: {record.phase.goal.text}' for record in run.phases
    ]
    assert 40 <= sum(' received, ' in line and ' p95 ' in line for line in lines) <= 43
    assert any('infeasible' in line for line in lines)
    assert any(line.startswith('| tight |') for line in lines)


def test_a_narrow_terminal_cuts_nothing() -> None:
    run = demo_run()
    text = drawn(render_summary(run, summarise(run)), 80)
    assert '…' not in text
    joined = ' '.join(text.split())
    for phase in summarise(run):
        assert f'{phase.name}: {phase.verdict}' in joined
        assert f'target: {phase.target}' in joined
    other = demo_run(seed=1)
    other.application = '/inference_node/camera_2'
    run.others = [other]
    for table in (render_cameras(run), render(until(run, 20.0), 20.0, '')):
        for width in (60, 80):
            text = drawn(table, width)
            assert '…' not in text and 'camera_2' in text
            assert max(len(line) for line in text.splitlines()) <= width
    joined = ' '.join(text.replace('│', ' ').split())
    assert 'network, frames and messages are real' in joined


def test_a_low_terminal_shows_every_camera() -> None:
    rich_console = pytest.importorskip('rich.console')
    run = until(demo_run(), 20.0)
    for number in (2, 3):
        run.others.append(until(demo_run(seed=number), 20.0))
        run.others[-1].application = f'/inference_node/camera_{number}'
    heights = {}
    for height in (24, 60):
        console = rich_console.Console(
            width=80, height=height, file=io.StringIO(), force_terminal=True, no_color=True
        )
        console.print(render(run, 20.0, ''))
        text = console.file.getvalue()
        heights[height] = len(text.splitlines())
        assert 'camera_3' in text and 'manager says' in text and 'are simulated' in text
    assert heights[24] <= 24 < heights[60]


def test_summary_in_the_terminal() -> None:
    run = demo_run()
    text = drawn(render_summary(run, summarise(run)), 140)
    assert ' 22.4 ' in text
