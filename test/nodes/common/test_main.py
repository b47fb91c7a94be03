# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import signal
import subprocess
import sys

import pytest

from dynamic_dnn_ros.nodes.common.main import EXECUTOR_PARAMETER

SCRIPT = """
import sys
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from dynamic_dnn_ros.nodes.common.main import EXECUTOR_PARAMETER, chosen_executor, run

class Node(ManagedNode):
    PARAMETERS = (EXECUTOR_PARAMETER,)

    def __init__(self):
        super().__init__('node')
        self.calls = 0
        self.create_timer(0.05, self.call)

    def call(self):
        self.calls += 1
        if self.calls < 4:
            raise RuntimeError('a bad message')
        if self.calls == 4:
            print('goes on', flush=True)

    def clean_up(self):
        print('cleaned up', flush=True)

sys.exit(run(Node, make_executor=chosen_executor))
"""


@contextlib.contextmanager
def started(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a script with arguments of ROS."""
    with subprocess.Popen(
        [sys.executable, '-c', script, '--ros-args', *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
        # Under nohup the tests, and so their children, have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize('executor', EXECUTOR_PARAMETER.choices)
def test_goes_on_after_a_failed_callback_and_ends_in_order(
    domain_id: int, executor: str, number: int
) -> None:
    with started(SCRIPT, '-p', f'executor:={executor}') as process:
        assert process.stdout is not None
        assert process.stdout.readline() == 'goes on\n'
        process.send_signal(number)
        output, errors = process.communicate(timeout=20.0)
    assert process.returncode == 0
    assert output == 'cleaned up\n'
    assert 'a bad message' in errors
    assert errors.count('A callback failed') == 1


CONFIGURED_AND_CLEANED_UP = """
import gc
import sys
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from dynamic_dnn_ros.nodes.common.main import run

class Node(ManagedNode):
    def __init__(self):
        super().__init__('node')
        self.create_timer(0.05, self.call)

    def call(self):
        print(self.configured, gc.get_freeze_count() > 1000, flush=True)
        if self.active:
            self.trigger_deactivate()
            self.trigger_cleanup()

sys.exit(run(Node))
"""


def test_collections_leave_out_what_a_configured_node_keeps(domain_id: int) -> None:
    with started(CONFIGURED_AND_CLEANED_UP) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.terminate()
        process.communicate(timeout=20.0)
    assert lines == ['True True\n', 'False False\n']


COLLECTS = """
import gc
import sys
from dynamic_dnn_ros.nodes.common import memory
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from dynamic_dnn_ros.nodes.common.main import run

memory.COLLECTION_PERIOD = 0.2
gc.disable()

def tell(phase, about):
    if phase == 'start':
        print(about['generation'], gc.get_freeze_count() > 1000, flush=True)

gc.callbacks.append(tell)
sys.exit(run(lambda: ManagedNode('node')))
"""


def test_a_configured_node_collects_garbage_again_and_again(domain_id: int) -> None:
    with started(COLLECTS) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.terminate()
        process.communicate(timeout=20.0)
    # The first one comes before what there is is frozen.
    assert lines == ['2 False\n', *['2 True\n'] * 3]
