# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `dynamic-dnn watch` draws of what it heard."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
import io
import threading
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is absent')

from dynamic_dnn_ros.cli.observation import Observation
from dynamic_dnn_ros.cli.system.listening import System
from dynamic_dnn_ros.cli.watch.view import lines_of, render, system_data
from dynamic_dnn_ros.client import TargetClient
from dynamic_dnn_ros.msg import (
    Application,
    Detection,
    Detections,
    FrequencyDomain,
    InferenceStatus,
    ManagerStatus,
    NamedValue,
    PerformanceTarget,
    Prediction,
    SubNetwork,
    SubNetworkSwitch,
    SystemLoad,
    TargetStatus,
)
from support.graph import LATCHED, Graph

FRONT, REAR, GONE = '/front/inference_node', '/rear/inference_node', '/gone/inference_node'


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


def messages() -> list[tuple[str, Any, Any]]:
    target = PerformanceTarget(
        application=FRONT, latency=0.025, accuracy=0.35, latency_quantile=0.9
    )
    return [
        *(
            (
                '/dynamic_dnn/application',
                Application(
                    id=name,
                    instance='x',
                    state=Application.STATE_ACTIVE,
                    metric='map_50_95',
                    sub_networks=[SubNetwork(id='s0', accuracy=0.31)],
                    sub_network='s0',
                ),
                LATCHED,
            )
            for name in (FRONT, REAR)
        ),
        (
            '/dynamic_dnn/system_load',
            SystemLoad(
                platform='xavier_nx_simulated',
                kind=SystemLoad.KIND_SIMULATED,
                domains=[FrequencyDomain(name='gpu', granted=5.1e8, limit_maximum=1.1e9)],
                power=[NamedValue(name='VDD_IN', value=4.25)],
            ),
            None,
        ),
        (
            '/dynamic_dnn/inference_status',
            InferenceStatus(
                application=FRONT,
                event=InferenceStatus.EVENT_SERVED,
                sub_network='s0',
                received=12,
                served=10,
                replaced=2,
                stages=[NamedValue(name=InferenceStatus.STAGE_TOTAL, value=0.0312)],
            ),
            None,
        ),
        (
            f'{FRONT}/sub_network_switch',
            SubNetworkSwitch(sub_network='s0', reason=SubNetworkSwitch.REASON_PLATFORM),
            LATCHED,
        ),
        (
            f'{FRONT}/detections',
            Detections(detections=[Detection(class_id=name) for name in 'abbccc']),
            None,
        ),
        (
            '/dynamic_dnn/manager_status',
            ManagerStatus(
                mode=ManagerStatus.MODE_CONTROL,
                holds_lease=True,
                decisions=7,
                targets=[
                    TargetStatus(
                        application=FRONT,
                        state=TargetStatus.STATE_MISSED,
                        metric='map_50_95',
                        target=target,
                        names=['latency', 'accuracy'],
                        required=[0.025, 0.35],
                        predicted=[0.02, 0.31],
                        measured=[0.031, float('nan')],
                        missed_by=[0.006, 0.04],
                        decision=Prediction(sub_network='s0'),
                        reason='more targets are met',
                        message='the camera is too slow',
                    ),
                    TargetStatus(
                        application=GONE,
                        state=TargetStatus.STATE_WAITING,
                        target=PerformanceTarget(application=GONE, rate=5.0),
                        names=['rate'],
                        required=[5.0],
                        predicted=[float('nan')],
                        measured=[float('nan')],
                        missed_by=[float('nan')],
                    ),
                ],
            ),
            None,
        ),
    ]


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
    'missed: latency by 6 ms, accuracy by 4.0%',
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
