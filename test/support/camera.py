# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A camera in a process of its own: publishes a known number of known frames at a rate."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time

from dynamic_dnn_ros.parent_death import end_with_parent
from support.images import Pixels, noise

PICTURES = 16
"""Frame k shows picture k modulo this."""
WIDTH, HEIGHT = 640, 480


def picture(index: int) -> Pixels:
    """Return what frame `index` shows."""
    return noise(WIDTH, HEIGHT, index % PICTURES)


class CameraProcess:
    """
    Publishes `count` frames on a raw image topic of the present domain, once it is subscribed.

    The frame id of frame k is ``frame_k``; its stamp is the time of its publication.
    """

    def __init__(
        self,
        topic: str,
        count: int,
        rate: float,
        environment: Mapping[str, str | None] | None = None,
    ) -> None:
        variables = dict(os.environ)
        test_folder = str(Path(__file__).resolve().parents[1])
        variables['PYTHONPATH'] = os.pathsep.join([test_folder, variables.get('PYTHONPATH', '')])
        for key, value in (environment or {}).items():
            if value is None:
                variables.pop(key, None)
            else:
                variables[key] = value
        command = [sys.executable, str(Path(__file__)), topic, str(count), str(rate)]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self.process = subprocess.Popen(
            command,
            env=variables,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            preexec_fn=end_with_parent,
        )

    @property
    def running(self) -> bool:
        """Whether it still publishes."""
        return self.process.poll() is None

    @property
    def log(self) -> str:
        """What it wrote."""
        # The process writes through the same open file: its position is not to be moved.
        descriptor = self._log.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors='replace')

    def close(self) -> None:
        """End it."""
        if self.running:
            self.process.kill()
        self.process.wait()
        self._log.close()


def index_of(frame_id: str) -> int:
    """Return the index of the frame with this frame id."""
    return int(frame_id.removeprefix('frame_'))


def main() -> int:
    """Publish."""
    import rclpy
    from rclpy.node import Node
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import Image

    from support.images import image_message, stamp_of

    parser = argparse.ArgumentParser()
    parser.add_argument('topic')
    parser.add_argument('count', type=int)
    parser.add_argument('rate', type=float)
    arguments = parser.parse_args()
    rclpy.init()
    node = Node('test_camera')
    # As REP-2003 has drivers publish: reliable, keep last 5.
    publisher = node.create_publisher(Image, arguments.topic, QoSProfile(depth=5))
    messages = [image_message(picture(index), 'bgr8') for index in range(PICTURES)]
    deadline = time.monotonic() + 30.0
    while publisher.get_subscription_count() < 1:
        if time.monotonic() > deadline:
            print(f'nobody subscribes to {arguments.topic}', flush=True)
            return 1
        rclpy.spin_once(node, timeout_sec=0.05)
    time.sleep(0.5)
    print('begins', flush=True)
    start = time.monotonic()
    worst = 0.0
    for index in range(arguments.count):
        due = start + index / arguments.rate
        time.sleep(max(0.0, due - time.monotonic()))
        worst = max(worst, time.monotonic() - due)
        message = messages[index % PICTURES]
        message.header.frame_id = f'frame_{index}'
        message.header.stamp = stamp_of(time.time_ns())
        publisher.publish(message)
    print(
        f'published {arguments.count} frames in {time.monotonic() - start:.3f} s, '
        f'at worst {worst:.3f} s late',
        flush=True,
    )
    time.sleep(1.0)  # What is on its way arrives before the segment vanishes.
    node.destroy_node()
    rclpy.shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
