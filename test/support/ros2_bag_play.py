# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
``ros2 bag play`` for tests on machines without rosbag2, of which there are no wheels.

Takes the options of the real one that the launch files use, and refuses all others. Any other
``ros2`` command is handed on to the real one, which `REAL_ROS2` names.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def play(arguments: list[str]) -> int:
    """Play a bag, and publish its time on /clock."""
    parser = argparse.ArgumentParser()
    parser.add_argument('bag', type=Path)
    parser.add_argument('--clock', type=float)
    parser.add_argument('--rate', type=float, default=1.0)
    parser.add_argument('--topics', nargs='+')
    options = parser.parse_args(arguments)

    from builtin_interfaces.msg import Time
    from rosgraph_msgs.msg import Clock

    from support.bag_player import BagPlayer
    from support.graph import Graph

    graph = Graph(int(os.environ['ROS_DOMAIN_ID']), name='rosbag2_player', namespace='/')
    try:
        clock = graph.publisher(Clock, '/clock')
        player = BagPlayer(graph, options.bag, options.topics)
        player.wait_for_subscriptions()
        for record in player.play(options.rate):
            stamp = Time(sec=record.nanoseconds // 10**9, nanosec=record.nanoseconds % 10**9)
            clock.publish(Clock(clock=stamp))
        graph.spin_for(1.0)
    finally:
        graph.close()
    return 0


if __name__ == '__main__':
    if sys.argv[1:3] == ['bag', 'play']:
        sys.exit(play(sys.argv[3:]))
    os.execv(os.environ['REAL_ROS2'], [os.environ['REAL_ROS2'], *sys.argv[1:]])
