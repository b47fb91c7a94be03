# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Images from one process to another for a second: how many arrive, and how late."""

from __future__ import annotations

import array
import statistics
import subprocess
import sys
import time

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from dynamic_dnn_ros.cli.doctor.finding import Finding, Level
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.log_folder import provide_log_folder
from dynamic_dnn_ros.nodes.inference.images import SerialisedImage

WIDTH, HEIGHT = 1920, 1080
RATE = 30
FRAMES = 30
TOPIC = '/dynamic_dnn/doctor/image'

#: s for two processes to find each other.
DISCOVERY = 15.0

#: s for the last images to arrive.
FAREWELL = 1.0


def check_transport(frames: int = FRAMES) -> Finding:
    """Receive the images of a second process, best effort as the inference node does."""
    name = f'transport of {WIDTH}x{HEIGHT} at {RATE} Hz'
    delays: list[float] = []
    context = Context()
    provide_log_folder()
    rclpy.init(context=context)
    node = Node('dynamic_dnn_doctor', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    publisher = subprocess.Popen(
        [sys.executable, '-m', __name__, str(frames)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def receive(data: bytes) -> None:
        stamp = SerialisedImage(data, Image).header.stamp
        delays.append(time.time() - stamp.sec - stamp.nanosec * 1e-9)

    try:
        node.create_subscription(Image, TOPIC, receive, qos.SENSOR_SUBSCRIPTION, raw=True)
        while publisher.poll() is None:
            executor.spin_once(timeout_sec=0.1)
        said = publisher.communicate()[0]
    finally:
        publisher.kill()
        publisher.wait()
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
    if publisher.returncode != 0:
        return Finding(
            name,
            Level.PROBLEM,
            f'two processes did not find each other ({said.strip() or publisher.returncode})',
            'check ROS_DOMAIN_ID and the firewall, and mend what stands above',
        )
    lost = frames - len(delays)
    delay = f', median delay {statistics.median(delays) * 1e3:.1f} ms' if delays else ''
    found = f'{lost} of {frames} images lost{delay}'
    if lost > 0:
        return Finding(name, Level.PROBLEM, found, 'mend what stands above; docs/camera.md')
    return Finding(name, Level.OK, found)


def publish(frames: int) -> int:
    """Publish images as a camera does; the second process of the check."""
    provide_log_folder()
    rclpy.init()
    node = Node('dynamic_dnn_doctor_camera')
    publisher = node.create_publisher(Image, TOPIC, qos.SENSOR_PUBLICATION)
    message = Image(width=WIDTH, height=HEIGHT, step=WIDTH * 3, encoding='bgr8')
    message.data = array.array('B', bytes(WIDTH * HEIGHT * 3))
    end = time.monotonic() + DISCOVERY
    while publisher.get_subscription_count() < 1:
        if time.monotonic() > end:
            print(f'nobody subscribed within {DISCOVERY:g} s')
            return 1
        rclpy.spin_once(node, timeout_sec=0.05)
    time.sleep(0.3)  # The subscriber has found this process then as well.
    begun = time.monotonic()
    for index in range(frames):
        time.sleep(max(0.0, begun + index / RATE - time.monotonic()))
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
    time.sleep(FAREWELL)
    node.destroy_node()
    rclpy.shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(publish(int(sys.argv[1])))
