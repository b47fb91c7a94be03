# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras of one node: each is an application of its own, which comes and goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import signal
import threading
import time
from types import SimpleNamespace
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import Outputs, Picture
from dynamic_dnn_ros.msg import (
    Application,
    Classification,
    InferenceStatus,
    PerformanceTarget,
    SubNetworkSwitch,
)
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from dynamic_dnn_ros.scheduling.registry import scheduler_names
from dynamic_dnn_ros.serving.stream import Terms
from support.graph import LATCHED, Graph
from support.images import image_message, noise
from support.process import NodeProcess

NODE = '/inference_node'


class Node:
    """An inference node of several cameras in the test's process, and what it publishes."""

    def __init__(self, graph: Graph, bundle: Bundle, **parameters: Any) -> None:
        self.graph = graph
        self.statuses = graph.collect(InferenceStatus, '/dynamic_dnn/inference_status')
        self.applications = graph.collect(
            Application, '/dynamic_dnn/application', qos.APPLICATION_SUBSCRIPTION
        )
        values = {'bundle': str(bundle.folder), 'platform': 'none', **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.node = InferenceNode(context=graph.context, parameter_overrides=overrides)
        graph.add_node(self.node)
        self.node.start()
        assert self.node.active, self.node.problem

    def close(self) -> None:
        """Take it down."""
        self.node.stop()
        self.graph.remove_node(self.node)
        self.node.destroy_node()

    def set(self, name: str, value: Any) -> tuple[bool, str]:
        """Set a parameter; return whether that was accepted, and the reason if not."""
        return self.graph.set_parameter(NODE, name, value)

    def presented(self, camera: str, state: int) -> Application:
        """Wait until the application of a camera is in a state."""
        application: Application = self.applications.wait_for(
            lambda one: (one.id, one.state) == (f'{NODE}/{camera}', state)
        )
        return application

    def status(self, camera: str, event: int) -> InferenceStatus:
        """Wait for a status of a camera."""
        status: InferenceStatus = self.statuses.wait_for(
            lambda one: (one.application, one.event) == (f'{NODE}/{camera}', event)
        )
        return status


class Camera:
    """The publisher of one camera, and the results for it."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.id = f'{NODE}/{name}'
        self.results = graph.collect(Classification, f'{self.id}/classification')
        self.images = graph.publisher(Image, f'/{name}/image')
        self.switches = graph.publisher(SubNetworkSwitch, f'{self.id}/sub_network_switch', LATCHED)
        self.sent = 0

    def send(self) -> Image:
        """Publish another image."""
        self.sent += 1
        message = image_message(noise(40, 30, self.sent))
        message.header.stamp.sec = self.sent
        self.images.publish(message)
        return message

    def serve(self) -> Classification:
        """Send an image, and return its result."""
        self.graph.wait_for_subscriptions(self.images)
        self.graph.wait_for_publishers(self.results.topic)
        message = self.send()
        result: Classification = self.results.wait_for(lambda one: one.header == message.header)
        return result

    def switch(self, sub_network: str, sequence: int = 1, **asked: Any) -> None:
        """Hand a target over together with a switch."""
        self.graph.wait_for_subscriptions(self.switches)
        target = PerformanceTarget(application=self.id, **asked)
        message = SubNetworkSwitch(
            application=self.id, manager='test', sub_network=sub_network, target=target
        )
        message.sequence = sequence
        self.switches.publish(message)


@pytest.fixture
def start(graph: Graph, bundle: Bundle) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def make(**parameters: Any) -> Node:
        nodes.append(Node(graph, bundle, **parameters))
        return nodes[-1]

    yield make
    for node in nodes:
        node.close()


def test_a_camera_has_parameters_of_its_own(graph: Graph, start: Callable[..., Node]) -> None:
    given = {'rear.sub_network': 's0', 'rear.results': 1, 'rear.latency': 0.25, 'priority': 3}
    node = start(cameras=['front', 'rear'], results=2, **given)
    front, rear = Camera(graph, 'front'), Camera(graph, 'rear')
    served = [front.serve(), rear.serve()]
    assert [(len(one.results), one.sub_network) for one in served] == [(2, 's2'), (1, 's0')]
    terms = {stream.name: stream.terms for stream in node.node._process.server.streams}
    assert terms == {front.id: Terms(None, 3), rear.id: Terms(0.25, 3)}
    # Live where that of the node is; what is not its own follows the node.
    for name, value in (('results', 3), ('rear.late_frames', 'drop'), ('front.priority', 9)):
        assert node.set(name, value) == (True, '')
    graph.spin_until(lambda: node.node._process.server.streams[1].terms.droppable)
    assert [len(camera.serve().results) for camera in (front, rear)] == [3, 1]
    assert [stream.terms.priority for stream in node.node._process.server.streams] == [9, 3]
    for name, value, said in (
        ('rear.results', 0, 'rear.results out of range'),
        ('rear.late_frames', 'wait', "parameter 'rear.late_frames' is 'wait', not one of: serve"),
        ('rear.sub_network', 's9', "parameter 'rear.sub_network': "),
        ('rear.sub_network', 's1', 'takes effect at the next configure'),
        ('left.results', 2, ''),
    ):
        accepted, reason = node.set(name, value)
        assert not accepted and said in reason
    # Those of a camera come and go with it.
    assert node.set('cameras', ['rear', 'left'])[0]
    node.presented('left', Application.STATE_ACTIVE)
    assert node.set('left.results', 2)[0]
    assert not node.node.has_parameter('front.results')


def test_each_camera_has_results_target_sub_network_and_counts_of_its_own(
    graph: Graph, start: Callable[..., Node]
) -> None:
    node = start(cameras=['front', 'rear'])
    front, rear = Camera(graph, 'front'), Camera(graph, 'rear')
    rear.switch(
        's0',
        latency=0.25,
        priority=7,
        late_frames=PerformanceTarget.LATE_FRAMES_DROP,
    )
    applied = node.applications.wait_for(lambda one: one.target.priority == 7)
    assert (applied.id, applied.sub_network, applied.target.latency) == (rear.id, 's0', 0.25)
    results = [front.serve(), rear.serve(), rear.serve()]
    assert [(one.application, one.sub_network) for one in results] == [
        (front.id, 's2'),
        (rear.id, 's0'),
        (rear.id, 's0'),
    ]
    graph.spin_until(
        lambda: (
            {(one.application, one.served) for one in node.statuses}
            >= {
                (front.id, 1),
                (rear.id, 2),
            }
        )
    )
    assert node.status('rear', InferenceStatus.EVENT_SERVED).batch == 1
    terms = {stream.name: stream.terms for stream in node.node._process.server.streams}
    assert terms == {front.id: Terms(), rear.id: Terms(0.25, 7, True)}
    # A frame that no sub-network can serve in time is given up where the target says so.
    rear.switch('s0', 2, latency=1e-6, late_frames=PerformanceTarget.LATE_FRAMES_DROP)
    node.applications.wait_for(lambda one: one.target.latency == 1e-6)
    rear.send()
    beat = node.statuses.wait_for(lambda one: one.application == rear.id and one.dropped > 0)
    assert (beat.served, beat.dropped, beat.received) == (2, 1, 3)
    # They say who takes turns with whom; another scheduler is chosen while they are served.
    presented = [node.presented(name, Application.STATE_ACTIVE) for name in ('front', 'rear')]
    assert {one.server for one in presented} == {node.node.identity.instance}
    assert {one.scheduler for one in presented} == {scheduler_names()[0]}
    assert node.set('scheduler', 'round_robin') == (True, '')
    node.applications.wait_for(lambda one: (one.id, one.scheduler) == (rear.id, 'round_robin'))
    assert front.serve().application == front.id
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    array = diagnostics.wait_for(lambda message: len(message.status) > 1)
    hardware = {status.name: status.hardware_id for status in array.status}
    assert hardware['inference_node/front: camera'] == '/front/image'
    assert hardware['inference_node/rear: worker'] == '/rear/image'
    assert hardware['inference_node: sub-networks'] == ''


def test_cameras_come_and_go_while_the_others_are_served(
    graph: Graph, start: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start(cameras=['front'])
    front, rear = Camera(graph, 'front'), Camera(graph, 'rear')
    assert front.serve().application == front.id
    assert node.set('cameras', ['front', 'rear']) == (True, '')
    assert (front.serve().application, rear.serve().application) == (front.id, rear.id)
    # One leaves with a frame in work, which is finished.
    prepared = node.node._streams[front.id].served.exchange.serving
    begun, go_on = threading.Event(), threading.Event()
    run = prepared.run

    def wait(picture: Picture) -> Outputs:
        begun.set()
        assert go_on.wait(10.0)
        return run(picture)

    monkeypatch.setattr(prepared, 'run', wait)
    last = front.send()
    graph.spin_until(begun.is_set)
    threading.Timer(0.3, go_on.set).start()
    assert node.set('cameras', ['rear']) == (True, '')
    assert front.results.wait_for(lambda one: one.header == last.header)
    assert node.presented('front', Application.STATE_DEPARTED).instance
    assert graph.node.count_publishers(f'{front.id}/classification') == 0
    assert rear.serve().application == rear.id
    assert list(node.node._streams) == [rear.id]
    # It is served again when it comes back, and the node serves one camera when all are gone.
    assert node.set('cameras', []) == (True, '')
    node.applications.wait_for(lambda one: (one.id, one.state) == (NODE, 1))
    graph.spin_until(lambda: list(node.node._streams) == [NODE])


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('cameras', ['front', 'rear', 'front'], "'front' is there twice. Give each"),
        ('cameras', ['front', 'two words'], "'two words' is no name of a camera. Give letters"),
        ('cameras', [f'camera_{n}' for n in range(33)], 'these are 33 cameras'),
        ('scheduler', 'fastest', "'fastest', not one of: " + ', '.join(scheduler_names())),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(
    start: Callable[..., Node], name: str, value: Any, reason: str
) -> None:
    node = start(cameras=['front'])
    (result,) = node.node.set_parameters([Parameter(name, value=value)])
    assert not result.successful and reason in result.reason
    assert list(node.node._streams) == [f'{NODE}/front']


def test_a_slow_camera_is_served_beside_one_at_a_thousand_hertz(
    graph: Graph, start: Callable[..., Node]
) -> None:
    start(cameras=['fast', 'slow'])
    fast, slow = Camera(graph, 'fast'), Camera(graph, 'slow')
    slow.serve()
    first = fast.serve()
    message = image_message(noise(40, 30, 1))
    sent = slow.send()
    begun = time.monotonic()
    while not any(one.header == sent.header for one in slow.results.messages):
        fast.images.publish(message)
        graph.spin_for(0.001)
        assert time.monotonic() < begun + 10.0, 'the slow camera starves'
    assert fast.results.wait_for(lambda one: one.header != first.header), 'so does the fast one'


def test_another_node_that_serves_the_same_camera_gives_way(
    graph: Graph, start: Callable[..., Node]
) -> None:
    first = start(cameras=['front'])
    second = start(cameras=['rear', 'front'])
    graph.spin_until(lambda: not second.node.configured, timeout=10.0)
    assert first.node.active
    assert f"'{NODE}/front' serves already" in second.node.problem


def test_nodes_of_one_process_take_turns_by_one_scheduler(
    graph: Graph, bundle: Bundle, tmp_path: Path
) -> None:
    listed = tmp_path / 'nodes.yaml'
    listed.write_text(
        f'scheduler: round_robin\n'
        f'nodes:\n'
        f'  - parameters: {{bundle: {bundle.folder}, platform: none, cameras: [front]}}\n'
        f'    remappings: {{front/image: /camera}}\n'
        f'  - name: other\n'
        f'    parameters: {{bundle: {bundle.folder}, platform: none}}\n'
        f'    remappings: {{image: /camera}}\n'
    )
    applications = graph.collect(
        Application, '/dynamic_dnn/application', qos.APPLICATION_SUBSCRIPTION
    )
    results = [
        graph.collect(Classification, f'{name}/classification')
        for name in (f'{NODE}/front', '/other')
    ]
    images = graph.publisher(Image, '/camera')
    with NodeProcess('inference_server', graph.domain_id, arguments=[str(listed)]) as process:
        presented = [
            applications.wait_for(
                lambda one, name=name: (
                    (one.id, one.state, one.scheduler)
                    == (name, Application.STATE_ACTIVE, 'round_robin')
                ),
                timeout=60.0,
            )
            for name in (f'{NODE}/front', '/other')
        ]
        assert len({one.server for one in presented}) == 1
        graph.wait_for_subscriptions(images, 2)
        for collected in results:
            graph.wait_for_publishers(collected.topic)
        images.publish(image_message(noise(40, 30, 1)))
        assert [collected.wait(1, 30.0)[0].application for collected in results] == [
            f'{NODE}/front',
            '/other',
        ]
        # What one of them is set to holds for both, once each has had its turn.
        assert graph.set_parameter('/other', 'scheduler', 'earliest_deadline') == (True, '')
        graph.spin_until(
            lambda: graph.parameter(NODE, 'scheduler') == 'earliest_deadline',
            10.0,
            'the scheduler of the other node',
        )
        assert process.stop() == 0


def test_a_node_whose_worker_is_stuck_for_good_ends_to_be_started_again(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(os, 'kill', lambda process, number: sent.append(number))
    overrides = [Parameter('end_when_stuck', value=3.0), Parameter('autostart', value=False)]
    node = InferenceNode(context=graph.context, parameter_overrides=overrides)
    worker = SimpleNamespace(stuck=True)
    monkeypatch.setattr(node, '_streams', {'/inference_node': worker})
    for stuck in (True, True, False, True, True, True):
        worker.stuck = stuck
        node._end_if_stuck()
    assert not sent
    node._end_if_stuck()
    assert sent == [signal.SIGTERM]
    assert "'end_when_stuck'" in capfd.readouterr().err
    node.set_parameters([Parameter('end_when_stuck', value=0.0)])
    for _ in range(10):
        node._end_if_stuck()
    assert len(sent) == 1
    node.destroy_node()
