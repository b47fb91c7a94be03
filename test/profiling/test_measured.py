# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole measurement, on a tree of clocks with an engine that obeys them."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
import time
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from dynamic_dnn_ros.profiling.journal import JournalError
from dynamic_dnn_ros.profiling.measured import Measurement, Options, computer, measure_profile
from dynamic_dnn_ros.profiling.plan import MINIMUM_RUNS, ROUNDS
from support.profiled_computer import Board, ClockedEngine, Computer, Time, law

STEPS = 15 + 1 + 2
"""Of a round: the points, the idle computer, the controls."""


class Bench:
    """What a measurement in simulated time needs."""

    def __init__(self, tmp_path: Path, bundle: Bundle, **computer: Any) -> None:
        self.bundle = bundle
        self.time = Time()
        self.computer = Computer(tmp_path / 'root', **computer)
        self.options = Options(
            seconds=0.2,
            idle_seconds=0.1,
            sysfs_root=str(self.computer.root),
            work_folder=tmp_path / 'work',
            quiet=True,
        )
        self.engine = ClockedEngine(self.computer, self.time.sleep)
        self.said: list[str] = []

    def measure(self, board: Board | None = None, **options: Any) -> Measurement:
        chosen = replace(self.options, **options)
        platform = board or computer('linux', chosen)
        return measure_profile(
            self.bundle,
            self.engine,
            platform,
            chosen,
            self.said.append,
            self.time,
            self.time.sleep,
        )


@pytest.fixture
def bench(tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path, bundle)
    bench.computer.install(monkeypatch)
    return bench


def expected(profile: OperatingPoints) -> np.ndarray:
    return np.array([law(i, f) for i, f in zip(profile.sub_network, profile.frequencies)])


def test_every_setting(bench: Bench) -> None:
    measurement = bench.measure()
    profile = measurement.profile
    assert profile.kind is ProfileKind.MEASURED
    assert (profile.platform, profile.domains, profile.processors) == ('linux', ('cpu',), ('cpu',))
    assert len(profile) == 3 * 5
    assert profile.hardware
    np.testing.assert_allclose(profile.latency_mean, expected(profile), rtol=1e-6)
    assert not profile.interpolated.any()
    assert np.isnan(profile.interpolation_error)
    assert np.isnan(profile.energy).all()
    assert [said for said in measurement.notices if 'other work' not in said] == []
    assert bench.computer.limits() == [(800000, 2000000)]


def test_runs_are_many_enough_and_counted(bench: Bench) -> None:
    profile = bench.measure().profile
    fewest = max(MINIMUM_RUNS, int(0.2 / expected(profile).max()))
    assert f'{fewest} to' in profile.description


def test_the_rest_is_interpolated_and_its_error_is_stated(bench: Bench) -> None:
    profile = bench.measure(settings=3).profile
    assert len(profile) == 3 * 5
    assert profile.interpolated.sum() == 3 * 2
    np.testing.assert_allclose(profile.latency_mean, expected(profile), rtol=1e-5)
    assert profile.interpolation_error < 1e-5
    assert profile.interpolation_error <= profile.interpolation_error_maximum
    assert '3 of 5 settings measured' in profile.description
    assert np.all(profile.latency_p50 <= profile.latency_p95)


def test_an_error_of_the_interpolation_shows(bench: Bench) -> None:
    """Of an engine that is half as fast at one clock, for whatever reason."""
    bench.engine.slow_down = lambda: 2.0 if bench.computer.clocks() == [1.2e9] else 1.0
    profile = bench.measure(settings=4).profile
    assert 0.1 < profile.interpolation_error < profile.interpolation_error_maximum
    off = np.abs(
        profile.latency_mean[profile.interpolated] / expected(profile)[profile.interpolated] - 1
    )
    assert off.max() > 0.01


def test_too_few_settings_to_interpolate(bench: Bench) -> None:
    with pytest.raises(PlatformError, match=r'--settings 2.*at least 3'):
        bench.measure(settings=2)


def test_present_clocks(bench: Bench) -> None:
    for folder in bench.computer.folders:
        (folder / 'scaling_cur_freq').write_text('1600000\n')
    profile = bench.measure(settings=0).profile
    assert (profile.domains, len(profile)) == ((), 3)
    np.testing.assert_allclose(
        profile.latency_mean, [law(i, [1.6e9]) for i in range(3)], rtol=1e-6
    )
    assert 'clocks of that moment (governor schedutil)' in profile.description


def test_a_clock_without_permission_is_left_alone(bench: Bench) -> None:
    bench.computer.refused = list(bench.computer.folders)
    profile = bench.measure().profile
    assert (profile.domains, len(profile)) == ((), 3)
    assert any("'cpu' is left alone" in said and 'permission' in said for said in bench.said)


def test_a_passing_drift_is_measured_again(bench: Bench) -> None:
    """A round beside a job that runs for a while."""
    journal = bench.options.work_folder / 'linux.jsonl'

    def slow_down() -> float:
        steps = journal.read_bytes().count(b'\n') - 1 if journal.exists() else 0
        return 1.3 if STEPS <= steps < 2 * STEPS else 1.0

    bench.engine.slow_down = slow_down
    measurement = bench.measure()
    assert not any('drifted' in notice for notice in measurement.notices)
    np.testing.assert_allclose(
        measurement.profile.latency_mean, expected(measurement.profile), rtol=1e-6
    )
    steps = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    assert {step['round'] for step in steps if step['attempt'] == 1} == {1}
    assert len(steps) == (ROUNDS + 1) * STEPS


def test_a_lasting_drift_is_said(bench: Bench) -> None:
    start = bench.time.now
    bench.engine.slow_down = lambda: 1.0 + 0.05 * (bench.time.now - start)
    measurement = bench.measure()
    (notice,) = [said for said in measurement.notices if 'drifted' in said]
    assert "'s1'" in notice
    assert notice in measurement.profile.description


def test_throttling_is_said(bench: Bench) -> None:
    bench.computer.throttled_to = 1500000
    measurement = bench.measure()
    assert any('cpu ran at 1500 MHz where' in notice for notice in measurement.notices)


@pytest.mark.parametrize('runs', [5, 400, 1200])
def test_goes_on_after_an_end_anywhere(bench: Bench, runs: int) -> None:
    bench.engine.fails_after = runs
    with pytest.raises(EngineError, match='broke'):
        bench.measure()
    assert bench.computer.limits() == [(800000, 2000000)]
    journal = bench.options.work_folder / 'linux.jsonl'
    before = journal.read_bytes()
    measurement = bench.measure(resume=True)
    np.testing.assert_allclose(
        measurement.profile.latency_mean, expected(measurement.profile), rtol=1e-6
    )
    assert measurement.journal.read_bytes().startswith(before)
    steps = [line.partition('"latencies"')[0] for line in journal.read_text().splitlines()[1:]]
    assert len(set(steps)) == len(steps) == ROUNDS * STEPS
    complete = journal.read_bytes()
    bench.measure()
    assert journal.read_bytes() == complete


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        ({'threads': 2}, 'threads'),
        ({'seconds': 0.3}, 'seconds'),
        ({'picture': (64, 48)}, 'picture'),
    ],
)
def test_refuses_to_go_on_with_something_else(
    bench: Bench, change: dict[str, Any], named: str
) -> None:
    bench.measure()
    with pytest.raises(JournalError, match=rf'{named} is .*--restart'):
        bench.measure(**change)
    bench.measure(**change, restart=True)


def test_refuses_to_go_on_with_other_weights(bench: Bench) -> None:
    bench.measure()
    manifest = bench.bundle.manifest
    files = {**manifest.files, manifest.super_network.weights: '0' * 64}
    bench.bundle = replace(bench.bundle, manifest=replace(manifest, files=files))
    with pytest.raises(JournalError, match='weights_sha256'):
        bench.measure()


def test_energy_of_a_board_with_a_rail(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In real time, since the rail is read by a thread of its own."""
    monkeypatch.setattr('dynamic_dnn_ros.profiling.recorder.PERIOD', 0.005)
    bench = Bench(tmp_path, bundle, policies=3, refused=[1])
    bench.computer.install(monkeypatch)
    board = Board(bench.computer)
    bench.engine = ClockedEngine(
        bench.computer, lambda duration: time.sleep(duration / 10), board=board
    )
    options = replace(bench.options, settings=4, seconds=0.16, idle_seconds=0.02)
    measurement = measure_profile(bundle, bench.engine, board, options, bench.said.append)
    profile = measurement.profile
    assert profile.domains == ('cpu', 'memory')
    assert len(profile) == 3 * 25
    clocks = np.insert(profile.frequencies, 1, 2e9, axis=1)
    idle = np.array([board.idle_power(dict(zip(board.NAMES, row))) for row in clocks])
    measured = ~profile.interpolated
    np.testing.assert_allclose(profile.idle_power[measured], idle[measured], rtol=1e-6)
    np.testing.assert_allclose(profile.power[measured], idle[measured] + 2.0, rtol=0.1)
    np.testing.assert_allclose(
        profile.energy[measured], (profile.power * profile.latency_mean)[measured], rtol=0.1
    )
    assert np.all(profile.energy[profile.interpolated] > 0)
    assert any("'gpu' is left alone" in said for said in bench.said)


def test_this_computer_with_pytorch(tmp_path: Path, bundle: Bundle) -> None:
    options = Options(
        seconds=0.05, idle_seconds=0.05, settings=0, work_folder=tmp_path / 'work', quiet=True
    )
    platform = computer('auto', options)
    assert isinstance(platform, LinuxPlatform)
    profile = measure_profile(bundle, create_engine('torch', bundle, 1), platform, options).profile
    assert profile.sub_networks == ('s0', 's1', 's2')
    assert np.all(profile.latency_p50 <= profile.latency_p99)
    assert 'torch in float32, 1 thread' in profile.description
