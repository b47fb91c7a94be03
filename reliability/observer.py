# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A node that listens to a system, and says what its service lacks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
import threading
import time
import traceback
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from dynamic_dnn_ros.msg import InferenceStatus, ManagerStatus, PerformanceTarget, SystemLoad
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.door import UnreadableError, decoded

NAMESPACE = '/dynamic_dnn'
SENDER = 'reliability'

WINDOW = 1.0
"""Seconds over which the rate of results is looked at."""

SHARE = 0.7
"""Of the rate before a fault that counts as service: a busy computer loses frames too."""

SILENT = 1.6
"""Seconds after which a node that speaks once a second counts as silent."""


class Observer:
    """
    Listens in a thread of its own; a context manager.

    :param domain: ROS domain id
    :param applications: ids of those that are to serve
    """

    def __init__(self, domain: int, applications: Sequence[str]) -> None:
        self.applications = tuple(applications)
        self.status: ManagerStatus | None = None
        self.load: SystemLoad | None = None
        self.diagnostics: dict[str, Any] = {}
        self.last: dict[str, InferenceStatus] = {}
        self.switches = 0
        self._served: dict[str, list[float]] = {name: [] for name in applications}
        self._serving: dict[str, str] = {}
        self._status_came = self._load_came = self._lease_came = 0.0
        self._expected = dict.fromkeys(applications, 0.0)
        self._lock = threading.Lock()
        self._domain = domain

    def __enter__(self) -> Observer:
        """Begin to listen."""
        self.context = Context()
        self.context.init(args=None, domain_id=self._domain)
        self.node = Node('reliability', context=self.context, namespace='/reliability')
        for message_type, topic, take, profile in (
            (
                InferenceStatus,
                f'{NAMESPACE}/inference_status',
                self._on_inference,
                qos.INFERENCE_STATUS,
            ),
            (ManagerStatus, f'{NAMESPACE}/manager_status', self._on_manager, qos.MANAGER_STATUS),
            (SystemLoad, f'{NAMESPACE}/system_load', self._on_load, qos.SYSTEM_LOAD),
            (DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.DIAGNOSTICS),
        ):
            self.node.create_subscription(
                message_type, topic, _reading(message_type, take), profile, raw=True
            )
        # Who publishes and listens may be taken for one of the nodes.
        self.sender = Node('reliability_sender', context=self.context, namespace='/reliability')
        self._targets = self.sender.create_publisher(
            PerformanceTarget, f'{NAMESPACE}/performance_target', qos.PERFORMANCE_TARGET
        )
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name='observer', daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the graph."""
        self.context.try_shutdown()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        self.sender.destroy_node()

    def _spin(self) -> None:
        while self.context.ok():
            try:
                self._executor.spin_once(timeout_sec=0.1)
            except ExternalShutdownException:
                return
            except Exception:  # what is heard is meant to be bad: it must not end the listening
                traceback.print_exc()

    # What it says.

    def ask(self, application: str, **limits: Any) -> None:
        """Set a target for an application; `limits` are fields of the message."""
        self._targets.publish(PerformanceTarget(application=application, sender=SENDER, **limits))

    def heard_by_manager(self) -> bool:
        """Tell whether somebody listens to targets."""
        return bool(self._targets.get_subscription_count())

    # What it heard.

    def served(self, application: str, begin: float, end: float) -> int:
        """Return how many frames were served between two times, s of `time.monotonic`."""
        with self._lock:
            times = self._served[application]
            return bisect_left(times, end) - bisect_left(times, begin)

    def rates(self, seconds: float) -> dict[str, float]:
        """Return the frames that each application served a second, over the last seconds."""
        now = time.monotonic()
        return {
            name: self.served(name, now - seconds, now) / seconds for name in self.applications
        }

    def expect(self, rates: Mapping[str, float]) -> None:
        """Take rates, Hz an application, for what service is."""
        self._expected = dict(rates)

    @property
    def expected(self) -> float:
        """Return the rate of all applications together that counts as service, Hz."""
        return sum(self._expected.values())

    def lacking(self, targets: bool = True, lease: bool = True) -> list[str]:
        """
        Return what the service lacks now; empty: nothing.

        :param targets: whether each application has to have a target
        :param lease: whether the manager has to hold the lease
        """
        now = time.monotonic()
        lacks = []
        for name, rate in self._expected.items():
            served = self.served(name, now - WINDOW, now)
            if served < max(1.0, SHARE * rate * WINDOW):
                lacks.append(f'{name} served {served} of {rate * WINDOW:.0f} frames')
        with self._lock:
            status, load = self.status, self.load
            if status is None or now - self._status_came > SILENT:
                lacks.append('the manager is silent')
                status = None
            if load is None or now - self._load_came > SILENT:
                lacks.append('the platform is silent')
        if status is None:
            return lacks
        if status.platform_state != ManagerStatus.PLATFORM_FRESH:
            lacks.append('the manager hears no platform')
        elif lease and not status.holds_lease:
            lacks.append('the manager holds no lease')
        reports = {report.application: report for report in status.targets}
        for name in self.applications:
            report = reports.get(name)
            if report is None or not report.decision.sub_network:
                lacks.append(f'nothing is decided for {name}')
            elif targets and not report.target.application:
                lacks.append(f'the target of {name} is forgotten')
        return lacks

    def seconds_since_lease(self) -> float:
        """Return for how long no platform node has said that somebody holds its lease, s."""
        with self._lock:
            return time.monotonic() - self._lease_came

    def _on_inference(self, message: InferenceStatus) -> None:
        times = self._served.get(message.application)
        if times is None:
            return
        with self._lock:
            self.last[message.application] = message
            if message.event == InferenceStatus.EVENT_SERVED:
                times.append(time.monotonic())
                before = self._serving.get(message.application)
                self.switches += before is not None and before != message.sub_network
                self._serving[message.application] = message.sub_network
                if len(times) > 200_000:
                    del times[:100_000]

    def _on_manager(self, message: ManagerStatus) -> None:
        if not message.instance:
            return  # one of those that a fault sends
        with self._lock:
            self.status, self._status_came = message, time.monotonic()

    def _on_load(self, message: SystemLoad) -> None:
        if not message.platform:
            return
        with self._lock:
            self.load, self._load_came = message, time.monotonic()
            if message.lease_manager:
                self._lease_came = self._load_came

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        with self._lock:
            for status in message.status:
                self.diagnostics[status.name] = status


def _reading(message_type: type, take: Callable[[Any], None]) -> Callable[[bytes], None]:
    """Return a callback that hands on what can be read; bad messages are not ours to report."""

    def read(data: bytes) -> None:
        try:
            message = decoded(data, message_type)
        except UnreadableError:
            return
        take(message)

    return read


class TimeSource:
    """
    Publishes /clock at 100 Hz; a context manager.

    `offset` is what it is ahead of the time of this computer, s; `paused` holds it still.
    """

    def __init__(self, observer: Observer, wanted: bool) -> None:
        """
        Begin with the time of this computer.

        :param wanted: False: nothing is published
        """
        self.offset = 0.0
        self.paused = False
        self._node = observer.node
        self._timer = None
        if wanted:
            self._publisher = self._node.create_publisher(Clock, '/clock', qos.SENSOR_PUBLICATION)
            self._timer = self._node.create_timer(0.01, self._publish)

    def _publish(self) -> None:
        if not self.paused:
            now = time.time() + self.offset
            stamp = Time(sec=int(now), nanosec=int(now % 1.0 * 1e9))
            self._publisher.publish(Clock(clock=stamp))

    def __enter__(self) -> TimeSource:
        """Return the source."""
        return self

    def __exit__(self, *_: object) -> None:
        """Publish no more."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
