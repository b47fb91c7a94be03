# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What cameras do while they run: each has a defined behaviour, and is said once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import math
import re

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.parameters import Parameters
from dynamic_dnn_ros.nodes.inference import camera_input
from dynamic_dnn_ros.nodes.inference.camera_input import CameraInput
from dynamic_dnn_ros.nodes.inference.parameters import PARAMETERS
from dynamic_dnn_ros.serving.frames import CameraFrame
from support.graph import BEST_EFFORT, Graph
from support.images import compressed_message, image_message, jpeg, noise, stamp_of

SECOND = 10**9
TIMEOUT = 30.0


class Camera:
    """A camera, and the input of a node that listens to it."""

    def __init__(
        self,
        graph: Graph,
        transport: str = 'raw',
        sim_time: bool = False,
        reliable: bool = False,
        arguments: Sequence[str] = (),
    ) -> None:
        self.graph = graph
        self.frames: list[CameraFrame] = []
        self.rejected: list[str] = []
        arguments = ['--ros-args', '-p', f'image_transport:={transport}', *arguments]
        if sim_time:
            arguments += ['-p', 'use_sim_time:=true']
        if reliable:
            override = 'qos_overrides./image.subscription.reliability'
            arguments += ['-p', f'{override}:=reliable']
        node = Node('input', context=graph.context, cli_args=arguments)
        graph.add_node(node)
        self.input = CameraInput(
            node,
            Parameters(node, PARAMETERS),
            self._deliver,
            lambda header, reason: self.rejected.append(reason),
        )
        compressed = transport == 'compressed'
        self.publisher = graph.publisher(
            CompressedImage if compressed else Image, self.input.topic
        )
        self.input.subscribe()
        graph.wait_for_subscriptions(self.publisher)

    def _deliver(self, frame: CameraFrame) -> bool:
        self.frames.append(frame)
        return False

    def send(self, message: Image | CompressedImage) -> None:
        """Publish a message, and wait until it has come."""
        seen = self.input.received
        self.publisher.publish(message)
        self.graph.spin_until(lambda: self.input.received > seen, TIMEOUT, 'the frame')


@pytest.fixture
def make_camera(graph: Graph) -> Callable[..., Camera]:
    return lambda **options: Camera(graph, **options)


@pytest.mark.parametrize(
    ('transport', 'kind'), [('raw', '32x24 rgb8'), ('compressed', '32x24 JPEG')]
)
def test_what_arrives_is_said_once_and_again_after_a_silence(
    graph: Graph,
    make_camera: Callable[..., Camera],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    transport: str,
    kind: str,
) -> None:
    monkeypatch.setattr(camera_input, 'SILENCE', 0.3)
    camera = make_camera(transport=transport)

    def message() -> Image | CompressedImage:
        pixels = noise(32, 24, 1)
        return image_message(pixels) if transport == 'raw' else compressed_message(jpeg(pixels))

    for _ in range(3):
        camera.send(message())
    said = capfd.readouterr().err
    (line,) = [line for line in said.splitlines() if 'Images' in line]
    assert '[INFO]' in line and f'Images arrive on {camera.input.topic}: {kind}.' in line
    graph.spin_for(0.5)
    assert camera.input.silence_cause()
    for _ in range(3):
        camera.send(message())
    said = capfd.readouterr().err
    (line,) = [line for line in said.splitlines() if 'arrive' in line and '[INFO]' in line]
    assert f'Images of {camera.input.topic} arrive again' in line


def test_resolution_and_encoding_may_change_and_each_is_said_once(
    make_camera: Callable[..., Camera], capfd: pytest.CaptureFixture[str]
) -> None:
    camera = make_camera()
    kinds = [((64, 48), 'rgb8'), ((32, 24), 'rgb8'), ((32, 24), 'mono8')]
    for turn in range(4):
        for (width, height), encoding in kinds:
            camera.send(image_message(noise(width, height, turn), encoding))
    assert [
        ((frame.picture.width, frame.picture.height), frame.picture.encoding)  # type: ignore[union-attr]
        for frame in camera.frames
    ] == kinds * 4
    said = capfd.readouterr().err
    assert said.count('has changed to 32x24 rgb8') == 1
    assert said.count('has changed to 32x24 mono8') == 1
    assert said.count('has changed to') == 2


def test_stamps_that_jump_back_are_served_counted_and_said_once(
    make_camera: Callable[..., Camera], capfd: pytest.CaptureFixture[str]
) -> None:
    camera = make_camera()
    stamps = [5 * SECOND, 6 * SECOND, 2 * SECOND, 3 * SECOND, SECOND]
    for stamp in stamps:
        camera.send(image_message(noise(32, 24, 0), nanoseconds=stamp))
    origins = [frame.origin for frame in camera.frames]
    assert [header.stamp for header, _ in origins] == [stamp_of(stamp) for stamp in stamps]
    # Stamps of another time base give no age.
    assert all(math.isnan(age) for _, age in origins)
    assert camera.input.stamps_back == 2
    said = capfd.readouterr().err
    assert said.count('jump back, by 4.000 s') == 1
    assert said.count('jump back') == 1
    camera.input.reset()
    assert camera.input.stamps_back == 0


def test_a_slow_camera_is_not_silent_between_two_frames(
    make_camera: Callable[..., Camera], graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera of 0.1 Hz, thirty times as fast and with a patience that is smaller by as much."""
    monkeypatch.setattr(camera_input, 'SILENCE', 0.05)
    camera = make_camera()
    graph.spin_until(lambda: camera.input.silence > 0.0, TIMEOUT, 'silence')
    message = image_message(noise(32, 24, 0))
    camera.send(message)
    for _ in range(3):
        graph.spin_for(0.33)
        camera.send(message)
        assert camera.input.silence == 0.0
    graph.spin_for(0.33)
    assert camera.input.silence == 0.0, 'the next frame is due by now, but not overdue'
    graph.spin_until(lambda: camera.input.silence > 0.0, TIMEOUT, 'silence')
    assert camera.input.silence >= 0.99


def test_a_camera_of_1000_hertz_is_received_without_a_word(
    make_camera: Callable[..., Camera], graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    camera = make_camera()
    message = image_message(noise(32, 24, 0))
    with graph.spinning():
        for index in range(500):
            message.header.stamp = stamp_of(index * SECOND // 1000)
            camera.publisher.publish(message)
    graph.spin_for(0.2)
    # Best effort, keep last 5: what a busy executor does not fetch in time is gone.
    assert 0 < camera.input.received <= 500
    assert len(camera.frames) == camera.input.received
    (line,) = capfd.readouterr().err.splitlines()
    assert 'Images arrive on' in line


def test_the_clock_of_a_bag_decides_the_age_and_may_start_again(
    make_camera: Callable[..., Camera], graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    camera = make_camera(sim_time=True)
    clock = graph.publisher(Clock, '/clock')
    graph.wait_for_subscriptions(clock)

    def play(seconds: float) -> float:
        now = round(seconds * SECOND)
        clock.publish(Clock(clock=stamp_of(now)))
        node = camera.input._node
        graph.spin_until(lambda: node.get_clock().now().nanoseconds == now, TIMEOUT, '/clock')
        camera.send(image_message(noise(32, 24, 0), nanoseconds=now - SECOND // 4))
        return float(camera.frames[-1].origin[1])

    # A bag that is played twice: its clock and its stamps begin again together.
    ages = [play(seconds) for seconds in (100.0, 101.0, 100.0, 101.0)]
    assert ages == pytest.approx([0.25] * 4)
    assert camera.input.stamps_back == 1
    assert capfd.readouterr().err.count('jump back') == 1


def test_an_override_of_the_quality_holds_for_its_topic_alone(
    make_camera: Callable[..., Camera], graph: Graph
) -> None:
    make_camera(reliable=True)
    (endpoint,) = graph.node.get_subscriptions_info_by_topic('/image')
    assert endpoint.qos_profile.reliability is ReliabilityPolicy.RELIABLE
    assert qos.SENSOR_SUBSCRIPTION.reliability is ReliabilityPolicy.BEST_EFFORT


def test_a_message_that_cannot_be_read_is_rejected_under_its_header(
    make_camera: Callable[..., Camera],
) -> None:
    camera = make_camera(transport='compressed')
    camera.send(compressed_message(b''))
    camera.send(compressed_message(jpeg(noise(32, 24, 0)), 7))
    assert len(camera.rejected) == camera.input.rejected == 1
    assert 'has no data' in camera.rejected[0]
    assert len(camera.frames) == 1 and camera.frames[0].origin[0].stamp == stamp_of(7)


@pytest.mark.parametrize(
    ('transport', 'remaps', 'topic'),
    [
        ('raw', {}, '/image'),
        ('compressed', {}, '/image/compressed'),
        ('raw', {'image': '/camera/image_raw'}, '/camera/image_raw'),
        ('compressed', {'image': '/camera/image_raw'}, '/camera/image_raw/compressed'),
        ('compressed', {'image/compressed': '/front/jpeg'}, '/front/jpeg'),
        ('compressed', {'image': '/a', 'image/compressed': '/front/jpeg'}, '/front/jpeg'),
    ],
)
def test_the_base_topic_is_remapped_before_the_transport_is_appended(
    make_camera: Callable[..., Camera], transport: str, remaps: dict[str, str], topic: str
) -> None:
    arguments = [part for name, to in remaps.items() for part in ('-r', f'{name}:={to}')]
    camera = make_camera(transport=transport, arguments=arguments)
    assert camera.input.topic == topic
    pixels = noise(32, 24, 0)
    compressed = transport == 'compressed'
    camera.send(compressed_message(jpeg(pixels)) if compressed else image_message(pixels))
    assert len(camera.frames) == 1


def listening(graph: Graph, *arguments: str) -> CameraInput:
    node = Node('input', context=graph.context, cli_args=['--ros-args', *arguments])
    graph.add_node(node)
    parameters = Parameters(node, PARAMETERS)
    listener = CameraInput(node, parameters, lambda frame: False, lambda header, reason: None)
    listener.subscribe()
    return listener


@pytest.fixture
def other(graph: Graph) -> Iterator[Graph]:
    other = Graph(graph.domain_id, 'other')
    yield other
    other.close()


SILENT = {
    'no publisher': ((), None, r"no node publishes '/image'. Start the camera, or remap image"),
    'another topic': (
        (),
        (Image, '/front/image_raw', BEST_EFFORT),
        r"no node publishes '/image'. Images are on: /front/image_raw. "
        r'Remap it: -r image:=/front/image_raw',
    ),
    'another transport': (
        (),
        (CompressedImage, '/front/image_raw/compressed', BEST_EFFORT),
        r"Images of another kind are on: /front/image_raw/compressed. .*'compressed'",
    ),
    'the other transport': (
        ('-p', 'image_transport:=compressed', '-r', 'image:=/front/image_raw'),
        (Image, '/front/image_raw', BEST_EFFORT),
        r"no node publishes '/front/image_raw/compressed'.*on: /front/image_raw. .*to 'raw'",
    ),
    'another type': (
        (),
        (CompressedImage, '/image', BEST_EFFORT),
        r"/camera publishes '/image' as sensor_msgs/msg/CompressedImage, this node "
        r"listens to sensor_msgs/msg/Image. Set parameter 'image_transport' to 'compressed'",
    ),
    'a type that is no image': (
        (),
        (Clock, '/image', BEST_EFFORT),
        r"publishes '/image' as rosgraph_msgs/msg/Clock.*Remap image to a topic of images",
    ),
    'incompatible quality of service': (
        ('-p', 'qos_overrides./image.subscription.reliability:=reliable'),
        (Image, '/image', BEST_EFFORT),
        r"/camera publishes '/image' with a quality of service that this node does "
        r'not accept \(.*[Rr]eliab.*qos_overrides./image.subscription',
    ),
    'a publisher that sends nothing': (
        (),
        (Image, '/image', BEST_EFFORT),
        r"/camera publishes '/image', but nothing arrives. Check .* same DDS profile",
    ),
}


@pytest.mark.parametrize('name', SILENT)
def test_the_cause_of_silence_is_named_once(
    graph: Graph,
    other: Graph,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    arguments, publisher, expected = SILENT[name]
    listener = listening(graph, *arguments)
    if publisher is not None:
        message_type, topic, profile = publisher
        # A participant of its own: DDS allows one type for a topic in each.
        camera = Node('camera', context=other.context)
        other.add_node(camera)
        camera.create_publisher(message_type, topic, profile)
    assert listener.silence_cause() == ''
    monkeypatch.setattr(camera_input, 'SILENCE', 0.0)
    graph.spin_until(
        lambda: re.search(expected, listener.silence_cause()) is not None,
        TIMEOUT,
        lambda: f'{expected!r} in {listener.silence_cause()!r}',
    )
    capfd.readouterr()
    for _ in range(3):
        listener.silence_cause()
    assert 'No image' not in capfd.readouterr().err, 'it has been logged already'


def test_a_cause_is_logged_again_after_images_came(
    make_camera: Callable[..., Camera],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    camera = make_camera()
    monkeypatch.setattr(camera_input, 'SILENCE', 0.0)
    for turn in range(2):
        camera.send(image_message(noise(32, 24, turn)))
        camera.input._interval = 0.0
        camera.input.silence_cause()
        camera.input.silence_cause()
    assert capfd.readouterr().err.count('but nothing arrives') == 2


@pytest.mark.parametrize(('values', 'served'), [('[0.0, 0.0]', 0), ('[0, 2000]', 1)])
def test_distances_are_served_where_their_range_is_given(
    make_camera: Callable[..., Camera], values: str, served: int
) -> None:
    camera = make_camera(arguments=('-p', f'picture_range:={values}'))
    message = Image(height=2, width=2, step=4, encoding='16UC1', data=[0, 4] * 4)
    camera.send(message)
    assert len(camera.frames) == served
    if served:
        assert set(np.asarray(camera.frames[0].picture.open()).ravel()) == {131}
    else:
        assert 'picture_range' in camera.rejected[0]


@pytest.mark.parametrize(
    ('remap', 'topic'),
    [
        ('front/image:=/camera', '/camera/compressed'),
        ('front/image/compressed:=/jpeg', '/jpeg'),
        ('image:=/camera', '/front/image/compressed'),
    ],
)
def test_the_topic_of_a_camera_with_a_name_is_remapped_by_it(
    graph: Graph, remap: str, topic: str
) -> None:
    arguments = ['--ros-args', '-p', 'image_transport:=compressed', '-r', remap]
    node = Node('input', context=graph.context, cli_args=arguments)
    graph.add_node(node)
    nothing = (lambda frame: False, lambda header, reason: None)
    camera = CameraInput(node, Parameters(node, PARAMETERS), *nothing, 'front/image')
    assert camera.topic == topic
