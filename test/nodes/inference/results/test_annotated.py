# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with results on them, drawn while somebody looks and never by the worker."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from PIL import Image as Pillow
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from dynamic_dnn_ros.nodes.inference.results.annotated import AnnotatedPublisher
from dynamic_dnn_ros.nodes.inference.results.registry import create_publisher
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.pictures.scaling import CompressedPicture, RawPicture
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame
from dynamic_dnn_ros.tasks.contract import ClassScores, Detections, LabelMap
from dynamic_dnn_ros.tasks.drawing import class_colour, draw_detections
from support.graph import BEST_EFFORT, Collector, Graph
from support.images import decode, jpeg, noise
from support.serving import served_frame, serving_node

NODE = '/inference_node'
LABELS = ('cat', 'dog')
WIDTH, HEIGHT = 320, 240

FOUND = Detections(
    np.array([[40, 60, 140, 160], [200, 100, 300, 200]], np.float32),
    np.array([0.9, 0.6], np.float32),
    np.array([0, 1]),
)
RESULTS = {
    'classification': ClassScores(np.array([0.3, 0.7])),
    'detection': FOUND,
    'segmentation': LabelMap(np.ones((HEIGHT, WIDTH), np.uint8)),
}


def frame(picture: Any = None, seconds: int = 5) -> ServedFrame:
    pixels = noise(WIDTH, HEIGHT, 1)
    if picture is None:
        picture = RawPicture('rgb8', WIDTH, HEIGHT, 3 * WIDTH, pixels.tobytes())
    header = Header(frame_id='front')
    header.stamp.sec = seconds
    return served_frame(0.0, frame=CameraFrame(picture, 0.0, (header, 0.0)))


class Annotated:
    """A publisher of drawn results of one task, on an active node."""

    def __init__(self, graph: Graph, task: str = 'detection') -> None:
        self.graph = graph
        self.node = serving_node(graph)
        self.results = create_publisher(task, StreamNode(self.node), 'a_bundle', LABELS)
        self.publisher = AnnotatedPublisher(StreamNode(self.node), self.results)
        self.node.trigger_configure()
        self.node.trigger_activate()

    def heard(self, message_type: Any, name: str, qos: Any = None) -> Collector[Any]:
        before = self.publisher.wanted
        collected = self.graph.collect(message_type, f'{NODE}/{name}', qos)
        if not before:
            self.graph.spin_until(lambda: self.publisher.wanted)
        return collected


@pytest.fixture
def annotated(graph: Graph) -> Any:
    annotated = Annotated(graph)
    yield annotated
    annotated.publisher.end(5.0)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_the_picture_bears_the_boxes_and_the_header(annotated: Annotated) -> None:
    images = annotated.heard(Image, 'annotated')
    annotated.publisher.offer(frame(), FOUND)
    (image,) = images.wait(1)
    assert (image.encoding, image.width, image.height) == ('rgb8', WIDTH, HEIGHT)
    assert (image.header.frame_id, image.header.stamp.sec) == ('front', 5)
    drawn = np.array(image.data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    expected = draw_detections(Pillow.fromarray(noise(WIDTH, HEIGHT, 1)), FOUND, LABELS)
    assert np.array_equal(drawn, np.asarray(expected))
    assert tuple(drawn[159, 90]) == class_colour(0)


def test_a_compressed_camera_and_a_compressed_picture(annotated: Annotated) -> None:
    images = annotated.heard(CompressedImage, 'annotated/compressed', BEST_EFFORT)
    annotated.publisher.offer(frame(CompressedPicture(jpeg(noise(WIDTH, HEIGHT, 1)))), FOUND)
    (image,) = images.wait(1)
    assert image.format == 'jpeg' and image.header.frame_id == 'front'
    pixels = decode(bytes(image.data))
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(pixels[159, 90].astype(int) - class_colour(0)).max() < 60


def test_nobody_looks_so_nothing_is_drawn(annotated: Annotated) -> None:
    begin = time.thread_time()
    for _ in range(1000):
        annotated.publisher.offer(frame_once, FOUND)
    elapsed = (time.thread_time() - begin) / 1000
    assert annotated.publisher.rendered == 0
    assert 'annotated' not in threads(), 'not even a thread'
    print(f'{1e6 * elapsed:.1f} us a frame')
    assert elapsed < 100e-6


frame_once = frame()


def test_the_worker_never_waits_and_the_newest_result_is_drawn(
    annotated: Annotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    draw = annotated.results.draw

    def slow(picture: Pillow.Image, result: Any) -> Pillow.Image:
        gate.wait(10.0)
        return draw(picture, result)

    monkeypatch.setattr(annotated.results, 'draw', slow)
    images = annotated.heard(Image, 'annotated')
    begin = time.monotonic()
    for second in range(1, 11):
        annotated.publisher.offer(frame(seconds=second), FOUND)
        if second == 1:
            annotated.graph.spin_until(lambda: annotated.publisher._mailbox._item is None)
    assert time.monotonic() - begin < 5.0
    gate.set()
    assert [image.header.stamp.sec for image in images.wait(2)] == [1, 10]
    assert annotated.publisher.left_out == 8


def test_a_picture_that_cannot_be_drawn_costs_that_picture(annotated: Annotated) -> None:
    images = annotated.heard(Image, 'annotated')
    annotated.publisher.offer(frame(CompressedPicture(b'no picture')), FOUND)
    annotated.graph.spin_until(lambda: annotated.publisher._failing)
    annotated.publisher.offer(frame(), FOUND)
    assert len(images.wait(1)) == 1


def test_it_begins_again_after_its_end(annotated: Annotated) -> None:
    images = annotated.heard(Image, 'annotated')
    for count in (1, 2):
        annotated.publisher.offer(frame(), FOUND)
        images.wait(count)
        annotated.publisher.end(5.0)
        assert 'annotated' not in threads()


@pytest.mark.parametrize('task', sorted(RESULTS))
def test_every_task_is_drawn(graph: Graph, task: str) -> None:
    annotated = Annotated(graph, task)
    images = annotated.heard(Image, 'annotated')
    annotated.publisher.offer(frame(), RESULTS[task])
    (image,) = images.wait(1)
    drawn = np.array(image.data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    assert (drawn != noise(WIDTH, HEIGHT, 1)).any()
    annotated.publisher.end(5.0)


def test_boxes_as_annotations_under_the_stamp_of_the_image(annotated: Annotated) -> None:
    foxglove = pytest.importorskip('foxglove_msgs.msg', reason='foxglove_msgs is not installed')
    collected = annotated.heard(foxglove.ImageAnnotations, 'annotations')
    annotated.publisher.offer(frame(), FOUND)
    (message,) = collected.wait(1)
    first, second = message.points
    assert first.type == foxglove.PointsAnnotation.LINE_LOOP
    assert [(point.x, point.y) for point in second.points] == [
        (200, 100),
        (300, 100),
        (300, 200),
        (200, 200),
    ]
    colour = first.outline_color
    assert [round(255 * part) for part in (colour.r, colour.g, colour.b)] == [*class_colour(0)]
    assert [text.text for text in message.texts] == ['cat 0.90', 'dog 0.60']
    assert message.texts[0].position.y == 60
    stamps = [part.timestamp.sec for part in (*message.points, *message.texts)]
    assert stamps == [5] * 4
    if hasattr(message, 'timestamp'):
        assert message.timestamp.sec == 5


def test_no_box_makes_empty_annotations_that_clear_the_view(annotated: Annotated) -> None:
    foxglove = pytest.importorskip('foxglove_msgs.msg', reason='foxglove_msgs is not installed')
    collected = annotated.heard(foxglove.ImageAnnotations, 'annotations')
    none = Detections(FOUND.boxes[:0], FOUND.scores[:0], FOUND.classes[:0])
    annotated.publisher.offer(frame(), none)
    (message,) = collected.wait(1)
    assert (list(message.points), list(message.texts)) == ([], [])


def test_the_best_class_as_an_annotation(graph: Graph) -> None:
    foxglove = pytest.importorskip('foxglove_msgs.msg', reason='foxglove_msgs is not installed')
    annotated = Annotated(graph, 'classification')
    collected = annotated.heard(foxglove.ImageAnnotations, 'annotations')
    annotated.publisher.offer(frame(), RESULTS['classification'])
    (text,) = collected.wait(1)[0].texts
    assert text.text == 'dog 0.70'
    annotated.publisher.end(5.0)


def test_pictures_are_drawn_at_a_rate_that_the_node_bounds(graph: Graph) -> None:
    annotated = Annotated(graph)
    frames = [frame / 30 for frame in range(1, 91)]
    assert annotated.node.parameters['annotated_rate'] == 10.0
    assert 29 <= sum(annotated.publisher._is_due(now) for now in frames) <= 31
    annotated.node.set_parameters([Parameter('annotated_rate', value=0.0)])
    assert all(annotated.publisher._is_due(now) for now in frames)
