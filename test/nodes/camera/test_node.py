# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera node as a process: what it publishes, and how it answers a bad source."""

from __future__ import annotations

from collections.abc import Callable
import io
from pathlib import Path
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from PIL import Image as PillowImage
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.nodes.camera import node as camera_node
from dynamic_dnn_ros.nodes.camera.sources import FrameError, SourceError, SourceLost
from dynamic_dnn_ros.nodes.common.diagnostics import Level
from support.graph import BEST_EFFORT, Graph
from support.images import nanoseconds_of

StartNode = Callable[..., Any]
COLOUR = (200, 100, 30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one picture of one colour."""
    PillowImage.new('RGB', (80, 60), COLOUR).save(tmp_path / 'picture.png')
    return tmp_path


@pytest.mark.parametrize('encoding', ['bgr8', 'rgb8'])
def test_raw_images(graph: Graph, start_node: StartNode, folder: Path, encoding: str) -> None:
    images = graph.collect(Image, '/front/image', BEST_EFFORT)
    start_node(
        'camera_node',
        namespace='/front',
        parameters={
            'source': 'folder',
            'path': str(folder),
            'width': 32,
            'height': 24,
            'encoding': encoding,
            'frame_id': 'front_camera',
            'rate': 50.0,
        },
    )
    first, second = images.wait(2, timeout=20.0)[:2]
    assert (first.height, first.width, first.step) == (24, 32, 96)
    assert first.encoding == encoding
    assert first.header.frame_id == 'front_camera'
    assert nanoseconds_of(first.header.stamp) < nanoseconds_of(second.header.stamp)
    pixels = np.frombuffer(first.data, np.uint8).reshape(24, 32, 3)
    expected = COLOUR if encoding == 'rgb8' else COLOUR[::-1]
    assert (pixels == expected).all()


def test_compressed_images_follow_the_base_topic(
    graph: Graph, start_node: StartNode, folder: Path
) -> None:
    images = graph.collect(CompressedImage, '/camera/image_raw/compressed', BEST_EFFORT)
    node = start_node(
        'camera_node',
        parameters={'source': 'folder', 'path': str(folder), 'transport': 'compressed'},
        remaps={'image': '/camera/image_raw'},
    )
    images.wait(1)
    assert '/camera/image_raw/compressed' in node.log


def test_compressed_images(graph: Graph, start_node: StartNode, folder: Path) -> None:
    images = graph.collect(CompressedImage, '/image/compressed', BEST_EFFORT)
    start_node(
        'camera_node',
        parameters={'source': 'folder', 'path': str(folder), 'transport': 'compressed'},
    )
    message = images.wait(1, timeout=20.0)[0]
    assert message.format == 'jpeg'
    picture = np.asarray(PillowImage.open(io.BytesIO(bytes(message.data))))
    assert picture.shape == (480, 640, 3)
    assert np.abs(picture.astype(int) - COLOUR).max() <= 3


def test_quality_of_service_is_reliable_and_can_be_overridden(
    graph: Graph, start_node: StartNode, folder: Path
) -> None:
    parameters = {'source': 'folder', 'path': str(folder)}
    start_node('camera_node', parameters=parameters)
    start_node(
        'camera_node',
        namespace='/rear',
        parameters={
            **parameters,
            'qos_overrides./rear/image.publisher.reliability': 'best_effort',
        },
    )
    for topic, reliability in (('/image', 'RELIABLE'), ('/rear/image', 'BEST_EFFORT')):
        graph.wait_for_publishers(topic)
        (endpoint,) = graph.node.get_publishers_info_by_topic(topic)
        assert endpoint.qos_profile.reliability.name == reliability


def test_bad_source_is_reported_and_mended(
    graph: Graph, start_node: StartNode, folder: Path
) -> None:
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    images = graph.collect(Image, '/image', BEST_EFFORT)
    node = start_node(
        'camera_node', parameters={'source': 'folder', 'path': str(folder / 'absent')}
    )
    graph.wait_for_state('/camera_node', 'unconfigured')
    diagnostics.wait_for(
        lambda array: any(
            status.level == b'\x02' and 'does not exist. Check the path' in status.message
            for status in array.status
        )
    )
    assert graph.set_parameter('/camera_node', 'path', str(folder))[0]
    graph.change_state('/camera_node', 'configure')
    graph.change_state('/camera_node', 'activate')
    images.wait(1)
    assert node.running


class BrokenSource:
    """A source whose decoder fails in a way of its own."""

    description = 'a video that breaks off'
    rate = 50.0
    left_out = ()

    def read(self) -> None:
        raise RuntimeError('bad packet')

    def rewind(self) -> None: ...

    def close(self) -> None: ...


def test_whatever_a_decoder_raises_is_said(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_node, 'open_source', lambda *arguments: BrokenSource())
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    node = camera_node.CameraNode(context=graph.context)
    graph.add_node(node)
    node.start()
    diagnostics.wait_for(
        lambda array: any(
            status.level == b'\x02' and 'breaks off failed: RuntimeError' in status.message
            for status in array.status
        )
    )
    node.stop()
    assert not node.configured


class FlakySource:
    """A camera of which each letter is a read: a frame, a bad one, or the camera is lost."""

    description = 'a flaky camera'
    rate = 100.0
    left_out = ('one picture: it is no picture.',)

    def __init__(self, reads: str, opens: str = '') -> None:
        self.reads, self.opens = list(reads), list(opens)
        self.rewound: list[float] = []

    def read(self) -> np.ndarray | None:
        letter = self.reads.pop(0) if self.reads else 'end'
        if letter == 'x':
            raise FrameError('frame 12: it is cut')
        if letter == 'l':
            raise SourceLost('a flaky camera delivers no frame. Check its cable.')
        return np.zeros((4, 6, 3), np.uint8) if letter == '.' else None

    def rewind(self) -> None:
        self.rewound.append(time.monotonic())
        if self.opens.pop(0) == 'x':
            raise SourceError('a flaky camera cannot be opened')

    def close(self) -> None: ...


def start_flaky(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, source: FlakySource
) -> camera_node.CameraNode:
    monkeypatch.setattr(camera_node, 'open_source', lambda *arguments: source)
    node = camera_node.CameraNode(
        context=graph.context, parameter_overrides=[Parameter('loop', value=False)]
    )
    graph.add_node(node)
    node.start()
    return node


def test_a_bad_frame_is_counted_and_skipped(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    images = graph.collect(Image, '/image')
    source = FlakySource('.' * 11 + 'xx' + '.' * 9)
    node = start_flaky(graph, monkeypatch, source)
    images.wait(20, timeout=20.0)
    (said,) = node.diagnose()
    assert said.level is Level.WARNING
    assert '2 frames could not be read, the last one: frame 12: it is cut' in said.message
    assert said.values['frames that could not be read'] == 2
    log = capfd.readouterr().err
    assert log.count('frame 12: it is cut') == 1
    assert log.count('Left out: one picture') == 1
    monkeypatch.setattr(camera_node, 'REMEMBERED', 0.0)
    assert node.diagnose()[0].level is Level.OK
    node.stop()


def test_a_camera_that_is_lost_is_opened_again_with_growing_pauses(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(camera_node, 'FIRST_PAUSE', 0.1)
    monkeypatch.setattr(camera_node, 'LONGEST_PAUSE', 0.4)
    images = graph.collect(Image, '/image')
    # It opens at the third attempt and delivers nothing then, and is well at the fifth.
    source = FlakySource('...ll...', 'xxoxo')
    node = start_flaky(graph, monkeypatch, source)
    graph.spin_until(lambda: len(source.rewound) == 2, 20.0, 'two attempts')
    (said,) = node.diagnose()
    assert said.level is Level.WARNING
    assert 'Check its cable. It is opened again after' in said.message
    images.wait(6, timeout=20.0)
    assert [round(gap, 1) for gap in np.diff(source.rewound)] == [0.2, 0.4, 0.4, 0.4]
    assert node.diagnose()[0].level is Level.OK
    log = capfd.readouterr().err
    assert log.count('delivers no frame. Check its cable') == 1
    node.stop()


def test_a_node_that_waits_for_its_camera_stops_at_once(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_node, 'FIRST_PAUSE', 60.0)
    node = start_flaky(graph, monkeypatch, FlakySource('l'))
    graph.spin_until(lambda: node.diagnose()[0].level is Level.WARNING, 20.0, 'the loss')
    began = time.monotonic()
    node.stop()
    assert time.monotonic() - began < 5.0


def test_a_source_of_bad_frames_only_is_an_error(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_flaky(graph, monkeypatch, FlakySource('xxx'))
    graph.spin_until(lambda: node.diagnose()[0].level is Level.ERROR, 20.0, 'the error')
    assert 'no frame that can be decoded. frame 12: it is cut' in node.diagnose()[0].message
    node.stop()


def test_stops_at_the_end_and_while_inactive(
    graph: Graph, start_node: StartNode, folder: Path
) -> None:
    images = graph.collect(Image, '/image')
    node = start_node(
        'camera_node',
        parameters={
            'source': 'folder',
            'path': str(folder),
            'width': 8,
            'height': 6,
            'rate': 500.0,
            'loop': False,
            'autostart': False,
        },
    )
    graph.wait_for_state('/camera_node', 'unconfigured')
    graph.change_state('/camera_node', 'configure')
    graph.wait_for_publishers('/image')
    graph.spin_for(0.5)
    assert len(images) == 0
    graph.change_state('/camera_node', 'activate')
    node.wait_for_log('is at its end')
    graph.spin_for(0.5)
    # One picture is shown for four seconds of thirty frames.
    assert len(images) == 120
    assert node.stop() == 0
