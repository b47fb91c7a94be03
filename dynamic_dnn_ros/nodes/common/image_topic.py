# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The name of a topic of images, as image_transport makes it of the base topic."""

from __future__ import annotations

from rclpy.node import Node


def image_topic(node: Node, compressed: bool, base: str = 'image') -> str:
    """
    Return what to subscribe to or to publish on for a topic of images, remapped or not.

    Compressed images are on `/compressed` below the base topic as that is remapped, unless
    `image/compressed` is remapped itself.

    :param base: name of the base topic, before it is remapped
    """
    if not compressed:
        return base
    name = f'{base}/compressed'
    if node.resolve_topic_name(name, only_expand=True) != node.resolve_topic_name(name):
        return name
    return f'{node.resolve_topic_name(base)}/compressed'
