# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The name of a topic of images, as image_transport makes it of the base topic."""

from __future__ import annotations

from rclpy.node import Node


def image_topic(node: Node, compressed: bool) -> str:
    """
    Return what to subscribe to or to publish on for `image`, remapped or not.

    Compressed images are on `/compressed` below the base topic as that is remapped, unless
    `image/compressed` is remapped itself.
    """
    if not compressed:
        return 'image'
    name = 'image/compressed'
    if node.resolve_topic_name(name, only_expand=True) != node.resolve_topic_name(name):
        return name
    return f'{node.resolve_topic_name("image")}/compressed'
