# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What keeps an executor from waiting for ever for a message that never came.

A message of no bytes, with others of the same publisher around it, makes Fast DDS 2.14 say that
there is something to take where there is nothing. The executor is woken at once each time that it
waits, so it takes a whole core until something really arrives: on a topic with few messages for
hours. Whoever takes ends that, even where nothing is taken (`ros2/rmw_fastrtps` issue 833 tells of
the same).
"""

from __future__ import annotations

from rclpy.node import Node

PERIOD = 1.0
"""Seconds until an executor waits again."""


def take_what_waits(node: Node) -> None:
    """
    Take a message from each subscription that has one, and hand it to its callback.

    :param node: one whose callbacks take the message alone; it is called in the thread of its
        executor
    """
    for subscription in tuple(node.subscriptions):
        if subscription not in tuple(node.subscriptions):
            continue  # destroyed by the callback of another one
        with subscription.handle:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
        if taken is not None:
            subscription.callback(taken[0])
