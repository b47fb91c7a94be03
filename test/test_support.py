# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The support of the tests keeps its promises, or no other test is worth its result."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is absent')

from std_msgs.msg import String

from support.domain import DOMAINS, Domain
from support.graph import Graph
from support.images import compressed_message, decode, image_message, jpeg, noise
from support.process import NodeProcess


def test_domains_are_held_by_one_at_a_time() -> None:
    before = os.environ.get('ROS_DOMAIN_ID')
    with Domain() as one, Domain() as other:
        assert one.id != other.id
        assert {one.id, other.id} <= set(DOMAINS)
        assert os.environ['ROS_DOMAIN_ID'] == str(other.id)
    assert os.environ.get('ROS_DOMAIN_ID') == before


def test_two_graphs_of_one_domain_hear_each_other_and_no_one_else(graph: Graph) -> None:
    with Domain() as elsewhere:
        stranger = Graph(elsewhere.id)
    fellow = Graph(graph.domain_id, 'fellow')
    try:
        heard = fellow.collect(String, '/said')
        unheard = stranger.collect(String, '/said')
        publisher = graph.publisher(String, '/said')
        graph.wait_for_subscriptions(publisher)
        publisher.publish(String(data='here'))
        assert heard.wait()[0].data == 'here'
        stranger.spin_for(0.2)
        assert len(unheard) == 0
        with pytest.raises(TimeoutError, match='2 messages on /said; 1 came'):
            heard.wait(2, timeout=0.1)
    finally:
        fellow.close()
        stranger.close()


def test_a_process_ends_with_all_that_it_started(
    graph: Graph, start_node: Callable[..., NodeProcess]
) -> None:
    node = start_node('camera_node', log_imports=True)
    graph.wait_for_state(node.full_name)
    assert any('librmw' in path for path in node.loaded_files())
    assert 'rclpy' in node.imported_modules()
    assert 10e6 < node.resident_memory() < 1e9
    members = [node.pid, *(child.pid for child in psutil.Process(node.pid).children(True))]
    assert node.stop() == 0
    node.close()
    assert not [pid for pid in members if Path(f'/proc/{pid}').exists()]


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8'])
@pytest.mark.parametrize('padding', [0, 7])
def test_images_hold_the_pixels_and_the_padding(encoding: str, padding: int) -> None:
    pixels = noise(20, 10, 0)
    message = image_message(pixels, encoding, 1_500_000_000, 'front', padding)
    rows = np.frombuffer(message.data, np.uint8).reshape(10, message.step)
    channels = (message.step - padding) // 20
    assert (rows[:, 20 * channels :] == 255).all()
    picture = rows[:, : 20 * channels].reshape(10, 20, channels)
    if encoding != 'mono8':
        order = [0, 1, 2] if encoding.startswith('rgb') else [2, 1, 0]
        assert (picture[..., order] == pixels).all()
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1, 500_000_000)
    assert message.header.frame_id == 'front'


def test_compressed_images_hold_the_file() -> None:
    data = jpeg(noise(20, 10, 0))
    message = compressed_message(data)
    assert message.data.tobytes() == data
    assert decode(data).shape == (10, 20, 3)
