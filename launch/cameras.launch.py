# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Serve any number of cameras that one YAML file lists, under one manager, on one board."""

from pathlib import Path

from launch import LaunchDescription

from dynamic_dnn_ros.launching.actions import described, node_actions
from dynamic_dnn_ros.launching.arguments import EVERY_APPLICATION, SYSTEM, Argument
from dynamic_dnn_ros.launching.cameras import read_cameras

CAMERAS = Argument('cameras', None, 'YAML file that lists the cameras, as config/cameras.yaml')


def generate_launch_description() -> LaunchDescription:
    """Return the inference nodes of the cameras, one manager node and one platform node."""
    return described(
        (CAMERAS, *EVERY_APPLICATION, *SYSTEM),
        lambda values: node_actions(values, read_cameras(Path(values['cameras']).expanduser())),
    )
