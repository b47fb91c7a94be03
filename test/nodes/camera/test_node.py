# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera node as a process: what it publishes, and how it answers a bad source."""

from __future__ import annotations

from collections.abc import Callable
import io
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from PIL import Image as PillowImage
import pytest
from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.nodes.camera import node as camera_node
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
