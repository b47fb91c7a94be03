# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo's own node: it sends the targets and writes down what the others say."""

from __future__ import annotations

from collections.abc import Callable
import math
import time
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import GetState
import numpy as np
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage

from dynamic_dnn_ros.cli.demo.run_record import (
    DecisionRecord,
    FrameCounts,
    FrameRecord,
    LoadRecord,
    RunRecord,
    SwitchRecord,
)
from dynamic_dnn_ros.cli.demo.script import QUANTILE, Candidate, Goal, Objective
from dynamic_dnn_ros.msg import (
    Application,
    Classification,
    DvfsSetting,
    InferenceStatus,
    ManagerInputs,
    ManagerStatus,
    OperatingPoints,
    PerformanceTarget,
    SubNetworkSwitch,
    SystemLoad,
    TargetStatus,
)
from dynamic_dnn_ros.nodes.common import qos

if TYPE_CHECKING:
    from dynamic_dnn_ros.cli.demo.recording import Recording

NAMESPACE = '/dynamic_dnn'
SENDER = 'dynamic-dnn demo'

OBJECTIVES = {
    Objective.MINIMUM_ENERGY: PerformanceTarget.OBJECTIVE_MINIMUM_ENERGY,
    Objective.MAXIMUM_ACCURACY: PerformanceTarget.OBJECTIVE_MAXIMUM_ACCURACY,
    Objective.MINIMUM_LATENCY: PerformanceTarget.OBJECTIVE_MINIMUM_LATENCY,
}
REASONS = {
    SubNetworkSwitch.REASON_TARGET: 'the target changed',
    SubNetworkSwitch.REASON_MEASUREMENT: 'measurements departed from what was expected',
    SubNetworkSwitch.REASON_PLATFORM: 'the platform changed',
    SubNetworkSwitch.REASON_APPLICATION: 'an application came, went or changed',
    SubNetworkSwitch.REASON_ENERGY: 'the target is met for less energy',
    SubNetworkSwitch.REASON_OPERATOR: 'an operator asked for it',
}
STATES = {
    TargetStatus.STATE_NO_TARGET: 'no target',
    TargetStatus.STATE_PENDING: 'pending',
    TargetStatus.STATE_MET: 'met',
    TargetStatus.STATE_MISSED: 'missed',
    TargetStatus.STATE_INFEASIBLE: 'infeasible',
    TargetStatus.STATE_WAITING: 'waiting',
    TargetStatus.STATE_REFUSED: 'refused',
}


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
        objective=OBJECTIVES[goal.objective],
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
            found.append(Candidate(sub_network.id, sub_network.accuracy, float(own.min())))
    return found


def total_power(message: SystemLoad) -> float:
    """Return the power of the whole board, W; NaN where it is not known."""
    rails = {row.name: row.value for row in message.power}
    if message.total_power_rail:
        return rails.get(message.total_power_rail, math.nan)
    return sum(rails.values()) if rails else math.nan


class Observer(Node):
    """Sends targets to one application, and keeps a `RunRecord`."""

    def __init__(self, context: Context, application: str) -> None:
        """
        Create the node.

        :param application: id of the application
        """
        super().__init__('demo', context=context, start_parameter_services=False)
        self.run = RunRecord(application=application)
        self.seen = ''
        self.presented: Application | None = None
        self.active: set[str] = set()
        self.errors: dict[str, str] = {}
        self._began = time.monotonic()
        self._states: dict[str, Any] = {}
        self._targets = self.create_publisher(
            PerformanceTarget, f'{NAMESPACE}/performance_target', qos.PERFORMANCE_TARGET
        )
        listened: tuple[tuple[type, str, QoSProfile, Callable[[Any], None]], ...] = (
            (
                Application,
                f'{NAMESPACE}/application',
                qos.APPLICATION_SUBSCRIPTION,
                self._on_application,
            ),
            (
                InferenceStatus,
                f'{NAMESPACE}/inference_status',
                qos.INFERENCE_STATUS,
                self._on_status,
            ),
            (SystemLoad, f'{NAMESPACE}/system_load', qos.SYSTEM_LOAD, self._on_load),
            (
                ManagerStatus,
                f'{NAMESPACE}/manager_status',
                qos.MANAGER_STATUS,
                self._on_manager,
            ),
            (
                SubNetworkSwitch,
                f'{application}/sub_network_switch',
                qos.SUB_NETWORK_SWITCH,
                self._on_switch,
            ),
            (Classification, f'{application}/classification', qos.RESULT, self._on_result),
            (DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS, self._on_diagnostics),
        )
        for message_type, topic, profile, callback in listened:
            self.create_subscription(message_type, topic, callback, profile)

    def record(self, recording: Recording, images: bool) -> None:
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
            (
                SubNetworkSwitch,
                f'{self.run.application}/sub_network_switch',
                qos.SUB_NETWORK_SWITCH,
            ),
            (Classification, f'{self.run.application}/classification', qos.RESULT),
            (DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS),
        ]
        if images:
            recorded.append((CompressedImage, '/image/compressed', qos.SENSOR_PUBLICATION))
        for message_type, topic, profile in recorded:
            recording.subscribe(self, message_type, topic, profile)

    @property
    def now(self) -> float:
        """Return the seconds since the start of the observation."""
        return time.monotonic() - self._began

    def send(self, goal: Goal) -> None:
        """Ask the application for something."""
        message = target_message(self.run.application, goal)
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

    def _on_application(self, message: Application) -> None:
        if message.id != self.run.application or message.state == Application.STATE_DEPARTED:
            return
        self.presented = message
        self.run.bundle = message.bundle
        self.run.engine = message.engine
        self.run.extrapolated = message.operating_points.extrapolated
        self.run.accuracies = {
            sub_network.id: sub_network.accuracy for sub_network in message.sub_networks
        }

    @property
    def has_operating_points(self) -> bool:
        """Tell whether the application has presented operating points."""
        return (
            self.presented is not None
            and self.presented.operating_points.kind != OperatingPoints.KIND_NONE
        )

    def _on_status(self, message: InferenceStatus) -> None:
        if message.application != self.run.application:
            return
        self.run.counts = FrameCounts(
            message.received, message.served, message.replaced, message.rejected
        )
        if message.event != InferenceStatus.EVENT_SERVED:
            return
        stages = {row.name: row.value for row in message.stages}
        self.run.frames.append(
            FrameRecord(
                self.now,
                message.sub_network,
                stages.get(InferenceStatus.STAGE_TOTAL, math.nan),
                message.simulated,
                message.overrun,
            )
        )

    def _on_load(self, message: SystemLoad) -> None:
        self.run.platform = message.platform
        self.run.simulated = message.kind == SystemLoad.KIND_SIMULATED
        self.run.frequency_limits = {
            domain.name: domain.limit_maximum for domain in message.domains
        }
        temperatures = [row.value for row in message.temperatures if math.isfinite(row.value)]
        self.run.loads.append(
            LoadRecord(
                self.now,
                {domain.name: domain.granted for domain in message.domains},
                total_power(message),
                max(temperatures, default=math.nan),
            )
        )

    def _on_manager(self, message: ManagerStatus) -> None:
        for target in message.targets:
            if target.application != self.run.application:
                continue
            text = target.message or message.message
            if not text and target.runner_up.sub_network:
                text = f'next best is {target.runner_up.sub_network}: {target.runner_up_reason}'
            self.run.decisions.append(
                DecisionRecord(
                    self.now,
                    STATES.get(target.state, f'state {target.state}'),
                    target.decision.sub_network,
                    dict(zip(target.names, target.missed_by)),
                    text,
                )
            )

    def _on_switch(self, message: SubNetworkSwitch) -> None:
        if message.reason == SubNetworkSwitch.REASON_TARGET_ECHO:
            return
        reason = REASONS.get(message.reason, f'reason {message.reason}')
        self.run.switches.append(SwitchRecord(self.now, message.sub_network, reason))

    def _on_result(self, message: Classification) -> None:
        if message.results:
            best = message.results[0]
            self.seen = f'{best.class_id} ({best.score:.0%})'

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.level == DiagnosticStatus.ERROR:
                self.errors['/' + status.name.split(':')[0]] = status.message
