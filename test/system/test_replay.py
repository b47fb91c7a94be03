# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The driving bag through the running graph, and bags recorded from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from dynamic_dnn_ros.msg import (
    DvfsSetting,
    InferenceStatus,
    ManagerStatus,
    PerformanceTarget,
    SubNetworkSwitch,
    SystemLoad,
)
from dynamic_dnn_ros.pictures.scaling import CompressedPicture
from support.application import APPLICATION_TOPIC, STATUS_TOPIC, Application
from support.bag_player import PACKAGE, BagPlayer, read_bag, read_messages, type_store
from support.bag_recorder import BagRecorder
from support.graph import LATCHED, Graph
from support.images import compressed_message, image_message, jpeg, nanoseconds_of, noise
from support.offline import offline_classifier
from support.process import NodeProcess
from support.shared_data import DRIVING_BAG, DRIVING_TOPIC, shared_data

pytestmark = pytest.mark.system

TOPICS = {
    '/camera/image/compressed': 'sensor_msgs/msg/CompressedImage',
    '/camera/inference_node/classification': f'{PACKAGE}/msg/Classification',
    '/camera/inference_node/sub_network_switch': f'{PACKAGE}/msg/SubNetworkSwitch',
    APPLICATION_TOPIC: f'{PACKAGE}/msg/Application',
    STATUS_TOPIC: f'{PACKAGE}/msg/InferenceStatus',
    '/dynamic_dnn/performance_target': f'{PACKAGE}/msg/PerformanceTarget',
    '/dynamic_dnn/system_load': f'{PACKAGE}/msg/SystemLoad',
    '/dynamic_dnn/dvfs_setting': f'{PACKAGE}/msg/DvfsSetting',
    '/dynamic_dnn/manager_status': f'{PACKAGE}/msg/ManagerStatus',
    '/dynamic_dnn/manager_inputs': f'{PACKAGE}/msg/ManagerInputs',
}
"""Every topic of the interface, for one camera in the namespace ``/camera``."""


def test_replayed_frames_are_classified_as_off_line(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    player = BagPlayer(
        graph,
        shared_data(DRIVING_BAG),
        [DRIVING_TOPIC],
        {DRIVING_TOPIC: '/camera/image/compressed'},
    )
    application = Application(
        graph,
        start_node,
        synthetic_bundle,
        '/camera',
        image_transport='compressed',
        reduced_decoding=False,
    )
    offline = offline_classifier(synthetic_bundle)
    application.switch('s2')

    assert player.play_after_results(lambda: len(application.results)) == len(player) == 221

    sent = list(read_messages(shared_data(DRIVING_BAG), [DRIVING_TOPIC]))
    best = set()
    for (_, image), result in zip(sent, application.results.messages):
        assert result.header.stamp.sec == image.header.stamp.sec
        assert result.header.stamp.nanosec == image.header.stamp.nanosec
        assert result.header.frame_id == image.header.frame_id
        assert (result.sub_network, result.application) == ('s2', application.id)
        expected = offline.scores(CompressedPicture(image.data.tobytes()), 's2')
        np.testing.assert_allclose(offline.scores_of_message(result), expected, atol=1e-4)
        best.add(result.results[0].score)
    assert len(best) > 100, 'the frames of the bag are to give different results'
    seen = len(application.all_statuses)
    status = application.wait_for_event(InferenceStatus.EVENT_HEARTBEAT, seen)
    assert (status.received, status.served) == (221, 221)
    assert (status.replaced, status.rejected) == (0, 0)


def test_faster_than_it_can_be_served_every_frame_is_accounted_for(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    player = BagPlayer(
        graph,
        shared_data(DRIVING_BAG),
        [DRIVING_TOPIC],
        {DRIVING_TOPIC: '/camera/image/compressed'},
    )
    application = Application(
        graph, start_node, synthetic_bundle, '/camera', image_transport='compressed'
    )

    for _ in player.play(rate=20.0):
        pass

    def accounted() -> bool:
        status = application.all_statuses.last
        return status is not None and (
            status.event == InferenceStatus.EVENT_HEARTBEAT
            and 0 < status.received == status.served + status.replaced + status.rejected
        )

    seen = len(application.all_statuses)
    application.wait_for_event(InferenceStatus.EVENT_HEARTBEAT, seen)
    graph.spin_until(accounted, 10.0, lambda: f'every frame: {application.all_statuses.last}')
    status = application.all_statuses.last
    assert status is not None
    graph.spin_until(lambda: len(application.results) == status.served, 10.0, 'the results')
    stamps = [nanoseconds_of(result.header.stamp) for result in application.results]
    assert stamps == sorted(set(stamps)), 'results come in the order of the frames, once each'
    assert status.rejected == 0


@pytest.mark.parametrize('storage', list(StoragePlugin), ids=lambda plugin: plugin.name)
def test_a_recorded_run_holds_every_message_and_reads_back(
    graph: Graph,
    start_node: Callable[..., NodeProcess],
    synthetic_bundle: Path,
    tmp_path: Path,
    storage: StoragePlugin,
) -> None:
    start_node('platform_node', parameters={'platform': 'xavier_nx_simulated'})
    start_node('manager_node')
    with BagRecorder(graph, tmp_path / 'bag', TOPICS, storage) as recorder:
        application = Application(
            graph,
            start_node,
            synthetic_bundle,
            '/camera',
            image_transport='compressed',
            platform='auto',
        )
        graph.wait_for_publishers('/dynamic_dnn/manager_status')
        targets = graph.publisher(PerformanceTarget, '/dynamic_dnn/performance_target')
        graph.wait_for_subscriptions(targets, 2)
        target = PerformanceTarget(
            application=application.id, sender='recording', latency=0.2, accuracy=0.55
        )
        targets.publish(target)
        for index in range(10):
            application.serve(
                compressed_message(jpeg(noise(320, 240, index)), nanoseconds=index + 1)
            )
        if '/dynamic_dnn/dvfs_setting' in recorder.missing():
            # A manager that has nothing to set sends none.
            settings = graph.publisher(DvfsSetting, '/dynamic_dnn/dvfs_setting')
            graph.wait_for_subscriptions(settings, 2)
            settings.publish(DvfsSetting(manager='recording', lease=1.0, sequence=1))
        graph.spin_until(
            lambda: not recorder.missing(), 20.0, lambda: f'{recorder.missing()} to be recorded'
        )
    counts = dict.fromkeys(TOPICS, 0)
    types = {}
    for topic, message in read_messages(tmp_path / 'bag'):
        counts[topic] += 1
        types[topic] = message.__msgtype__
        if topic == '/dynamic_dnn/performance_target':
            assert (message.application, message.latency) == (application.id, 0.2)
        if topic.endswith('classification'):
            assert len(message.results) == 10
            assert sum(result.score for result in message.results) == pytest.approx(1.0)
    assert counts == recorder.counts
    assert types == TOPICS


def test_a_replayed_recording_switches_nothing_and_sets_no_clocks(
    graph: Graph,
    start_node: Callable[..., NodeProcess],
    synthetic_bundle: Path,
    tmp_path: Path,
) -> None:
    """A bag with images, switches and settings, replayed with its sensor topics only."""
    bag = tmp_path / 'bag'
    with BagRecorder(
        graph,
        bag,
        {
            '/camera/image': 'sensor_msgs/msg/Image',
            '/camera/inference_node/sub_network_switch': f'{PACKAGE}/msg/SubNetworkSwitch',
            '/dynamic_dnn/dvfs_setting': f'{PACKAGE}/msg/DvfsSetting',
        },
    ) as recorder:
        images = graph.publisher(type(image_message(noise(8, 8, 0))), '/camera/image')
        switches = graph.publisher(
            SubNetworkSwitch, '/camera/inference_node/sub_network_switch', LATCHED
        )
        settings = graph.publisher(DvfsSetting, '/dynamic_dnn/dvfs_setting')
        for publisher in (images, switches, settings):
            graph.wait_for_subscriptions(publisher)
        for index in range(10):
            images.publish(image_message(noise(320, 240, index), nanoseconds=index + 1))
            switches.publish(
                SubNetworkSwitch(
                    application='/camera/inference_node',
                    manager='of_the_recording',
                    sequence=index + 1,
                    sub_network='s2',
                )
            )
            settings.publish(
                DvfsSetting(manager='of_the_recording', sequence=index + 1, lease=5.0)
            )
            graph.spin_until(
                lambda count=index + 1: min(recorder.counts.values()) >= count, 10.0, 'the bag'
            )
        for publisher in (images, switches, settings):
            graph.node.destroy_publisher(publisher)
    assert {record.topic for record in read_bag(bag)} == set(recorder.topics)

    start_node('platform_node', parameters={'platform': 'xavier_nx_simulated'})
    loads = graph.collect(SystemLoad, '/dynamic_dnn/system_load')
    application = Application(graph, start_node, synthetic_bundle, '/camera', sub_network='s0')
    loads.wait(1, 30.0)
    player = BagPlayer(graph, bag, ['/camera/image'])
    player.wait_for_subscriptions(application.id)
    assert player.play_after_results(lambda: len(application.results)) == 10
    assert {result.sub_network for result in application.results} == {'s0'}
    loads.clear()
    load = loads.wait(2)[-1]
    assert load.setting_result == SystemLoad.SETTING_NONE
    assert load.lease_manager == ''
    assert all(domain.requested_maximum == 0.0 for domain in load.domains)

    # Even with all topics, settings from another boot are refused.
    player = BagPlayer(graph, bag, ['/dynamic_dnn/dvfs_setting'])
    player.wait_for_subscriptions()
    for _ in player.play(rate=float('inf')):
        pass
    load = loads.wait_for(lambda load: load.setting_result != SystemLoad.SETTING_NONE)
    assert load.setting_result >= SystemLoad.SETTING_REFUSED_PLATFORM
    assert load.setting_message
    assert load.lease_manager == ''


@pytest.mark.parametrize('message', [InferenceStatus, ManagerStatus, SubNetworkSwitch, SystemLoad])
def test_readers_of_a_bag_find_the_same_constants(message: type) -> None:
    constants, _ = type_store().fielddefs[f'{PACKAGE}/msg/{message.__name__}']
    assert constants
    for name, _, value in constants:
        assert getattr(message, name) == value
