# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo's node makes of real messages, and the bag that it records them in."""

from __future__ import annotations

from collections.abc import Callable
import math
from pathlib import Path
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import pytest
from sensor_msgs.msg import CompressedImage

from dynamic_dnn_ros.cli.demo.observer import Observer, candidates_of, target_message
from dynamic_dnn_ros.cli.demo.run_record import FrameCounts
from dynamic_dnn_ros.cli.demo.script import Candidate, Goal
from dynamic_dnn_ros.cli.observation import total_power
from dynamic_dnn_ros.management.targets import Objective
from dynamic_dnn_ros.msg import (
    Application,
    Classification,
    ClassScore,
    Detection,
    Detections,
    FrequencyDomain,
    InferenceStatus,
    ManagerInputs,
    ManagerStatus,
    NamedValue,
    OperatingPoints,
    PerformanceTarget,
    Prediction,
    SubNetwork,
    SubNetworkSwitch,
    SystemLoad,
    TargetStatus,
)
from support.bag_player import read_bag, read_messages
from support.graph import LATCHED, Graph

NODE = '/inference_node'


def application_message() -> Application:
    return Application(
        id=NODE,
        state=Application.STATE_ACTIVE,
        bundle='made_up',
        engine='torch',
        sub_networks=[
            SubNetwork(id='s0', accuracy=0.7),
            SubNetwork(id='s1', accuracy=0.8),
            SubNetwork(id='s2', accuracy=0.9),
        ],
        operating_points=OperatingPoints(
            platform='xavier_nx_simulated',
            kind=OperatingPoints.KIND_SIMULATED,
            extrapolated=True,
            sub_network=[0, 0, 1, 1, 2],
            latency_p95=[0.02, 0.01, 0.05, 0.03, math.nan],
        ),
    )


def load_message() -> SystemLoad:
    return SystemLoad(
        platform='xavier_nx_simulated',
        kind=SystemLoad.KIND_SIMULATED,
        domains=[FrequencyDomain(name='gpu', granted=5e8, limit_maximum=1.1e9)],
        power=[NamedValue(name='VDD_IN', value=4.5), NamedValue(name='VDD_GPU', value=1.5)],
        total_power_rail='VDD_IN',
        temperatures=[NamedValue(name='gpu', value=40.0), NamedValue(name='cpu', value=42.0)],
    )


def status_message(event: int, **fields: Any) -> InferenceStatus:
    return InferenceStatus(
        application=NODE,
        event=event,
        received=10,
        served=8,
        replaced=1,
        rejected=1,
        simulated=True,
        **fields,
    )


@pytest.fixture
def observe(graph: Graph) -> Callable[..., Observer]:
    """Make the demo's node, spun together with the test's."""

    def make() -> Observer:
        observer = Observer(graph.context, [NODE])
        graph.add_node(observer)
        return observer

    return make


def publish_all(graph: Graph) -> dict[str, Any]:
    """Publish one message of each kind that the demo hears."""
    messages: list[tuple[str, Any, Any]] = [
        ('/dynamic_dnn/application', application_message(), LATCHED),
        ('/dynamic_dnn/system_load', load_message(), None),
        (
            '/dynamic_dnn/inference_status',
            status_message(
                InferenceStatus.EVENT_SERVED,
                sub_network='s1',
                overrun=True,
                stages=[NamedValue(name=InferenceStatus.STAGE_TOTAL, value=0.031)],
            ),
            None,
        ),
        (
            f'{NODE}/sub_network_switch',
            SubNetworkSwitch(
                application=NODE, sub_network='s1', reason=SubNetworkSwitch.REASON_TARGET
            ),
            LATCHED,
        ),
        (
            '/dynamic_dnn/manager_status',
            ManagerStatus(
                targets=[
                    TargetStatus(application='/other'),
                    TargetStatus(
                        application=NODE,
                        state=TargetStatus.STATE_INFEASIBLE,
                        names=['latency'],
                        missed_by=[0.004],
                        sender='alice',
                        metric='map_50_95',
                        target=PerformanceTarget(
                            application=NODE,
                            latency=0.025,
                            latency_quantile=0.9,
                            accuracy=0.3,
                        ),
                        decision=Prediction(sub_network='s1'),
                        message='nothing is fast enough',
                    ),
                ]
            ),
            None,
        ),
        (
            f'{NODE}/classification',
            Classification(results=[ClassScore(class_id='cat', score=0.93)]),
            None,
        ),
        (
            '/diagnostics',
            DiagnosticArray(
                status=[
                    DiagnosticStatus(
                        level=DiagnosticStatus.ERROR,
                        name='camera_node: state',
                        message='no camera',
                    )
                ]
            ),
            None,
        ),
    ]
    for topic, message, quality in messages:
        publisher = graph.publisher(type(message), topic, quality)
        graph.wait_for_subscriptions(publisher)
        publisher.publish(message)
    return {topic: message for topic, message, _ in messages}


def test_messages_become_a_record(graph: Graph, observe: Callable[..., Observer]) -> None:
    observer = observe()
    publish_all(graph)
    run = observer.run
    graph.spin_until(
        lambda: (
            run.frames
            and run.loads
            and run.decisions
            and run.switches
            and observer.errors
            and observer.seen
            and observer.has_operating_points
        )
    )
    assert (run.bundle, run.engine, run.extrapolated) == ('made_up', 'torch', True)
    assert run.accuracies == {'s0': 0.7, 's1': 0.8, 's2': 0.9}
    assert run.counts == FrameCounts(10, 8, 1, 1)
    (frame,) = run.frames
    assert (frame.sub_network, frame.latency, frame.overrun) == ('s1', 0.031, True)
    (load,) = run.loads
    assert load.frequencies == {'gpu': 5e8}
    assert (load.power, load.temperature) == (4.5, 42.0)
    assert run.frequency_limits == {'gpu': 1.1e9}
    (decision,) = run.decisions
    assert (decision.state, decision.sub_network) == ('infeasible', 's1')
    assert decision.missed_by == {'latency': 0.004}
    assert decision.sender == 'alice'
    assert decision.asked == ('latency ≤ 25 ms for 0.9 of frames, accuracy (AP 50:95) ≥ 30.0%')
    assert decision.message == 'nothing is fast enough'
    (switch,) = run.switches
    assert (switch.sub_network, switch.reason) == ('s1', 'a target changed')
    assert observer.seen == 'cat (93%)'
    assert observer.errors == {'/camera_node': 'no camera'}
    assert run.simulated
    assert run.platform == 'xavier_nx_simulated'


def test_heartbeats_and_echoes_are_no_frames_and_no_switches(
    graph: Graph, observe: Callable[..., Observer]
) -> None:
    observer = observe()
    statuses = graph.publisher(InferenceStatus, '/dynamic_dnn/inference_status')
    switches = graph.publisher(SubNetworkSwitch, f'{NODE}/sub_network_switch', LATCHED)
    for publisher in (statuses, switches):
        graph.wait_for_subscriptions(publisher)
    switches.publish(
        SubNetworkSwitch(application=NODE, reason=SubNetworkSwitch.REASON_TARGET_ECHO)
    )
    statuses.publish(InferenceStatus(application='/other', event=InferenceStatus.EVENT_SERVED))
    statuses.publish(status_message(InferenceStatus.EVENT_HEARTBEAT))
    graph.spin_until(lambda: observer.run.counts.received)
    graph.spin_for(0.3)
    assert observer.run.frames == []
    assert observer.run.switches == []


def test_targets_are_sent_as_they_are_meant(
    graph: Graph, observe: Callable[..., Observer]
) -> None:
    targets = graph.collect(PerformanceTarget, '/dynamic_dnn/performance_target')
    observer = observe()
    graph.spin_until(lambda: observer.heard)
    observer.send(NODE, Goal(latency=0.025, accuracy=0.9, objective=Objective.MAXIMUM_ACCURACY))
    observer.send(NODE, Goal(clear=True))
    first, second = targets.wait(2)
    assert (first.application, first.latency, first.accuracy) == (NODE, 0.025, 0.9)
    assert first.latency_quantile == 0.95
    assert first.objective == PerformanceTarget.OBJECTIVE_MAXIMUM_ACCURACY
    assert first.action == PerformanceTarget.ACTION_SET
    assert first.sender
    assert first.header.stamp != Time()
    assert second.action == PerformanceTarget.ACTION_CLEAR


def test_candidates_are_the_fastest_points_that_have_a_latency() -> None:
    assert candidates_of(application_message()) == [
        Candidate('s0', 0.7, 0.01),
        Candidate('s1', 0.8, 0.03),
    ]


def test_power_without_a_total_is_the_sum_and_without_rails_unknown() -> None:
    message = load_message()
    message.total_power_rail = ''
    assert total_power(message) == 6.0
    assert math.isnan(total_power(SystemLoad()))


def test_pictures_are_captioned_with_what_served_them(
    graph: Graph, observe: Callable[..., Observer]
) -> None:
    observer = observe()
    stamp = Time(sec=7, nanosec=5)
    publishers = {
        topic: graph.publisher(kind, topic)
        for kind, topic in (
            (InferenceStatus, '/dynamic_dnn/inference_status'),
            (Detections, f'{NODE}/detections'),
        )
    }
    for publisher in publishers.values():
        graph.wait_for_subscriptions(publisher)
    for seconds, latency in ((6, 0.050), (7, 0.0321), (8, 0.060)):
        publishers['/dynamic_dnn/inference_status'].publish(
            status_message(
                InferenceStatus.EVENT_SERVED,
                sub_network='s1',
                image_stamp=Time(sec=seconds, nanosec=5),
                stages=[NamedValue(name=InferenceStatus.STAGE_TOTAL, value=latency)],
            )
        )
        found = Detections(detections=[Detection(class_id='apple')] * (seconds - 5))
        found.header.stamp = Time(sec=seconds, nanosec=5)
        publishers[f'{NODE}/detections'].publish(found)
    graph.spin_until(lambda: len(observer.run.frames) == 3 and observer.seen == '3 apple')
    observer.look('tight')
    annotated = graph.publisher(CompressedImage, f'{NODE}/annotated/compressed')
    graph.wait_for_subscriptions(annotated)
    picture = CompressedImage(data=b'jpeg')
    picture.header.stamp = stamp
    annotated.publish(picture)
    graph.spin_until(lambda: observer.pictures)
    observer.pictures['frugal'] = (1, b'of an image that nobody spoke of')
    assert observer.captioned() == [
        ('tight, s1, 32.1 ms, 2 apple', b'jpeg'),
        ('frugal', b'of an image that nobody spoke of'),
    ]


def test_recording_holds_every_message_as_it_was(
    graph: Graph, observe: Callable[..., Observer], tmp_path: Path
) -> None:
    pytest.importorskip('rosbags')
    from dynamic_dnn_ros.cli.demo.bag_writer import BagWriter

    with BagWriter(tmp_path / 'bag') as recording:
        observer = observe()
        observer.record(recording, images=False)
        # What went into each decision: without it no decision can be made again.
        topic = '/dynamic_dnn/manager_inputs'
        inputs = graph.publisher(ManagerInputs, topic, LATCHED)
        graph.wait_for_subscriptions(inputs)
        inputs.publish(ManagerInputs(instance='one', decisions=1))
        sent = {topic, *publish_all(graph)}
        graph.spin_until(lambda: observer.errors and observer.seen)
        graph.spin_for(0.2)
        observer.send(NODE, Goal(latency=0.025))
        graph.spin_for(0.5)
    records = list(read_bag(tmp_path / 'bag'))
    assert {record.topic for record in records} == {*sent, '/dynamic_dnn/performance_target'}
    assert len(records) == len(sent) + 1
    for topic, message in read_messages(tmp_path / 'bag'):
        if topic == '/dynamic_dnn/system_load':
            assert message.domains[0].granted == 5e8
            assert message.power[0].name == 'VDD_IN'
        if topic == '/dynamic_dnn/performance_target':
            assert message.latency == target_message(NODE, Goal(latency=0.025)).latency
        if topic == '/dynamic_dnn/application':
            assert list(message.operating_points.sub_network) == [0, 0, 1, 1, 2]
    with pytest.raises(ValueError, match='exists already'):
        BagWriter(tmp_path / 'bag')
