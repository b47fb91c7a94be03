# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo as its user starts it: all four nodes, real DDS, and its end in every case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import threading
import time

from PIL import Image
import psutil
import pytest

from dynamic_dnn_ros.cli.demo import signals
from dynamic_dnn_ros.parent_death import end_with_parent
from support.bag_player import read_bag
from support.bundles import make_bundle
from support.process import executable

pytestmark = [pytest.mark.system, pytest.mark.slow]
pytest.importorskip('matplotlib')
pytest.importorskip('rich')

NODES = {'camera_node', 'inference_node', 'manager_node', 'platform_node'}
TIMEOUT = 240.0


class Demo:
    """A running demo."""

    def __init__(self, folder: Path, bundle: Path, arguments: list[str]) -> None:
        self.output = folder / 'output'
        self.log = folder / 'demo.log'
        with self.log.open('wb') as log:
            self.process = psutil.Popen(
                [
                    str(executable('dynamic-dnn')),
                    'demo',
                    *('--bundle', str(bundle), '--output', str(self.output)),
                    *arguments,
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, 'PYTHONUNBUFFERED': '1'},
                preexec_fn=end_with_parent,
            )
        self.family: set[psutil.Process] = set()
        self.shared_memory: set[str] = set()

    @property
    def text(self) -> str:
        return self.log.read_text()

    def watch(self) -> None:
        """Note which processes belong to it, and what they have in shared memory."""
        try:
            self.family |= {self.process, *self.process.children(recursive=True)}
        except psutil.NoSuchProcess:
            return
        for member in self.family:
            try:
                maps = Path(f'/proc/{member.pid}/maps').read_text()
            except OSError:
                continue
            self.shared_memory |= set(re.findall(r'/dev/shm/fast\w+', maps))

    def wait_for(self, condition: Callable[[], object], timeout: float = TIMEOUT) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, self.text
            self.watch()
            time.sleep(0.05)

    def wait(self) -> int:
        self.wait_for(lambda: self.process.poll() is not None)
        return int(self.process.wait())

    def assert_nothing_is_left(self) -> None:
        assert {name for member in self.names() for name in NODES if name in member} == NODES
        _, alive = psutil.wait_procs(self.family, timeout=10.0)
        assert not alive
        assert self.shared_memory
        # Ports are shared with the participants of other tests that run at the same time.
        left = [name for name in self.shared_memory if Path(name).exists() and not mapped(name)]
        assert not left

    def names(self) -> list[str]:
        return [path.stem for path in (self.output / 'logs').iterdir()]


def mapped(name: str) -> bool:
    """Tell whether a living process has a file in its memory."""
    for process in psutil.process_iter():
        try:
            if name in Path(f'/proc/{process.pid}/maps').read_text():
                return True
        except OSError:
            continue
    return False


StartDemo = Callable[..., Demo]


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('bundle')
    make_bundle(folder)
    return folder


@pytest.fixture
def start_demo(tmp_path: Path, bundle: Path) -> Iterator[StartDemo]:
    """Start the demo, and end it with the test."""
    demos: list[Demo] = []

    def start(*arguments: str) -> Demo:
        demos.append(Demo(tmp_path, bundle, list(arguments)))
        return demos[-1]

    yield start
    for demo in demos:
        demo.watch()
        for member in demo.family:
            if member.is_running():
                member.kill()


def test_signals_that_are_ignored_stay_so() -> None:
    """As SIGHUP under nohup."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signals.handle_signals()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_whole_run(start_demo: StartDemo, tmp_path: Path) -> None:
    demo = start_demo(
        '--seconds', '9', '--transport', 'compressed', '--record', str(tmp_path / 'bag')
    )
    assert demo.wait() == 0, demo.text
    content = json.loads((demo.output / 'summary.json').read_text())
    assert content['kind'] == 'simulated'
    assert content['platform'] == 'xavier_nx_simulated'
    assert content['failures'] == []
    assert [phase['name'] for phase in content['phases']] == [
        'relaxed',
        'tight',
        'accurate',
        'frugal',
        'impossible',
        'withdrawn',
    ]
    assert all(phase['frames'] for phase in content['phases'])
    assert content['phases'][4]['met'] is False
    assert content['frames']['served'] > 50
    assert 'simulated Xavier NX' in (demo.output / 'summary.md').read_text()
    with Image.open(demo.output / 'demo.png') as picture:
        assert picture.width > 1000
    assert 'simulated Xavier NX' in demo.text
    assert '-- tight: p95' in demo.text
    recorded = {record.message_type.split('/')[-1] for record in read_bag(tmp_path / 'bag')}
    assert recorded >= {
        'Application',
        'Classification',
        'CompressedImage',
        'InferenceStatus',
        'ManagerInputs',
        'ManagerStatus',
        'PerformanceTarget',
        'SubNetworkSwitch',
        'SystemLoad',
    }
    demo.assert_nothing_is_left()


def test_source_that_cannot_be_opened(start_demo: StartDemo, tmp_path: Path) -> None:
    demo = start_demo('--video', 'absent.mp4')
    assert demo.wait() == 1
    assert '/camera_node did not start' in demo.text
    assert f'{tmp_path / "absent.mp4"} does not exist. Check the path' in demo.text
    assert not (demo.output / 'summary.md').exists()
    demo.assert_nothing_is_left()


def test_node_that_dies_ends_the_demo(start_demo: StartDemo) -> None:
    demo = start_demo('--seconds', '60')
    demo.wait_for(lambda: '-- relaxed' in demo.text)
    (manager,) = [
        member
        for member in demo.family
        if any(part.endswith('/manager_node') for part in member.cmdline())
    ]
    manager.send_signal(signal.SIGKILL)
    assert demo.wait() == 1
    assert 'manager_node ended with exit code -9. The end of its log' in demo.text
    demo.assert_nothing_is_left()


def test_a_signal_that_becomes_another_error_interrupts_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What rclpy's bindings make of an exception that a signal raises inside them."""

    class Converting:
        def spin_once(self, timeout_sec: float) -> None:
            try:
                signal.raise_signal(signal.SIGTERM)
            except KeyboardInterrupt:
                pass
            raise RuntimeError('Unable to convert call argument')

    monkeypatch.setattr(signals, '_interrupted', threading.Event())
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    signals.handle_signals()
    try:
        with pytest.raises(KeyboardInterrupt):
            signals.spin_once(Converting())
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupted(start_demo: StartDemo, number: signal.Signals) -> None:
    demo = start_demo('--seconds', '60')
    demo.wait_for(lambda: '-- relaxed' in demo.text)
    demo.process.send_signal(number)
    assert demo.wait() == 130, demo.text
    assert 'interrupted' in demo.text
    assert 'Traceback' not in demo.text
    demo.assert_nothing_is_left()
