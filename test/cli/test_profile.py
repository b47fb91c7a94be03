# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command `dynamic-dnn profile`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.bundles.profile import ProfileKind
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.cli.next_steps import serving
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.pictures.scaling import CompressedPicture, fitted
from dynamic_dnn_ros.platforms.hardware import hardware_name
from support.engines import logits
from support.images import noise
from support.profiled_computer import TREE_VARIABLE, Computer, law

PLATFORM = 'xavier_nx_simulated'
SHORT = ('--seconds-per-point', '0.05', '--idle-seconds', '0.05')
FOUND = [(800000, 2000000)]
KEY = ('round', 'attempt', 'kind', 'setting', 'processor', 'sub_network', 'position')


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    bundles = pytest.importorskip('support.bundles')
    return Path(bundles.make_bundle(tmp_path / 'synthetic').folder)


def measure(bundle: Path, *arguments: str) -> int:
    """Measure this computer; the journal lies beside the bundle."""
    work = str(bundle.parent / 'work')
    return main(
        ['profile', str(bundle), '--platform', 'linux', '--work-folder', work, *SHORT, *arguments]
    )


def test_puts_the_profile_into_the_bundle(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['profile', str(bundle), '--platform', PLATFORM]) == 0
    said = capsys.readouterr().out
    assert '(simulated, extrapolated)' in said
    assert said.splitlines()[-1] == f'next: {serving(bundle, PLATFORM)}'
    profile = read_bundle(bundle).profile(PLATFORM)
    assert profile is not None
    assert profile.kind is ProfileKind.SIMULATED
    assert profile.sub_networks == ('s0', 's1', 's2')


def test_second_call_replaces_the_profile(bundle: Path) -> None:
    for mode in ('20W_6CORE', '10W_4CORE'):
        assert main(['profile', str(bundle), '--platform', PLATFORM, '--power-mode', mode]) == 0
    (profile,) = read_bundle(bundle).profiles
    assert profile.frequencies[:, profile.domains.index('gpu')].max() == 803.25e6


def test_dry_run_leaves_the_bundle_alone(bundle: Path) -> None:
    before = read_bundle(bundle).sha256
    assert main(['profile', str(bundle), '--platform', PLATFORM, '--dry-run']) == 0
    assert read_bundle(bundle).sha256 == before


@pytest.mark.parametrize(
    ('name', 'platform', 'mode', 'words'),
    [
        ('nowhere/to/be/found', PLATFORM, '', 'nowhere/to/be/found'),
        ('', 'toaster_simulated', '', 'xavier_nx_simulated'),
        ('', 'toaster', '', 'xavier_nx_simulated'),
        ('', PLATFORM, '1W', '20W_6CORE'),
        ('', 'linux', '20W_6CORE', 'Leave --power-mode out'),
    ],
)
def test_bad_input_names_itself_and_the_remedy(
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    platform: str,
    mode: str,
    words: str,
) -> None:
    arguments = ['profile', name or str(bundle), '--platform', platform, '--power-mode', mode]
    assert main(arguments) == 1
    assert words in capsys.readouterr().err


def test_measures_this_computer(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert measure(bundle, '--settings', 'present') == 0
    said = capsys.readouterr().out
    assert '3 operating points on linux (measured)' in said
    assert 'measuring 3 sub-networks on cpu' in said
    assert said.splitlines()[-1] == f'next: {serving(bundle)}'
    profile = read_bundle(bundle).profile('linux', hardware_name())
    assert profile is not None
    assert profile.kind is ProfileKind.MEASURED
    assert profile.description in said
    assert read_bundle(bundle).profile('linux', 'another computer') is None
    # What is in the bundle is done: the next command measures anew.
    assert measure(bundle, '--settings', 'present', '--resume') == 1
    assert 'nothing to go on with' in capsys.readouterr().err


def test_measures_batches_where_it_is_asked_to(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measure(bundle, '--settings', 'present', '--batches', '4,1,2') == 0
    assert 's0: latency a picture in a batch, against one alone: 1: 1.00, 2: ' in (
        capsys.readouterr().out
    )
    profile = read_bundle(bundle).profile('linux', hardware_name())
    assert profile is not None
    assert profile.batch_latency.shape == (3, 4) and profile.largest_batch == 4
    # More take longer, and no picture more than a few times as long as alone.
    assert np.all(profile.batch_latency[:, -1] > 1.0)
    assert np.all(profile.batch_latency[:, -1] < 20.0)


@pytest.mark.parametrize('text', ['', '0', '2,x', '65', '-1'])
def test_numbers_of_pictures_that_make_no_sense_are_refused(
    bundle: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    with pytest.raises(SystemExit):
        measure(bundle, f'--batches={text}')
    assert 'is no list of numbers from 1 to 64, such as 1,2,4,8' in capsys.readouterr().err


def test_keeps_what_it_was_measured_with_and_the_accuracy(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = read_bundle(bundle)
    for index, name in enumerate(read.manifest.labels):
        (tmp_path / 'data' / name).mkdir(parents=True)
        picture = Image.fromarray(noise(32, 32, index))
        picture.save(tmp_path / 'data' / name / 'picture.png')
    data = ('--data', str(tmp_path / 'data'))
    assert measure(bundle, '--settings', 'present', *data) == 0
    profile = read_bundle(bundle).profile('linux', hardware_name())
    assert profile is not None
    assert (profile.engine, profile.precision) == ('torch', 'float32')
    assert profile.accuracy_data == '10 pictures of data'
    engine = create_engine('torch', read, 1)
    for entry, accuracy in zip(read.manifest.sub_networks, profile.accuracy):
        prepared = engine.prepare(entry, 'cpu')
        right = 0
        for index in range(10):
            raw = CompressedPicture((tmp_path / f'data/class_{index}/picture.png').read_bytes())
            picture, _ = fitted(raw, entry.size, read.manifest.preprocessing)
            right += int(logits(prepared, picture).argmax()) == index
        assert accuracy == right / 10
    assert 's0: accuracy' in capsys.readouterr().out
    assert profile.only({'s2'}).accuracy == profile.accuracy[2]
    # Without pictures, nothing is claimed.
    assert measure(bundle, '--settings', 'present', '--restart') == 0
    again = read_bundle(bundle).profile('linux', hardware_name())
    assert again is not None and len(again.accuracy) == 0


def test_dry_run_keeps_what_it_measured_for_the_next_command(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_bundle(bundle).sha256
    assert measure(bundle, '--settings', 'present', '--dry-run') == 0
    first = capsys.readouterr().out
    assert read_bundle(bundle).sha256 == before
    assert measure(bundle, '--settings', 'present', '--resume') == 0
    second = capsys.readouterr().out
    assert 'steps are taken from' in second
    figures = [line for line in first.splitlines() if line.startswith('s')]
    assert figures == [line for line in second.splitlines() if line.startswith('s')]


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--engine', 'abacus'], 'Known are: auto, torch'),
        (['--precision', 'int8'], "Ask for 'float32'"),
        (['--data', '/nowhere'], '/nowhere'),
        (['--resume'], 'nothing to go on with'),
        (['--work-folder', '/proc/nowhere'], '--work-folder'),
    ],
)
def test_bad_input_of_a_measurement(
    bundle: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    before = read_bundle(bundle).sha256
    assert measure(bundle, *arguments) == 1
    assert words in capsys.readouterr().err
    assert read_bundle(bundle).sha256 == before


@pytest.mark.parametrize(
    'arguments',
    [
        ['--settings', 'some'],
        ['--settings', '0'],
        ['--threads', '0'],
        ['--seconds-per-point', '-1'],
        ['--picture', '640'],
        ['--resume', '--restart'],
    ],
)
def test_wrong_usage(bundle: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        measure(bundle, *arguments)
    assert end.value.code == 2


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path / 'root')


@contextmanager
def command(bundle: Path, computer: Computer, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own, on a tree of clocks."""
    test = Path(__file__).parents[1]
    environment = {
        **os.environ,
        'PYTHONPATH': f'{test}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
        'XDG_RUNTIME_DIR': str(bundle.parent),
        TREE_VARIABLE: str(computer.root),
    }
    fixed = ['--platform', 'linux', '--engine', 'clocked', '--settings', '4']
    process = subprocess.Popen(
        [
            sys.executable,
            str(test / 'support/profile_command.py'),
            'profile',
            str(bundle),
            *fixed,
            *SHORT,
            '--sysfs-root',
            str(computer.root),
            *arguments,
        ],
        cwd=bundle.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_of(journal: Path) -> list[str]:
    return journal.read_text().splitlines() if journal.exists() else []


def wait_for(condition: Callable[[], bool], limit: float = 60.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, 'it did not come'
        time.sleep(0.01)


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_measurement_goes_on(
    bundle: Path, computer: Computer, number: signal.Signals
) -> None:
    """Clocks come back by the guard, the old bundle stays whole, nothing is measured twice."""
    before = read_bundle(bundle).sha256
    journal = bundle.with_name(f'{bundle.name}.profiling') / 'linux.jsonl'
    with command(bundle, computer) as process:
        wait_for(lambda: len(lines_of(journal)) > 10 and computer.limits() != FOUND)
        process.send_signal(number)
        process.wait(30)
        assert process.returncode not in (0, None)
    wait_for(lambda: computer.limits() == FOUND)
    assert read_bundle(bundle).sha256 == before
    # The last line may be cut off: it counts as not measured.
    kept = [line for line in lines_of(journal) if line.endswith('}')]
    with command(bundle, computer, '--resume') as process:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert computer.limits() == FOUND
    assert f'{len(kept) - 1} steps are taken from' in said
    finished = lines_of(journal.with_suffix('.finished.jsonl'))
    assert finished[: len(kept)] == kept
    keys = [
        tuple(value for name, value in json.loads(line).items() if name in KEY)
        for line in finished[1:]
    ]
    assert len(set(keys)) == len(keys)
    profile = read_bundle(bundle).profile('linux')
    assert profile is not None
    assert (profile.domains, len(profile)) == (('cpu',), 3 * 5)
    lowest = np.array([law(i, f) for i, f in zip(profile.sub_network, profile.frequencies)])
    assert np.all((profile.latency_mean >= lowest) | profile.interpolated)
