#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A camera for benchmarks: publishes photographs when it is told to.

A line ``NAME COUNT RATE`` on its standard input asks for COUNT frames at RATE hertz with the frame
id NAME; it answers with the seconds that took. The end of its input ends it.
"""

import argparse
import sys
import time

import numpy as np
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.nodes.camera.sources import PictureSource, SourceError, library_pictures
from dynamic_dnn_ros.nodes.common import qos
from support.images import compressed_message, image_message, jpeg, noise

PICTURES = 8


def pictures(width: int, height: int) -> list[np.ndarray]:
    """Return what the camera sees: photographs where scikit-image is installed, else noise."""
    try:
        source = PictureSource(library_pictures()[:1], 'photograph', (width, height))
    except SourceError:
        return [noise(width, height, seed) for seed in range(PICTURES)]
    views = [source.read() for _ in range(PICTURES)]
    return [view for view in views if view is not None]


def main() -> int:
    """Publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument('width', type=int)
    parser.add_argument('height', type=int)
    parser.add_argument('--compressed', action='store_true')
    parser.add_argument('--topics', nargs='+', help='of several cameras, all at the same time')
    arguments = parser.parse_args()
    seen = pictures(arguments.width, arguments.height)
    messages: list[Image] | list[CompressedImage]
    if arguments.compressed:
        messages = [compressed_message(jpeg(pixels, 90)) for pixels in seen]
        kind, topic = CompressedImage, '/image/compressed'
    else:
        messages = [image_message(pixels, 'bgr8') for pixels in seen]
        kind, topic = Image, '/image'
    rclpy.init()
    node = Node('benchmark_camera')
    publishers = [
        node.create_publisher(kind, each, qos.SENSOR_PUBLICATION)
        for each in arguments.topics or [topic]
    ]
    print('ready', flush=True)
    for line in sys.stdin:
        name, count, rate = line.split()
        begun = time.monotonic()
        for index in range(int(count)):
            time.sleep(max(0.0, begun + index / float(rate) - time.monotonic()))
            message = messages[index % len(messages)]
            message.header.frame_id = name
            message.header.stamp = node.get_clock().now().to_msg()
            for publisher in publishers:
                publisher.publish(message)
        print(time.monotonic() - begun, flush=True)
    node.destroy_node()
    rclpy.shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
