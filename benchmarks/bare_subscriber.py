#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
An rclpy subscriber that does nothing with its images, or decodes them: what no node can beat.

A line on its standard input asks for the seconds from each frame's stamp until it was there (for
JPEG: decoded), as a JSON list, since the last time. The end of its input ends it.
"""

import io
import json
import os
import sys
import threading
import time

from PIL import Image as Picture
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.nodes.common import qos


def main() -> int:
    """Subscribe."""
    compressed = sys.argv[1:] == ['--compressed']
    delays: list[float] = []

    def receive(message: Image | CompressedImage) -> None:
        if compressed:
            Picture.open(io.BytesIO(message.data)).convert('RGB')
        stamp = message.header.stamp
        delays.append(time.time() - stamp.sec - stamp.nanosec * 1e-9)

    def answer() -> None:
        for _ in sys.stdin:
            found = delays[:]
            del delays[: len(found)]
            print(json.dumps(found), flush=True)
        os._exit(0)

    rclpy.init()
    node = Node('bare_subscriber')
    kind, topic = (CompressedImage, '/image/compressed') if compressed else (Image, '/image')
    node.create_subscription(kind, topic, receive, qos.SENSOR_SUBSCRIPTION)
    threading.Thread(target=answer, daemon=True).start()
    print('ready', flush=True)
    rclpy.spin(node)
    return 0


if __name__ == '__main__':
    sys.exit(main())
