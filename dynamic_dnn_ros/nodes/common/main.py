# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run nodes as a process that ends in order on SIGINT, SIGTERM and SIGHUP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
import signal
import sys
import threading
import time
import traceback

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from dynamic_dnn_ros.nodes.common.last_resort import arm_last_resort
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from dynamic_dnn_ros.nodes.common.log_folder import provide_log_folder
from dynamic_dnn_ros.nodes.common.memory import Collections
from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification
from dynamic_dnn_ros.nodes.common.shared_memory import wait_for_shared_memory

SPIN_TIMEOUT = 0.1

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""That ask a node to end; the last one when its terminal is closed."""

#: Values of parameter `executor`.
SINGLE_THREADED, EVENTS = 'single_threaded', 'events'

#: For nodes that receive images; docs/camera.md has what was measured.
EXECUTOR_PARAMETER = ParameterSpecification(
    'executor',
    SINGLE_THREADED,
    "What waits for messages. events: rclpy's experimental one "
    '(Jazzy and later), which takes less time and CPU for a frame.',
    choices=(SINGLE_THREADED, EVENTS),
    at_start=True,
)


def single_threaded(node: ManagedNode) -> Executor:
    """Return the executor that every release of rclpy has."""
    return SingleThreadedExecutor()


def chosen_executor(node: ManagedNode) -> Executor:
    """Return the executor that parameter `executor` names, the other one where it is absent."""
    if node.parameters[EXECUTOR_PARAMETER.name] == EVENTS:
        try:
            from rclpy.experimental import EventsExecutor
        except ImportError:
            node.get_logger().warning(
                'This rclpy has no events executor, so the single-threaded one is used. Set '
                f'parameter {EXECUTOR_PARAMETER.name!r} to {SINGLE_THREADED!r}.'
            )
        else:
            executor: Executor = EventsExecutor()
            return executor
    return single_threaded(node)


def run(
    create: Callable[[], ManagedNode],
    arguments: Sequence[str] | None = None,
    make_executor: Callable[[ManagedNode], Executor] = single_threaded,
) -> int:
    """
    Spin a node until a signal asks it to end.

    :param create: makes the node once the context is there
    :param arguments: command line, that of the process where None
    :param make_executor: makes what spins the node
    :return: exit code, 0 after an orderly end
    """
    return run_all(lambda: [create()], arguments, make_executor)


def run_all(
    create: Callable[[], Sequence[ManagedNode]],
    arguments: Sequence[str] | None = None,
    make_executor: Callable[[ManagedNode], Executor] = single_threaded,
) -> int:
    """
    Spin nodes until a signal asks them to end.

    rclpy's own handlers would shut the context down before a node can say that it leaves or
    give its lease back, so the signals are handled here. A process that does not end is ended.

    :param create: makes the nodes once the context is there, at least one
    :param arguments: command line, that of the process where None
    :param make_executor: makes what spins them, as the first one asks for
    :return: exit code, 0 after an orderly end
    """
    ended = threading.Event()
    for number in SIGNALS:
        # nohup has SIGHUP ignored.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: ended.set())
    arm_last_resort(Path(sys.argv[0]).name, SIGNALS, ended.is_set)
    provide_log_folder()
    wait_for_shared_memory(ended.is_set)
    rclpy.init(
        args=list(arguments) if arguments is not None else None,
        signal_handler_options=SignalHandlerOptions.NO,
    )
    try:
        nodes = create()
        executor = make_executor(nodes[0])
        for node in nodes:
            executor.add_node(node)
        try:
            for node in nodes:
                node.start()
            collections, configured = Collections(), 0
            while not ended.is_set():
                if (now := sum(node.configured for node in nodes)) != configured:
                    configured = now
                    collections.leave_out(configured > 0, time.monotonic())
                collections.collect_when_due(time.monotonic())
                try:
                    executor.spin_once(timeout_sec=SPIN_TIMEOUT)
                except Exception:
                    # A robot is better off with a node that lost one message than without it.
                    nodes[0].complain(f'A callback failed:\n{traceback.format_exc()}')
        finally:
            for node in nodes:
                node.stop()
            executor.shutdown()
            for node in nodes:
                node.destroy_node()
    finally:
        rclpy.try_shutdown()
    return 0
