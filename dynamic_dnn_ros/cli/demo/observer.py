# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo's own node: it sends the targets and writes down what the others say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import time
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import GetState
import numpy as np
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage

from dynamic_dnn_ros.cli.demo.script import QUANTILE, SENDER, Candidate, Goal
from dynamic_dnn_ros.cli.observation import Observation
from dynamic_dnn_ros.management.words import milliseconds
from dynamic_dnn_ros.msg import (
    Application,
    Classification,
    Detections,
    DvfsSetting,
    InferenceStatus,
    ManagerInputs,
    ManagerStatus,
    OperatingPoints,
    PerformanceTarget,
    Segmentation,
    SubNetworkSwitch,
    SystemLoad,
)
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.message_values import nanoseconds

if TYPE_CHECKING:
    from dynamic_dnn_ros.cli.demo.bag_writer import BagWriter

NAMESPACE = '/dynamic_dnn'


def target_message(application: str, goal: Goal) -> PerformanceTarget:
    """Return a goal as the message that asks for it."""
    if goal.clear:
        return PerformanceTarget(
            application=application, sender=SENDER, action=PerformanceTarget.ACTION_CLEAR
        )
    return PerformanceTarget(
        application=application,
        sender=SENDER,
        action=PerformanceTarget.ACTION_SET,
        latency=goal.latency,
        latency_quantile=QUANTILE,
        accuracy=goal.accuracy,
        objective=int(goal.objective),
    )


def candidates_of(message: Application) -> list[Candidate]:
    """Return the sub-networks with their latency (0.95 quantile) at the fastest setting."""
    points = message.operating_points
    indices = np.asarray(points.sub_network, dtype=np.int64)
    latencies = np.asarray(points.latency_p95, dtype=np.float64)
    found = []
    for index, sub_network in enumerate(message.sub_networks):
        own = latencies[indices == index]
        own = own[np.isfinite(own)]
        if own.size:
            # One that nobody knows counts as 0, as for the manager.
            accuracy = float(np.nan_to_num(sub_network.accuracy))
            found.append(Candidate(sub_network.id, accuracy, float(own.min())))
    return found


def _own_topics(application: str) -> tuple[tuple[type, str, QoSProfile], ...]:
    """Return the topics that an application has for itself."""
    return (
        (SubNetworkSwitch, f'{application}/sub_network_switch', qos.SUB_NETWORK_SWITCH),
        (Classification, f'{application}/classification', qos.RESULT),
        (Detections, f'{application}/detections', qos.RESULT),
        (Segmentation, f'{application}/segmentation', qos.RESULT),
    )


class Observer(Node):
    """Sends targets to applications, and keeps a `RunRecord` of each."""

    def __init__(self, context: Context, applications: Sequence[str]) -> None:
        """
        Create the node.

        :param applications: their ids; the first one is looked at more closely
        """
        super().__init__('demo', context=context, start_parameter_services=False)
        self._began = time.monotonic()
        self._all_heard = [Observation(one, lambda: self.now) for one in applications]
        self._heard = self._all_heard[0]
        self.run = self._heard.run
        self.run.others = [one.run for one in self._all_heard[1:]]
        self.active: set[str] = set()
        self.errors: dict[str, str] = {}
        self.pictures: dict[str, tuple[int, bytes]] = {}
        """Annotated pictures, JPEG, each with the stamp of its image, ns, by their names."""
        self._seen_enough: list[Any] = []
        self._states: dict[str, Any] = {}
        self._targets = self.create_publisher(
            PerformanceTarget, f'{NAMESPACE}/performance_target', qos.PERFORMANCE_TARGET
        )
        listened: list[tuple[type, str, QoSProfile, Callable[[Any], None]]] = [
            (
                Application,
                f'{NAMESPACE}/application',
                qos.APPLICATION_SUBSCRIPTION,
                self._to_all(Observation.on_application),
            ),
            (
                InferenceStatus,
                f'{NAMESPACE}/inference_status',
                qos.INFERENCE_STATUS,
                self._to_all(Observation.on_status),
            ),
            (SystemLoad, f'{NAMESPACE}/system_load', qos.SYSTEM_LOAD, self._heard.on_load),
            (
                ManagerStatus,
                f'{NAMESPACE}/manager_status',
                qos.MANAGER_STATUS,
                self._to_all(Observation.on_manager),
            ),
            (DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS, self._on_diagnostics),
        ]
        for heard in self._all_heard:
            callbacks = (
                heard.on_switch,
                heard.on_classification,
                heard.on_detections,
                heard.on_segmentation,
            )
            rows = zip(_own_topics(heard.run.application), callbacks)
            listened += [(*own, callback) for own, callback in rows]
        for message_type, topic, profile, callback in listened:
            self.create_subscription(message_type, topic, callback, profile)

    def _to_all(self, take: Callable[[Observation, Any], None]) -> Callable[[Any], None]:
        """Return a callback that has each record take what concerns its application."""

        def tell(message: Any) -> None:
            for heard in self._all_heard:
                take(heard, message)

        return tell

    def record(self, recording: BagWriter, images: bool) -> None:
        """
        Record all topics of the graph.

        :param images: the compressed images of the camera too
        """
        recorded: list[tuple[type, str, QoSProfile]] = [
            (Application, f'{NAMESPACE}/application', qos.APPLICATION_SUBSCRIPTION),
            (InferenceStatus, f'{NAMESPACE}/inference_status', qos.INFERENCE_STATUS),
            (SystemLoad, f'{NAMESPACE}/system_load', qos.SYSTEM_LOAD),
            (DvfsSetting, f'{NAMESPACE}/dvfs_setting', qos.DVFS_SETTING),
            (ManagerStatus, f'{NAMESPACE}/manager_status', qos.MANAGER_STATUS),
            (ManagerInputs, f'{NAMESPACE}/manager_inputs', qos.MANAGER_INPUTS),
            (PerformanceTarget, f'{NAMESPACE}/performance_target', qos.PERFORMANCE_TARGET),
            *(row for heard in self._all_heard for row in _own_topics(heard.run.application)),
            (DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS),
        ]
        if images:
            recorded.append((CompressedImage, '/image/compressed', qos.SENSOR_PUBLICATION))
        for message_type, topic, profile in recorded:
            recording.subscribe(self, message_type, topic, profile)

    def look(self, name: str) -> None:
        """Keep the next annotated picture under a name; it alone is drawn."""

        def take(message: CompressedImage) -> None:
            stamp = nanoseconds(message.header.stamp)
            self.pictures.setdefault(name, (stamp, bytes(message.data)))
            # Destroying it here would end what the executor is in the middle of.
            self._seen_enough.append(subscription)

        subscription = self.create_subscription(
            CompressedImage, f'{self.run.application}/annotated/compressed', take, qos.RESULT
        )

    def captioned(self) -> list[tuple[str, bytes]]:
        """Return the annotated pictures, each with what served it, how fast, and what it saw."""
        frames = {frame.stamp: frame for frame in self.run.frames}
        captioned = []
        for name, (stamp, picture) in self.pictures.items():
            parts = [name]
            if stamp in frames:
                frame = frames[stamp]
                parts += [frame.sub_network, milliseconds(frame.latency)]
            if stamp in self._heard.seen_at:
                parts.append(self._heard.seen_at[stamp])
            captioned.append((', '.join(parts), picture))
        return captioned

    def look_away(self) -> None:
        """End the subscriptions of pictures that have come."""
        for subscription in set(self._seen_enough):
            self.destroy_subscription(subscription)
        self._seen_enough.clear()

    @property
    def seen(self) -> str:
        """Return the newest result, in words."""
        return self._heard.seen

    @property
    def presented(self) -> Application | None:
        """Return what the application said last of itself."""
        return self._heard.presented

    @property
    def now(self) -> float:
        """Return the seconds since the start of the observation."""
        return time.monotonic() - self._began

    def send(self, application: str, goal: Goal) -> None:
        """Ask an application for something."""
        message = target_message(application, goal)
        message.header.stamp = self.get_clock().now().to_msg()
        self._targets.publish(message)

    @property
    def heard(self) -> bool:
        """Tell whether somebody listens to targets."""
        return bool(self._targets.get_subscription_count())

    def ask_state(self, name: str) -> None:
        """Ask a node for its lifecycle state; once it is active, `active` holds its name."""
        if name not in self._states:
            self._states[name] = self.create_client(GetState, f'{name}/get_state')
        client = self._states[name]
        if client.service_is_ready():
            client.call_async(GetState.Request()).add_done_callback(
                lambda future: self._on_state(name, future)
            )

    def _on_state(self, name: str, future: Any) -> None:
        response = future.result()
        if response is not None and response.current_state.label == 'active':
            self.active.add(name)

    @property
    def has_operating_points(self) -> bool:
        """Tell whether all applications have presented operating points."""
        return all(
            heard.presented is not None
            and heard.presented.operating_points.kind != OperatingPoints.KIND_NONE
            for heard in self._all_heard
        )

    @property
    def serves(self) -> bool:
        """Tell whether frames of all applications were served."""
        return all(heard.run.frames for heard in self._all_heard)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.level == DiagnosticStatus.ERROR:
                self.errors['/' + status.name.split(':')[0]] = status.message
