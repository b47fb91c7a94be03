# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Serve one camera topic with a dynamic network: inference, manager and platform node."""

from launch import LaunchDescription

from dynamic_dnn_ros.launching.actions import described, node_actions
from dynamic_dnn_ros.launching.arguments import EVERY_APPLICATION, ONE_APPLICATION, SYSTEM
from dynamic_dnn_ros.launching.cameras import Camera


def generate_launch_description() -> LaunchDescription:
    """Return the three nodes of one camera."""
    return described(
        (*EVERY_APPLICATION, *ONE_APPLICATION, *SYSTEM),
        lambda values: node_actions(values, [Camera(values['namespace'], values['image'])]),
    )
