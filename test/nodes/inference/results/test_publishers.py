# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results of each task as they are published, and as vision_msgs where that is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import math
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from dynamic_dnn_ros.msg import Classification, Segmentation
from dynamic_dnn_ros.msg import Detections as DetectionsMessage
from dynamic_dnn_ros.nodes.common.lifecycle import NodeError
from dynamic_dnn_ros.nodes.inference.results import vision as vision_module
from dynamic_dnn_ros.nodes.inference.results.classification import ClassificationPublisher
from dynamic_dnn_ros.nodes.inference.results.contract import ResultPublisher
from dynamic_dnn_ros.nodes.inference.results.detection import DetectionPublisher
from dynamic_dnn_ros.nodes.inference.results.registry import ENTRY_POINTS, create_publisher
from dynamic_dnn_ros.nodes.inference.results.segmentation import label_image
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.serving.tracking import TrackedDetections
from dynamic_dnn_ros.tasks.contract import ClassScores, Detections, LabelMap
from support.graph import LATCHED, Collector, Graph
from support.serving import ServingNode, served_frame, serving_node

LABELS = ('cat', 'dog', 'ship')
NODE = '/inference_node'
SIZE = Size(480, 640)
PLACEMENT = Placement(SIZE, Size(320, 320), (320 / 480, 320 / 640), (0.0, 0.0))


def vision_msgs() -> Any:
    """Return the messages of vision_msgs; skip the test where they are absent."""
    return pytest.importorskip('vision_msgs.msg', reason='vision_msgs is not installed')


def detections(count: int = 3) -> Detections:
    index = np.arange(count)
    corners = np.stack([index, 2 * index, index + 100.5, 2 * index + 50.25], axis=1)
    return Detections(
        corners.astype(np.float32),
        np.linspace(0.9, 0.3, count).astype(np.float32),
        (index % len(LABELS)).astype(np.int64),
    )


def begun(graph: Graph, task: str, **parameters: Any) -> tuple[ServingNode, ResultPublisher[Any]]:
    node = serving_node(graph, **parameters)
    publisher = create_publisher(task, StreamNode(node), 'a_bundle', LABELS)
    node.trigger_configure()
    node.trigger_activate()
    publisher.begin()
    return node, publisher


def heard(
    graph: Graph, publisher: ResultPublisher[Any], message_type: Any, name: str, qos: Any = None
) -> Collector[Any]:
    """Collect what comes on a topic, once the publisher knows of it."""
    collected = graph.collect(message_type, f'{NODE}/{name}', qos)
    (of_topic,) = [p for p in publisher._publishers if p.topic_name == f'{NODE}/{name}']
    graph.wait_for_subscriptions(of_topic)
    return collected


def test_a_task_that_nothing_publishes_is_refused(graph: Graph) -> None:
    with pytest.raises(NodeError, match=r"'pose_estimation'.*classification, detection"):
        create_publisher('pose_estimation', StreamNode(serving_node(graph)), 'a_bundle', LABELS)


def test_another_package_offers_a_publisher(graph: Graph, offer: Callable[..., None]) -> None:
    module = ClassificationPublisher.__module__
    offer(ENTRY_POINTS, pose_estimation=f'{module}:ClassificationPublisher', depth='json:encoder')
    node = StreamNode(serving_node(graph))
    publisher = create_publisher('pose_estimation', node, 'a_bundle', LABELS)
    assert isinstance(publisher, ClassificationPublisher)
    with pytest.raises(NodeError, match="publisher 'depth', json:encoder .* cannot be called"):
        create_publisher('depth', node, 'a_bundle', LABELS)


def test_the_best_classes_come_first_with_their_probabilities(graph: Graph) -> None:
    node, publisher = begun(graph, 'classification', results=2)
    assert not publisher.wanted
    collected = heard(graph, publisher, Classification, 'classification')
    assert publisher.wanted

    scores = ClassScores(np.array([0.2, 0.7, 0.1]))
    publisher.publish(served_frame(0.0, processor='gpu'), scores)
    (first,) = collected.wait(1)
    assert [(row.class_id, row.score) for row in first.results] == [('dog', 0.7), ('cat', 0.2)]
    assert (first.header.frame_id, first.application) == ('front', NODE)
    assert (first.sub_network, first.processor) == ('s1', 'gpu')

    node.set_parameters([Parameter('results', value=10)])
    publisher.publish(served_frame(0.0), scores)
    second = collected.wait(2)[1]
    assert [row.class_id for row in second.results] == ['dog', 'cat', 'ship']
    assert math.fsum(row.score for row in second.results) == pytest.approx(1.0)


def test_classifications_as_vision_messages(graph: Graph) -> None:
    vision = vision_msgs()
    _, publisher = begun(graph, 'classification')
    collected = heard(graph, publisher, vision.Classification, 'vision_classification')
    publisher.publish(served_frame(0.0), ClassScores(np.array([0.2, 0.7, 0.1])))
    (message,) = collected.wait(1)
    assert message.header.frame_id == 'front'
    assert [(row.class_id, row.score) for row in message.results] == [
        ('dog', 0.7),
        ('cat', 0.2),
        ('ship', 0.1),
    ]


def test_detections_are_published_with_the_header_of_the_image(graph: Graph) -> None:
    _, publisher = begun(graph, 'detection')
    collected = heard(graph, publisher, DetectionsMessage, 'detections')
    header = Header(frame_id='rear')
    header.stamp.sec = 77
    frame = served_frame(0.0, placement=PLACEMENT)
    frame = replace(frame, frame=replace(frame.frame, origin=(header, 0.0)))
    publisher.publish(frame, detections())
    (message,) = collected.wait(1)
    assert message.header == header
    assert (message.application, message.sub_network, message.processor) == (NODE, 's1', 'cpu')
    assert (message.image_height, message.image_width) == (480, 640)
    first, second, _ = message.detections
    assert (first.class_id, first.score) == ('cat', pytest.approx(0.9))
    assert (second.x_min, second.y_min, second.x_max, second.y_max) == (1.0, 2.0, 101.5, 52.25)
    assert [row.track_id for row in message.detections] == [0, 0, 0]


def test_a_topic_takes_the_name_of_another_detectors(graph: Graph) -> None:
    node = ServingNode(
        'inference_node',
        context=graph.context,
        cli_args=['--ros-args', '-r', '~/detections:=/detections_output'],
    )
    graph.add_node(node)
    create_publisher('detection', StreamNode(node), 'a_bundle', LABELS)
    topics = dict(node.get_publisher_names_and_types_by_node('inference_node', '/'))
    assert topics['/detections_output'] == ['dynamic_dnn_ros/msg/Detections']
    assert '/inference_node/detections' not in topics


def test_messages_do_not_remember_the_frames_before(graph: Graph) -> None:
    _, publisher = begun(graph, 'detection')
    collected = heard(graph, publisher, DetectionsMessage, 'detections')
    found = detections(5)
    tracked = TrackedDetections(found.boxes, found.scores, found.classes, np.arange(1, 6))
    for result in (tracked, detections(0), detections(2)):
        publisher.publish(served_frame(0.0, placement=PLACEMENT), result)
    first, none, last = collected.wait(3)
    assert [row.track_id for row in first.detections] == [1, 2, 3, 4, 5]
    assert list(none.detections) == [] and none.header.frame_id == 'front'
    assert [row.track_id for row in last.detections] == [0, 0]


def test_detections_as_vision_messages(graph: Graph) -> None:
    vision = vision_msgs()
    _, publisher = begun(graph, 'detection')
    collected = heard(graph, publisher, vision.Detection2DArray, 'vision_detections')
    found = detections(2)
    tracked = TrackedDetections(found.boxes, found.scores, found.classes, np.array([0, 12]))
    for result in (tracked, detections(0), found):
        publisher.publish(served_frame(0.0, placement=PLACEMENT), result)
    message, none, untracked = collected.wait(3)
    assert message.header.frame_id == 'front'
    first, second = message.detections
    assert second.header == message.header
    (hypothesis,) = second.results
    assert (hypothesis.hypothesis.class_id, hypothesis.hypothesis.score) == (
        'dog',
        pytest.approx(0.3),
    )
    centre = second.bbox.center.position
    assert (centre.x, centre.y, second.bbox.center.theta) == (51.25, 27.125, 0.0)
    assert (second.bbox.size_x, second.bbox.size_y) == (100.5, 50.25)
    assert (first.id, second.id) == ('', '12')
    assert list(none.detections) == []
    assert [row.id for row in untracked.detections] == ['', '']


@pytest.mark.parametrize('task', ['classification', 'detection', 'segmentation'])
def test_the_labels_are_told_to_who_comes_late(graph: Graph, task: str) -> None:
    vision = vision_msgs()
    begun(graph, task, score_limit=0.4)
    labels = graph.collect(vision.LabelInfo, f'{NODE}/label_info', LATCHED).wait(1)[0]
    assert [(row.class_id, row.class_name) for row in labels.class_map] == [
        (0, 'cat'),
        (1, 'dog'),
        (2, 'ship'),
    ]
    assert labels.threshold == pytest.approx(0.4 if task == 'detection' else 0.0)
    info = graph.collect(vision.VisionInfo, f'{NODE}/vision_info', LATCHED).wait(1)[0]
    assert (info.method, info.database_location) == ('a_bundle', f'{NODE}/label_info')


def test_a_new_score_limit_is_told_with_the_labels(graph: Graph) -> None:
    vision = vision_msgs()
    node, publisher = begun(graph, 'detection')
    labels = graph.collect(vision.LabelInfo, f'{NODE}/label_info', LATCHED)
    labels.wait(1)
    node.set_parameters([Parameter('score_limit', value=0.75)])
    for _ in range(2):
        publisher.publish(served_frame(0.0, placement=PLACEMENT), detections())
    assert [info.threshold for info in labels.wait(2)] == [0.25, 0.75]
    graph.spin_for(0.2)
    assert len(labels) == 2, 'told once'


@pytest.mark.parametrize(('version', 'topics'), [('4.0', 2), ('3', 1)])
def test_of_an_older_vision_msgs_what_it_has_is_used(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, version: str, topics: int
) -> None:
    lacking = {'4.0': {'LabelInfo'}, '3': {'LabelInfo', 'Pose2D'}}[version]
    present = {name: each for name, each in vars(vision_msgs()).items() if name not in lacking}
    messages = SimpleNamespace(**present)
    monkeypatch.setattr(vision_module, 'optional_messages', lambda package: messages)
    _, publisher = begun(graph, 'detection')
    assert len(publisher._publishers) == topics
    publisher.publish(served_frame(0.0, placement=PLACEMENT), detections())


def test_a_label_image_has_the_size_and_the_header_of_the_image(graph: Graph) -> None:
    _, publisher = begun(graph, 'segmentation')
    images = heard(graph, publisher, Image, 'label_image')
    summaries = heard(graph, publisher, Segmentation, 'segmentation')
    classes = np.full((6, 8), LabelMap.UNLABELLED, np.uint8)
    classes[:2], classes[2, :4] = 2, 0
    publisher.publish(served_frame(0.0), LabelMap(classes))
    (image,), (summary,) = images.wait(1), summaries.wait(1)
    assert (image.encoding, image.height, image.width, image.step) == ('mono8', 6, 8, 8)
    assert np.array_equal(np.array(image.data, np.uint8).reshape(6, 8), classes)
    assert image.header == summary.header and image.header.frame_id == 'front'
    assert (summary.application, summary.sub_network, summary.processor) == (NODE, 's1', 'cpu')
    assert (summary.image_height, summary.image_width) == (6, 8)
    assert list(summary.labels) == [2, 0]
    assert summary.class_ids == ['ship', 'cat']
    assert list(summary.shares) == pytest.approx([16 / 48, 4 / 48])


def test_many_classes_take_two_bytes_a_pixel() -> None:
    classes = np.array([[0, 300], [65535, 7]], np.uint16)
    # A view with other strides is as good.
    message = label_image(Header(), LabelMap(classes.T.copy().T))
    assert (message.encoding, message.step) == ('mono16', 4)
    assert message.is_bigendian == (sys.byteorder == 'big')
    assert np.array_equal(np.frombuffer(bytes(message.data), np.uint16).reshape(2, 2), classes)


def test_a_label_image_of_nothing_known_is_published(graph: Graph) -> None:
    _, publisher = begun(graph, 'segmentation')
    summaries = heard(graph, publisher, Segmentation, 'segmentation')
    for value in (LabelMap.UNLABELLED, 77):
        publisher.publish(served_frame(0.0), LabelMap(np.full((2, 2), value, np.uint8)))
    for summary in summaries.wait(2):
        assert (list(summary.labels), list(summary.shares)) == ([], [])


def test_nobody_listens_so_nothing_is_made(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    _, publisher = begun(graph, 'detection')
    assert isinstance(publisher, DetectionPublisher)
    made: list[object] = []
    monkeypatch.setattr(publisher, 'message', lambda *_: made.append(1))
    monkeypatch.setattr(publisher, 'vision_message', lambda *_: made.append(1))
    publisher.publish(served_frame(0.0, placement=PLACEMENT), detections())
    assert made == []


@pytest.mark.parametrize('kind', ['ours', 'vision'])
def test_a_hundred_boxes_are_published_in_less_than_a_millisecond(graph: Graph, kind: str) -> None:
    _, publisher = begun(graph, 'detection')
    if kind == 'ours':
        heard(graph, publisher, DetectionsMessage, 'detections')
    else:
        heard(graph, publisher, vision_msgs().Detection2DArray, 'vision_detections')
    frame, found = served_frame(0.0, placement=PLACEMENT), detections(100)
    times = []
    for _ in range(50):
        begin = time.thread_time()
        publisher.publish(frame, found)
        times.append(time.thread_time() - begin)
    times.sort()
    print(f'{kind}: {1e3 * times[25]:.3f} ms, p90 {1e3 * times[45]:.3f} ms')
    assert times[25] < (1e-3 if kind == 'ours' else 3e-3), 'of processor time, typically'
