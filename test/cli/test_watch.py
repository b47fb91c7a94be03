# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `dynamic-dnn watch` draws of what it heard."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
import io
import re
import threading
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is absent')

from dynamic_dnn_ros.cli.observation import Observation
from dynamic_dnn_ros.cli.system.listening import System
from dynamic_dnn_ros.cli.watch.view import lines_of, render, system_data
from dynamic_dnn_ros.client import TargetClient
from dynamic_dnn_ros.msg import Application, InferenceStatus
from support.graph import LATCHED, Graph
from support.robot_messages import FRONT, GONE, REAR, messages


@pytest.fixture
def system(graph: Graph) -> Iterator[System]:
    """Hear a robot with two applications that speak, and one that is away."""
    with TargetClient(timeout=10.0) as client:
        system = System(client)
        for topic, message, quality in messages():
            publisher = graph.publisher(type(message), topic, quality)
            # The client itself hears these too.
            twice = topic.endswith(('/application', '/manager_status'))
            graph.wait_for_subscriptions(publisher, 2 if twice else 1)
            # Until they have heard of the publisher too, best effort is no effort.
            graph.spin_until(partial(client.node.count_publishers, topic))
            publisher.publish(message)
        graph.spin_until(
            lambda: (
                FRONT in system.observations
                and system.has_manager
                and system.has_platform
                and system.observations[FRONT].run.frames
                and system.observations[FRONT].run.switches
                and system.observations[FRONT].seen
                and system.observations[FRONT].run.decisions
            )
        )
        yield system


EXPECTED = (
    'simulated Xavier NX',
    'gpu 510 of 1100 MHz',
    '4.25 W',
    'in control, holds the clocks, 7 decisions',
    FRONT,
    REAR,
    GONE,
    's0 (31.0%)',
    '31.2 ms of 25 ms',
    'p90',
    'missed: latency by 6 ms, AP 50:95 by 4.0%',
    'waiting',
    '12 received, 10 served, 2 replaced',
    's0, because the platform or its load changed',
    '3 c, 2 b, 1 a',
    'the camera is too slow',
)


def test_lines_hold_all_that_matters(system: System) -> None:
    text = '\n'.join(lines_of(system))
    for expected in (*EXPECTED, 'accuracy (AP 50:95) ≥ 35.0%', f'{GONE}: not there'):
        assert expected in text, expected


def test_table_holds_all_that_matters(system: System) -> None:
    rich_console = pytest.importorskip('rich.console')
    console = rich_console.Console(width=200, file=io.StringIO())
    console.print(render(system))
    joined = ' '.join(console.file.getvalue().split())
    for expected in (*EXPECTED, 'dynamic-dnn watch on simulated Xavier NX'):
        assert expected in joined, expected


def test_a_narrow_terminal_cuts_nothing(system: System) -> None:
    rich_console = pytest.importorskip('rich.console')
    for width in (60, 80):
        console = rich_console.Console(
            width=width, height=60, file=io.StringIO(), force_terminal=True, no_color=True
        )
        console.print(render(system))
        text = _plain(console.file.getvalue())
        assert '…' not in text
        letters = _letters(text)
        for expected in (*EXPECTED, 'accuracy (AP 50:95) ≥ 35.0%', 'messages are real'):
            assert _letters(expected) in letters, expected
        for line in text.splitlines():
            assert len(line) <= width


def test_a_table_that_fits_cuts_nothing_either(system: System) -> None:
    rich_console = pytest.importorskip('rich.console')
    for width in (90, 100, 120):
        console = rich_console.Console(width=width, file=io.StringIO())
        console.print(render(system))
        text = console.file.getvalue()
        assert '…' not in text and FRONT in text
        assert max(len(line) for line in text.splitlines()) <= width


def test_a_low_terminal_shows_all_applications_and_says_what_it_leaves_out(
    system: System,
) -> None:
    rich_console = pytest.importorskip('rich.console')
    console = rich_console.Console(
        width=80, height=24, file=io.StringIO(), force_terminal=True, no_color=True
    )
    console.print(render(system))
    text = _plain(console.file.getvalue())
    assert len(text.splitlines()) <= 24
    for expected in (FRONT, REAR, GONE, 'AP 50:95 by 4.0%', 'waiting', '--once'):
        assert _letters(expected) in _letters(text), expected
    assert 'last switch' not in text


def _plain(text: str) -> str:
    return re.sub(r'\x1b\[[0-9;]*m', '', text)


def _letters(text: str) -> str:
    """Return a text without frame and blanks, so that it is found wherever its lines break."""
    return re.sub(r'[\s│╭╮╰╯─]', '', text)


def test_data_hold_the_same(system: System) -> None:
    data = system_data(system)
    front = data['applications'][FRONT]
    assert front['latency'] == pytest.approx(0.0312)
    assert front['target']['metric'] == 'map_50_95'
    assert front['target']['reason'] == 'more targets are met'
    assert front['last_switch']['reason'] == 'the platform or its load changed'
    assert data['applications'][GONE]['presented'] is None
    assert data['applications'][REAR]['target'] is None
    assert data['platform']['frequencies'] == {'gpu': 5.1e8}


def test_an_application_that_leaves_is_shown_no_more(system: System, graph: Graph) -> None:
    publisher = graph.publisher(Application, '/dynamic_dnn/application', LATCHED)
    graph.wait_for_subscriptions(publisher)
    publisher.publish(Application(id='<script>'))  # no name of a topic
    publisher.publish(Application(id=REAR, state=Application.STATE_DEPARTED))
    graph.spin_until(lambda: REAR not in system.observations)
    assert REAR not in '\n'.join(lines_of(system))


def test_a_long_watch_keeps_a_bounded_record() -> None:
    clock = iter(range(10_000))
    observation = Observation(FRONT, lambda: float(next(clock)), keep=10)
    for _ in range(1000):
        observation.on_status(
            InferenceStatus(application=FRONT, event=InferenceStatus.EVENT_SERVED)
        )
    assert 10 <= len(observation.run.frames) <= 20
    assert observation.run.frames[-1].time == 999.0


def test_what_is_waited_for_is_not_waited_for_under_the_lock(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that hears others takes the lock: with it held, nothing would come."""
    client = system._client
    free: list[bool] = []

    def take() -> None:
        free.append(system.lock.acquire(timeout=1.0))
        if free[-1]:
            system.lock.release()

    def look() -> None:
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()

    for name in ('applications', 'targets'):
        real = getattr(client, name)

        def looking(real: Any = real) -> Any:
            look()
            return real()

        monkeypatch.setattr(client, name, looking)
    assert system.has_heard_all in (True, False)
    lines_of(system), system_data(system)
    assert len(free) >= 4 and all(free)
