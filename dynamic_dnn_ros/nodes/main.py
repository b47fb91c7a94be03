# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run one node as a process that ends in order on SIGINT and SIGTERM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import signal
import threading
import traceback

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from dynamic_dnn_ros.nodes.lifecycle import ManagedNode

SPIN_TIMEOUT = 0.1


def run(create: Callable[[], ManagedNode], arguments: Sequence[str] | None = None) -> int:
    """
    Spin a node until a signal asks it to end.

    rclpy's own handlers would shut the context down before the node can say that it leaves or
    give its lease back, so the signals are handled here.

    :param create: makes the node once the context is there
    :param arguments: command line, that of the process where None
    :return: exit code, 0 after an orderly end
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    rclpy.init(
        args=list(arguments) if arguments is not None else None,
        signal_handler_options=SignalHandlerOptions.NO,
    )
    try:
        node = create()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            node.start()
            while not ended.is_set():
                try:
                    executor.spin_once(timeout_sec=SPIN_TIMEOUT)
                except Exception:
                    # A robot is better off with a node that lost one message than without it.
                    node.get_logger().error(f'A callback failed:\n{traceback.format_exc()}')
        finally:
            node.stop()
            executor.shutdown()
            node.destroy_node()
    finally:
        rclpy.try_shutdown()
    return 0
