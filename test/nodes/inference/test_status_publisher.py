# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `inference_status` says of frames: their stages, what they kept busy, and overruns."""

from __future__ import annotations

from collections.abc import Iterator
import math
from pathlib import Path
import time

import pytest
from std_msgs.msg import Header

from dynamic_dnn_ros.msg import InferenceStatus
from dynamic_dnn_ros.nodes.inference.camera_input import CameraInput
from dynamic_dnn_ros.nodes.inference.status_publisher import StatusPublisher
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.nodes.inference.switching import SwitchAnswer
from dynamic_dnn_ros.serving.pacing import PacedFrame
from support.bundles import make_bundle
from support.gated_engine import GatedEngine
from support.graph import Collector, Graph
from support.serving import serve, served_frame, serving_node

ANSWER = SwitchAnswer('manager', 7, InferenceStatus.SWITCH_FAILED, 'no memory left')


class Publisher:
    """A status publisher without a worker, and what it publishes."""

    def __init__(self, graph: Graph, folder: Path) -> None:
        node = serving_node(graph)
        engine = GatedEngine()
        engine.open_gates()
        self.served = serve(make_bundle(folder), engine)
        self.publisher = StatusPublisher(
            StreamNode(node),
            self.served,
            CameraInput(node, node.parameters, lambda frame: False, lambda header, reason: None),
            lambda: None,
            lambda: True,
            lambda: 0.25,
            lambda: ANSWER,
        )
        self.statuses: Collector[InferenceStatus] = graph.collect(
            InferenceStatus, '/dynamic_dnn/inference_status'
        )
        graph.spin_until(lambda: node.count_subscribers('/dynamic_dnn/inference_status') > 0)
        self.publisher.heartbeat()
        self.statuses.wait(1)

    def last(self, count: int) -> InferenceStatus:
        """Return the newest of some statuses beside the first heartbeat."""
        return self.statuses.wait(count + 1)[-1]


@pytest.fixture
def publisher(graph: Graph, tmp_path: Path) -> Iterator[Publisher]:
    publisher = Publisher(graph, tmp_path / 'synthetic')
    yield publisher
    publisher.served.exchange.close()


def busy(status: InferenceStatus) -> dict[str, float]:
    return {row.name: row.value for row in status.busy}


def test_a_served_frame_is_told_by_stage(publisher: Publisher) -> None:
    publisher.publisher.frame_served(served_frame(time.monotonic() - 0.02))
    status = publisher.last(1)
    stages = {row.name: row.value for row in status.stages}
    assert stages.pop('total') >= 0.02
    assert stages == {
        'transport': 0.002,
        'waiting': 0.001,
        'preprocessing': 0.003,
        'inference': 0.005,
        'decoding': 0.0001,
    }
    assert (status.event, status.sub_network) == (InferenceStatus.EVENT_SERVED, 's1')
    assert status.header.frame_id == 'front'
    assert status.simulated and not status.overrun


def test_tracking_is_a_stage_where_objects_are_tracked(publisher: Publisher) -> None:
    publisher.publisher.frame_served(served_frame(time.monotonic()), 0.004)
    stages = {row.name: row.value for row in publisher.last(1).stages}
    assert stages[InferenceStatus.STAGE_TRACKING] == 0.004
    assert list(stages)[-1] == InferenceStatus.STAGE_TOTAL


def test_a_frame_that_was_parked_and_ran_with_others_says_so(publisher: Publisher) -> None:
    publisher.publisher.frame_served(served_frame(time.monotonic(), parked=0.003, batch=2))
    status = publisher.last(1)
    stages = {row.name: row.value for row in status.stages}
    assert (stages[InferenceStatus.STAGE_PARKED], status.batch) == (0.003, 2)
    assert list(stages)[-1] == InferenceStatus.STAGE_TOTAL


def test_processor_time_adds_up_by_domain(publisher: Publisher) -> None:
    for _ in range(2):
        publisher.publisher.frame_served(served_frame(time.monotonic(), processor='gpu'))
    found = busy(publisher.last(2))
    assert found['gpu'] == pytest.approx(0.01)
    assert found['cpu'] == pytest.approx(0.5), 'of all threads'
    assert set(found) == {'cpu', 'gpu'}


def test_frames_of_a_batch_share_the_time_of_the_processor(publisher: Publisher) -> None:
    for _ in range(2):
        frame = served_frame(time.monotonic(), processor='gpu', batch=2)
        publisher.publisher.frame_served(frame)
    assert busy(publisher.last(2))['gpu'] == pytest.approx(0.005)


def test_a_paced_frame_keeps_the_domains_of_the_board_busy(publisher: Publisher) -> None:
    for overrun in (False, True):
        paced = PacedFrame(overrun, {'gpu': 0.004, 'memory': 0.001})
        publisher.publisher.frame_served(served_frame(time.monotonic(), remarks=paced))
    status = publisher.last(2)
    assert busy(status) == pytest.approx({'gpu': 0.008, 'memory': 0.002})
    assert status.overrun
    assert publisher.publisher.overruns == 1


def test_what_is_no_frame_has_no_stages(publisher: Publisher) -> None:
    publisher.publisher.frame_rejected(Header(frame_id='rear'), 'no pixels')
    rejected = publisher.last(1)
    assert (rejected.event, rejected.message) == (InferenceStatus.EVENT_REJECTED, 'no pixels')
    assert rejected.header.frame_id == 'rear'
    publisher.publisher.switch_answered()
    answered = publisher.last(2)
    assert (answered.event, answered.message) == (InferenceStatus.EVENT_SWITCH, 'no memory left')
    for status in (rejected, answered):
        assert len(status.stages) == 0
        assert math.isnan(status.age)
        assert (status.switch_manager, status.switch_sequence) == ('manager', 7)
        assert status.switch_result == InferenceStatus.SWITCH_FAILED
        assert (status.worker, status.received) == (InferenceStatus.WORKER_STOPPED, 0)


def test_the_path_of_a_frame_is_told(publisher: Publisher) -> None:
    publisher.publisher.frame_served(served_frame(time.monotonic()))
    whole = publisher.last(1)
    assert (whole.work, whole.exit_stage) == (1.0, '')
    publisher.publisher.frame_served(served_frame(time.monotonic(), work=0.25, exit_stage='first'))
    left = publisher.last(2)
    assert (left.work, left.exit_stage) == (0.25, 'first')
    publisher.publisher.heartbeat()
    assert publisher.last(3).work == 0.0, 'no frame belongs to it'
