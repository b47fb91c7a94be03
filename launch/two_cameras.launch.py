# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Serve two cameras, /front and /rear; cameras.launch.py serves any number of any name."""

from collections.abc import Mapping

from launch import LaunchDescription

from dynamic_dnn_ros.launching.actions import described, node_actions
from dynamic_dnn_ros.launching.arguments import EVERY_APPLICATION, SYSTEM, Argument, without
from dynamic_dnn_ros.launching.cameras import Camera

NAMES = ('front', 'rear')

OWN = (
    *(
        Argument(f'{n}_image', 'image', f'Image topic of the {n} camera, relative to /{n}')
        for n in NAMES
    ),
    *(Argument(f'{n}_bundle', '', f'Bundle of the {n} camera; empty: the default') for n in NAMES),
)


def generate_launch_description() -> LaunchDescription:
    """Return two inference nodes, one manager node and one platform node."""
    return described(
        (*OWN, *without(EVERY_APPLICATION, 'bundle'), *SYSTEM),
        lambda values: node_actions(values, [camera(name, values) for name in NAMES]),
    )


def camera(name: str, values: Mapping[str, str]) -> Camera:
    """Return one of the two cameras."""
    bundle = values[f'{name}_bundle']
    return Camera(name, values[f'{name}_image'], {'bundle': bundle} if bundle else {})
