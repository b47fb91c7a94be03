# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detectors and segmenters through camera topic, node and engine, in the image's own pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.msg import Application, InferenceStatus, Segmentation, SubNetworkSwitch
from dynamic_dnn_ros.msg import Detections as DetectionsMessage
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.tracking import UNTRACKED
from support.colour_models import make_detector, make_segmenter, scene
from support.graph import LATCHED, Graph
from support.images import compressed_message, image_message, jpeg

pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

ID = '/inference_node'
PICTURE = Size(256, 320)
#: The larger sub-network takes 64 x 128 pixels: there the picture is a quarter as large and begins
#: 24 pixels, three cells, from the left, so these squares are cells.
SQUARE = 32


class Detector:
    """An inference node that serves a detector, and what it publishes."""

    def __init__(self, graph: Graph, folder: Path, active: bool = True, **parameters: Any) -> None:
        values = {
            'bundle': str(folder),
            'platform': 'none',
            'engine': 'onnxruntime',
            **parameters,
        }
        self.graph = graph
        compressed = values.get('image_transport') == 'compressed'
        self.node = InferenceNode(
            context=graph.context,
            parameter_overrides=[Parameter(name, value=v) for name, v in values.items()],
        )
        graph.add_node(self.node)
        self.results = graph.collect(DetectionsMessage, f'{ID}/detections')
        self.statuses = graph.collect(InferenceStatus, '/dynamic_dnn/inference_status')
        self.images = graph.publisher(
            CompressedImage if compressed else Image,
            '/image/compressed' if compressed else '/image',
        )
        self.seconds = 0
        self.node.start()
        assert self.node.active == active, self.node.problem

    def serve(self, message: Any) -> DetectionsMessage:
        self.graph.wait_for_subscriptions(self.images)
        self.seconds += 1
        message.header.stamp.sec = self.seconds
        self.images.publish(message)
        result: DetectionsMessage = self.results.wait_for(
            lambda result: result.header == message.header
        )
        return result

    def look(self, *squares: tuple[int, int, str]) -> DetectionsMessage:
        return self.serve(image_message(picture(*squares), frame_id='front'))


def picture(*squares: tuple[int, int, str]) -> NDArray[np.uint8]:
    return scene(PICTURE, *squares, cell=SQUARE)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_detector(tmp_path_factory.mktemp('detector') / 'red_and_blue').folder


@pytest.fixture
def start(graph: Graph, folder: Path) -> Iterator[Callable[..., Detector]]:
    made: list[Detector] = []

    def begin(**parameters: Any) -> Detector:
        made.append(Detector(graph, folder, **parameters))
        return made[-1]

    yield begin
    for detector in made:
        detector.node.stop()
        graph.remove_node(detector.node)


def boxes(result: DetectionsMessage) -> dict[str, list[float]]:
    """Return the best box of each label."""
    return {
        row.class_id: [row.x_min, row.y_min, row.x_max, row.y_max]
        for row in reversed(result.detections)
    }


def test_boxes_lie_where_the_objects_are_in_the_cameras_picture(
    start: Callable[..., Detector],
) -> None:
    detector = start()
    result = detector.look((2, 3, 'red'), (6, 9, 'blue'))
    assert (result.application, result.sub_network, result.processor) == (ID, 's1', 'cpu')
    assert (result.image_height, result.image_width) == PICTURE
    assert result.header.frame_id == 'front'
    found = boxes(result)
    assert found['red'] == pytest.approx([96, 64, 128, 96], abs=0.01)
    assert found['blue'] == pytest.approx([288, 192, 320, 224], abs=0.01)
    scores = [row.score for row in result.detections]
    assert scores == sorted(scores, reverse=True) and scores[0] > 0.8


def test_a_compressed_camera_gives_the_same_boxes(start: Callable[..., Detector]) -> None:
    squares = [(2, 3, 'red'), (6, 9, 'blue')]
    raw = start()
    of_raw = boxes(raw.look(*squares))
    raw.node.stop()
    compressed = start(image_transport='compressed')
    message = compressed_message(jpeg(picture(*squares)), frame_id='front')
    of_compressed = boxes(compressed.serve(message))
    assert of_compressed.keys() == of_raw.keys()
    for label, box in of_raw.items():
        assert of_compressed[label] == pytest.approx(box, abs=0.5)


def test_nothing_found_is_published_too(start: Callable[..., Detector]) -> None:
    result = start().look()
    assert list(result.detections) == []
    assert result.header.frame_id == 'front' and result.sub_network == 's1'


def test_limits_take_effect_at_the_next_frame(start: Callable[..., Detector]) -> None:
    detector = start()
    squares = [(2, 3, 'red'), (6, 9, 'blue'), (4, 6, 'red')]
    assert len(detector.look(*squares).detections) == 3
    detector.node.set_parameters([Parameter('number_limit', value=2)])
    assert len(detector.look(*squares).detections) == 2
    detector.node.set_parameters([Parameter('score_limit', value=1.0)])
    assert list(detector.look(*squares).detections) == []


def test_results_name_the_sub_network_that_a_switch_chose(
    start: Callable[..., Detector], graph: Graph
) -> None:
    detector = start()
    switches = graph.publisher(SubNetworkSwitch, f'{ID}/sub_network_switch', LATCHED)
    graph.wait_for_subscriptions(switches)
    switches.publish(
        SubNetworkSwitch(application=ID, manager='test', sequence=1, sub_network='s0')
    )
    detector.statuses.wait_for(lambda s: s.switch_result == InferenceStatus.SWITCH_APPLIED)
    result = detector.look((2, 3, 'red'))
    assert result.sub_network == 's0'
    assert boxes(result)['red'] == pytest.approx([96, 64, 128, 96], abs=SQUARE)
    assert max(row.score for row in result.detections) <= 0.9, 'the scores of s0 are lower'


def test_the_application_says_what_its_results_are(
    start: Callable[..., Detector], graph: Graph
) -> None:
    start()
    applications = graph.collect(Application, '/dynamic_dnn/application', LATCHED)
    application = applications.wait(1)[0]
    assert (application.task, application.metric) == ('detection', 'map_50_95')
    assert (application.label_count, application.family) == (2, 'separate_models')
    sizes = [(row.height, row.width) for row in application.sub_networks]
    assert sizes == [(64, 64), (64, 128)]


def test_the_status_of_a_frame_names_decoding(start: Callable[..., Detector]) -> None:
    detector = start()
    detector.look((2, 3, 'red'))
    status = detector.statuses.wait_for(lambda s: s.event == InferenceStatus.EVENT_SERVED)
    stages = {row.name: row.value for row in status.stages}
    assert 0 < stages['decoding'] < stages['total']
    assert 'tracking' not in stages


def test_who_only_looks_wakes_a_lazy_node(start: Callable[..., Detector], graph: Graph) -> None:
    detector = start(lazy=True)
    # Who collects the detections would wake it as well.
    detector.graph.node.destroy_subscription(
        next(iter(s for s in graph.node.subscriptions if s.topic_name == f'{ID}/detections'))
    )
    graph.spin_until(lambda: detector.images.get_subscription_count() == 0)
    images = graph.collect(Image, f'{ID}/annotated')
    graph.wait_for_subscriptions(detector.images)
    detector.images.publish(image_message(picture((2, 3, 'red')), frame_id='front'))
    (drawn,) = images.wait(1)
    assert (drawn.width, drawn.height, drawn.header.frame_id) == (320, 256, 'front')
    assert np.array(drawn.data, np.uint8).tolist() != picture((2, 3, 'red')).ravel().tolist()


def test_an_object_that_moves_keeps_its_id_through_the_node(
    start: Callable[..., Detector],
) -> None:
    pytest.importorskip('trackers', reason="package 'trackers' is not installed")
    detector = start(tracking='bytetrack', tracking_score=0.3)
    detector.graph.wait_for_subscriptions(detector.images)
    for step in range(12):
        pixels = np.full((*PICTURE, 3), 90, np.uint8)
        left = 60 + 4 * step
        pixels[90:150, left : left + 60] = (255, 0, 0)
        message = image_message(pixels, nanoseconds=10**9 + step * 40_000_000)
        detector.images.publish(message)
        detector.results.wait(step + 1)
    stamps = [r.header.stamp.sec * 10**9 + r.header.stamp.nanosec for r in detector.results]
    assert stamps == sorted(stamps)
    ids = [max(row.track_id for row in result.detections) for result in detector.results]
    assert UNTRACKED not in ids[2:]
    detector.graph.spin_until(
        lambda: (
            len([s for s in detector.statuses if s.event == InferenceStatus.EVENT_SERVED]) == 12
        )
    )
    statuses = [s for s in detector.statuses if s.event == InferenceStatus.EVENT_SERVED]
    for status in statuses:
        stages = {row.name: row.value for row in status.stages}
        assert 0 < stages['tracking'] < stages['total']


def test_tracking_that_is_not_installed_leaves_the_node_unconfigured(
    start: Callable[..., Detector], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = importlib.import_module

    def missing(name: str, package: str | None = None) -> ModuleType:
        if name == 'trackers':
            raise ImportError("No module named 'trackers'")
        return load(name, package)

    monkeypatch.setattr(importlib, 'import_module', missing)
    detector = start(active=False, tracking='bytetrack')
    assert 'pip install' in detector.node.problem
    detector.node.set_parameters([Parameter('tracking', value='none')])
    detector.node.start()
    assert detector.node.active
    assert len(detector.look((2, 3, 'red')).detections) > 0


def test_results_go_on_after_a_pause(start: Callable[..., Detector]) -> None:
    pytest.importorskip('trackers', reason="package 'trackers' is not installed")
    detector = start(tracking='bytetrack')
    detector.look((2, 3, 'red'))
    detector.node.trigger_deactivate()
    detector.node.trigger_activate()
    assert len(detector.look((2, 3, 'red')).detections) > 0


def test_a_label_image_lies_over_the_cameras_picture(graph: Graph, tmp_path: Path) -> None:
    bundle = make_segmenter(tmp_path / 'coloured')
    parameters = {'bundle': str(bundle.folder), 'platform': 'none', 'engine': 'onnxruntime'}
    node = InferenceNode(
        context=graph.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()],
    )
    graph.add_node(node)
    labels = graph.collect(Image, f'{ID}/label_image')
    summaries = graph.collect(Segmentation, f'{ID}/segmentation')
    drawn = graph.collect(Image, f'{ID}/annotated')
    node.start()
    assert node.active, node.problem
    images = graph.publisher(Image, '/image')
    graph.wait_for_subscriptions(images)
    pixels = picture((2, 3, 'red'), (6, 9, 'blue'))
    message = image_message(pixels, nanoseconds=5 * 10**9, frame_id='front')
    images.publish(message)
    (image,), (summary,) = labels.wait(1), summaries.wait(1)
    assert image.header == summary.header == message.header
    assert (image.height, image.width, image.encoding) == (*PICTURE, 'mono8')
    found = np.array(image.data, np.uint8).reshape(PICTURE)
    expected = np.zeros(PICTURE, np.uint8)
    expected[64:96, 96:128], expected[192:224, 288:320] = 1, 2
    assert (found == expected).mean() > 0.99
    inner = np.s_[68:92, 100:124]
    assert (found[inner] == 1).all()
    assert (summary.sub_network, summary.class_ids[0]) == ('s0', 'background')
    shares = dict(zip(summary.class_ids, summary.shares))
    assert shares['red'] == pytest.approx(32 * 32 / (256 * 320), rel=0.2)
    (picture_of,) = drawn.wait(1)
    seen = np.array(picture_of.data, np.uint8).reshape(*PICTURE, 3)
    assert (seen[200:220, 100:200] == 90).all(), 'the background is left as it is'
    assert (seen[inner] != pixels[inner]).any()
    node.stop()
    graph.remove_node(node)
