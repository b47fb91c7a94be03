# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn report`: figures as others have them, pages, and what is wrong said plainly."""

from __future__ import annotations

from collections.abc import Callable
import json
import math
from pathlib import Path
import re

import pytest
from rosbags.rosbag2 import StoragePlugin

from dynamic_dnn_ros.cli.demo.summary import latency_quantile
from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.cli.observation import Observation
from dynamic_dnn_ros.cli.report.figures import run_figures
from dynamic_dnn_ros.cli.report.page import page
from dynamic_dnn_ros.cli.report.record import (
    STAGES,
    ApplicationRecord,
    Frame,
    RunRecord,
    read_run,
    write_run,
)
from dynamic_dnn_ros.cli.report.recording import read_bag
from dynamic_dnn_ros.cli.report.simulated import run_record
from dynamic_dnn_ros.cli.run_chart import draw_run
from dynamic_dnn_ros.simulation.figures import energy, figures
from dynamic_dnn_ros.simulation.runner import OURS, Job, boards_of
from dynamic_dnn_ros.simulation.runner import run as simulate
from dynamic_dnn_ros.simulation.scenario import Scenario
from dynamic_dnn_ros.simulation.workloads import workloads
from support.recordings import (
    APPLICATION,
    RATE,
    SECONDS,
    Row,
    latency_of,
    rows_of_a_run,
    write_recording,
)
from support.scenarios import mapping

pytest.importorskip('matplotlib')


@pytest.fixture(scope='module')
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of one run."""
    return write_recording(tmp_path_factory.mktemp('bags') / 'drive', rows_of_a_run())


def test_figures_are_those_that_watch_has_of_the_same_messages(tmp_path: Path) -> None:
    rows = rows_of_a_run(counted_before=1000)
    heard = Observation(APPLICATION, lambda: 0.0)
    for _, name, message in rows:
        if name == 'InferenceStatus':
            heard.on_status(message)
        elif name == 'SubNetworkSwitch':
            heard.on_switch(message)
    found = run_figures(read_bag(write_recording(tmp_path / 'bag', rows), 'bag'))
    (one,) = found.applications

    assert one.served == heard.run.counts.served - 1000 == SECONDS * RATE
    assert one.received == heard.run.counts.received - 1000
    assert one.replaced == heard.run.counts.replaced == 3
    assert one.switches == len(heard.run.switches) == 2
    for share, value in ((0.5, one.p50), (0.95, one.p95), (0.99, one.p99)):
        assert value == latency_quantile(heard.run.frames, share)


def test_accuracy_has_the_name_of_its_metric(recording: Path) -> None:
    def titles(*runs: RunRecord) -> set[str]:
        shown = page(runs, [run_figures(run) for run in runs], '0')
        return set(re.findall('<th[^>]*>([^<]*)</th>', shown))

    run, other = (read_bag(recording, name) for name in ('drive', 'other'))
    assert 'accuracy' in titles(run)
    for one in run.applications.values():
        one.metric = 'map_50_95'
    assert 'AP 50:95' in titles(run) and 'accuracy' not in titles(run)
    # Two kinds on one page: a column that both are in has both names.
    assert 'AP 50:95 or accuracy' in titles(run, other)


def test_judges_targets_by_frames(recording: Path) -> None:
    found = run_figures(read_bag(recording, 'drive'))
    first, second = found.verdicts
    # One frame in ten takes 60 ms; those with an overrun (frames 49, 99, ...) do not count.
    frames = range(SECONDS * RATE)
    kept = [latency_of(f) for f in frames if f % 50 != 49]
    late = [latency_of(f) for f in frames if f % 50 != 49 and f >= 100 and latency_of(f) > 0.05]
    assert found.on_time == pytest.approx(1 - len(late) / len(kept))
    assert (first.met, first.missed, first.said) == (True, (), {'met': pytest.approx(1.0)})
    assert second.met is False
    assert second.missed == ('10 ms',)
    assert second.on_time == pytest.approx(0.92, abs=0.02)
    assert set(second.said) == {'missed'}
    assert (first.accuracy, second.accuracy) == pytest.approx((0.9, 0.8))


def test_energy_and_stages_are_summed_from_what_was_recorded(recording: Path) -> None:
    found = run_figures(read_bag(recording, 'drive'))
    assert found.energy == pytest.approx(5.0 * SECONDS)
    assert found.power == pytest.approx(5.0)
    assert found.hottest == pytest.approx(42.0)
    (one,) = found.applications
    assert one.stages['waiting'] == pytest.approx((0.002, 0.002))
    mean = sum(part for part, _ in one.stages.values())
    kept = [latency_of(f) for f in range(SECONDS * RATE) if f % 50 != 49]
    assert mean == pytest.approx(sum(kept) / len(kept))


def test_tells_where_pictures_left(tmp_path: Path) -> None:
    rows = rows_of_a_run()
    served = [message for _, name, message in rows if name == 'InferenceStatus']
    served = [message for message in served if message.event == message.EVENT_SERVED]
    for number, message in enumerate(served):
        message.exit_stage, message.work = ('rest', 1.0) if number % 4 == 3 else ('early', 0.4)
    run = read_bag(write_recording(tmp_path / 'bag', rows), 'bag')
    figures_of_run = run_figures(run)
    (one,) = figures_of_run.applications
    assert one.paths == pytest.approx({'early': 0.75, 'rest': 0.25}, abs=0.02)
    assert list(one.paths) == ['early', 'rest']
    assert one.work == pytest.approx(0.55, abs=0.01)
    assert 'leave at early, 2' in page([run], [figures_of_run], '0')


def test_power_that_was_not_recorded_is_left_out_and_said(tmp_path: Path) -> None:
    rows = [row for row in rows_of_a_run() if row[1] != 'SystemLoad' or not 5 < row[0] % 10 < 9]
    found = run_figures(read_bag(write_recording(tmp_path / 'bag', rows), 'bag'))
    assert found.energy_time == pytest.approx(12.0, abs=0.3)
    assert found.energy == pytest.approx(5.0 * found.energy_time)

    bare = [row for row in rows if row[1] == 'InferenceStatus']
    run = read_bag(write_recording(tmp_path / 'bare', bare), 'bare')
    assert math.isnan(run_figures(run).energy)
    assert any('No system_load' in note for note in run.notes)
    assert any('No manager_status' in note for note in run.notes)


def test_frames_that_the_recorder_missed_are_told(tmp_path: Path) -> None:
    rows = [row for place, row in enumerate(rows_of_a_run()) if place % 40 != 20]
    lost = SECONDS * RATE - sum(row[1] == 'InferenceStatus' for row in rows)
    run = read_bag(write_recording(tmp_path / 'bag', rows), 'bag')
    assert lost
    assert any(f'{lost} served frames of {APPLICATION}' in note for note in run.notes)


@pytest.mark.parametrize('jump', [3600.0, -3600.0, -5.0])
def test_a_clock_that_jumps_changes_no_figure(tmp_path: Path, jump: float) -> None:
    rows = rows_of_a_run()
    middle = rows[0][0] + SECONDS / 2
    moved = [(t + jump if t > middle else t, name, m) for t, name, m in rows]
    expected = run_figures(read_bag(write_recording(tmp_path / 'steady', rows), 'steady'))
    run = read_bag(write_recording(tmp_path / 'jumps', moved), 'jumps')
    found = run_figures(run)
    (note,) = [note for note in run.notes if 'clock' in note]
    assert f'{jump:+.1f} s' in note
    assert found.applications[0].p95 == expected.applications[0].p95
    assert found.served == expected.served
    if jump != -5.0:  # otherwise two times lie over each other
        assert found.energy == pytest.approx(expected.energy, rel=0.02)
        assert found.seconds == pytest.approx(expected.seconds, abs=0.2)
        assert [one.met for one in found.verdicts] == [one.met for one in expected.verdicts]


def test_a_simulated_run_has_the_figures_of_the_simulation(tmp_path: Path) -> None:
    scenario = Scenario.from_mapping(mapping(duration=8.0))
    networks = workloads(scenario, boards_of(scenario)(''), tmp_path, lambda _: ())
    made = simulate(Job(scenario, networks, OURS, {}, 3))
    for own in run_record(made, scenario).applications.values():
        # Those that did not serve too, so that colours hang on the bundle alone.
        assert own.accuracies.keys() > {frame.sub_network for frame in own.frames}
    write_run(run_record(made, scenario), tmp_path / 'run.json')
    found = run_figures(read_run(tmp_path / 'run.json'))
    for ours, theirs in zip(found.applications, figures(made)):
        assert ours.served == theirs.frames
        assert ours.on_time == pytest.approx(1 - theirs.late)
        assert ours.accuracy == pytest.approx(theirs.accuracy)
        assert ours.p95 == pytest.approx(theirs.p95, rel=0.02)
        assert ours.replaced + ours.dropped == round((1 - theirs.served) * ours.received)
    assert found.energy == pytest.approx(energy(made, made.total_rail), rel=0.01)


def test_writes_one_page_that_needs_nothing_else(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / 'page.html'
    assert main(['report', str(recording), '--output', str(output)]) == 0
    printed = capsys.readouterr().out
    assert '1 of 2 targets met. Missed: /front/inference_node at 0:10.0' in printed
    text = output.read_text()
    assert 'missed by 10 ms' in text
    assert 'a target changed: more targets are met' in text
    assert not re.search(r'<script|<link|src="(?!data:)|https?://', text)
    assert text.count('<img') == 2
    assert len(text) < 500_000


def test_shows_runs_side_by_side(recording: Path, tmp_path: Path) -> None:
    write_run(read_bag(recording, 'saved'), tmp_path / 'saved.json')
    output = tmp_path / 'page.html'
    runs = [str(recording), str(tmp_path / 'saved.json')]
    assert main(['report', *runs, '--output', str(output)]) == 0
    text = output.read_text()
    assert '<h2>Differences</h2>' in text
    assert 'saved (difference)' in text
    assert text.count('alt="time lines of') == 2
    # They are the same, so nothing differs.
    assert re.search(r'<td>energy</td><td class=n>100 J</td>.*?<td class=n>100 J \(\+0\)', text)


def test_sqlite_and_mcap_give_the_same(recording: Path, tmp_path: Path) -> None:
    other = write_recording(tmp_path / 'bag', rows_of_a_run(), storage=StoragePlugin.SQLITE3)
    assert run_figures(read_bag(other, 'a')) == run_figures(read_bag(recording, 'a'))


def test_names_in_a_recording_are_no_markup(tmp_path: Path) -> None:
    name = '/<script>alert(1)</script>$\\frac{$'
    bag = write_recording(tmp_path / 'bag', rows_of_a_run(name))
    assert main(['report', str(bag), '--output', str(tmp_path / 'page.html')]) == 0
    text = (tmp_path / 'page.html').read_text()
    assert '<script' not in text
    assert '/&lt;script&gt;alert(1)' in text


def test_prints_figures_for_scripts(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / 'page.html')
    assert main(['report', str(recording), '--output', output, '--json']) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row['energy'] == pytest.approx(100.0)
    assert [one['met'] for one in row['verdicts']] == [True, False]


def _no_bag(folder: Path) -> Path:
    return folder


def _absent(folder: Path) -> Path:
    return folder / 'absent'


def _half_written(folder: Path) -> Path:
    path = write_recording(folder / 'bag', rows_of_a_run())
    (path / 'metadata.yaml').unlink()
    return path


def _truncated(folder: Path) -> Path:
    path = write_recording(folder / 'bag', rows_of_a_run())
    (file,) = path.glob('*.mcap')
    file.write_bytes(file.read_bytes()[:20_000])
    return path


def _damaged_database(folder: Path) -> Path:
    path = write_recording(folder / 'bag', rows_of_a_run(), storage=StoragePlugin.SQLITE3)
    (file,) = path.glob('*.db3')
    file.write_bytes(b'no database' * 100)
    return path


def _damaged_metadata(folder: Path) -> Path:
    path = write_recording(folder / 'bag', rows_of_a_run())
    (path / 'metadata.yaml').write_text('[')
    return path


def _without_us(folder: Path) -> Path:
    rows: list[Row] = [row for row in rows_of_a_run() if row[1] == 'SystemLoad']
    return write_recording(folder / 'bag', rows)


def _foreign_json(folder: Path) -> Path:
    path = folder / 'run.json'
    path.write_text('{"format": "dynamic_dnn_ros run 1", "name": "x", "applications": {"a": 3}}')
    return path


@pytest.mark.parametrize(
    ('make', 'part'),
    [
        (_no_bag, 'is no bag'),
        (_absent, 'is not there'),
        (_half_written, 'ros2 bag reindex'),
        (_truncated, 'cannot be read'),
        (_damaged_database, 'cannot be read'),
        (_damaged_metadata, 'cannot be read'),
        (_without_us, 'has no inference_status'),
        (_foreign_json, 'is no run that can be read'),
    ],
)
def test_says_what_is_wrong_with_a_recording(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    part: str,
) -> None:
    path = make(tmp_path)
    output = tmp_path / 'page.html'
    assert main(['report', str(path), '--output', str(output)]) == 1
    error = capsys.readouterr().err
    assert f'dynamic-dnn report: {path}' in error
    assert part in error
    assert not output.exists()


def test_refuses_a_page_that_cannot_be_written(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for output in (tmp_path, tmp_path / 'absent' / 'page.html'):
        assert main(['report', str(recording), '--output', str(output)]) == 1
        assert 'Name a file.html' in capsys.readouterr().err


def test_pictures_of_long_runs_stay_small(tmp_path: Path) -> None:
    none = (math.nan,) * len(STAGES)
    frames = [
        Frame(0.03 * i, 0.02 + 0.01 * (i % 7), f's{i % 3}', 0.05, 0.95, False, none)
        for i in range(5_000)
    ]
    run = RunRecord('long', duration=150.0, events=[(1.0, 'an event'), (2.0, 'another')])
    run.applications['/a'] = ApplicationRecord('/a', frames=frames)
    run.applications['/silent'] = ApplicationRecord('/silent')
    path = tmp_path / 'run.svg'
    with path.open('wb') as file:
        draw_run(run, file)
    assert 20_000 < path.stat().st_size < 700_000
