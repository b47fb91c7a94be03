# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Real nodes are recorded; the same manager object decides the same from the recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.cli.replay import answer, compared, read
from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.msg import ManagerStatus, PerformanceTarget
from dynamic_dnn_ros.simulation.replay import decide_again, what_if
from support.application import APPLICATION_TOPIC, STATUS_TOPIC, Application
from support.bag_player import PACKAGE
from support.bag_recorder import BagRecorder
from support.graph import Graph
from support.images import image_message, noise
from support.process import NodeProcess

pytestmark = pytest.mark.system

TOPICS = {
    APPLICATION_TOPIC: f'{PACKAGE}/msg/Application',
    STATUS_TOPIC: f'{PACKAGE}/msg/InferenceStatus',
    '/dynamic_dnn/performance_target': f'{PACKAGE}/msg/PerformanceTarget',
    '/dynamic_dnn/system_load': f'{PACKAGE}/msg/SystemLoad',
    '/dynamic_dnn/manager_status': f'{PACKAGE}/msg/ManagerStatus',
    '/dynamic_dnn/manager_inputs': f'{PACKAGE}/msg/ManagerInputs',
}


def test_recorded_nodes_decide_the_same_again(
    graph: Graph,
    start_node: Callable[..., NodeProcess],
    synthetic_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with BagRecorder(graph, tmp_path / 'bag', TOPICS):
        start_node('platform_node', parameters={'platform': 'xavier_nx_simulated'})
        start_node('manager_node', parameters={'margin': 0.05})
        application = Application(graph, start_node, synthetic_bundle, '/front', platform='auto')
        statuses = graph.collect(ManagerStatus, '/dynamic_dnn/manager_status')
        targets = graph.publisher(PerformanceTarget, '/dynamic_dnn/performance_target')
        graph.wait_for_subscriptions(targets, 2)
        frame = image_message(noise(320, 240, 1))

        def publish() -> None:
            frame.header.stamp = graph.node.get_clock().now().to_msg()
            application.images.publish(frame)

        timer = graph.node.create_timer(0.2, publish)
        for accuracy in (0.55, 0.65):
            targets.publish(
                PerformanceTarget(
                    application=application.id, sender='test', latency=0.5, accuracy=accuracy
                )
            )
            seen = len(statuses)
            graph.spin_until(
                lambda seen=seen: len(statuses) > seen + 6, 60.0, 'decisions of the manager'
            )
        graph.node.destroy_timer(timer)

    recording = read(tmp_path / 'bag')
    (session,) = recording.sessions
    found = decide_again(session)
    assert found.decisions >= 12
    assert session.missing == 0
    assert session.settings.resource.margin == 0.05, 'parameters of the node are in the recording'
    decided = {one.decision.options for one in session.rounds if one.decision is not None}
    assert len(decided) > 1, 'something was decided'
    assert found.differences == (), compared(recording)
    assert main(['replay', str(tmp_path / 'bag')]) == 0
    total = found.decisions
    assert f'{total} of {total} decisions are the same' in capsys.readouterr().out
    simulated = what_if(recording, Manager('simulated'))
    assert len(simulated.simulated[application.id]) > 10
    assert application.id in answer(simulated, 'dynamic_dnn')
