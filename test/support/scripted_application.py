# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An application without a network: says what an inference node says, over real DDS."""

from __future__ import annotations

from array import array
from typing import Any

from builtin_interfaces.msg import Time

from dynamic_dnn_ros.bundles.profile import FIGURES, OperatingPoints
from dynamic_dnn_ros.management.tables import application_table
from dynamic_dnn_ros.msg import (
    Application,
    InferenceStatus,
    NamedValue,
    SubNetwork,
    SubNetworkSwitch,
)
from dynamic_dnn_ros.msg import OperatingPoints as OperatingPointsMessage
from support.applications import SUB_NETWORKS, application, operating_points
from support.graph import LATCHED, Graph

NAMESPACE = '/dynamic_dnn'
FRAME_RATE = 30.0


class ScriptedApplication:
    """
    Publishes what an inference node publishes, driven by the graph that spins it.

    :param serves: whether it reports served frames, each as long as its profile says at the
        highest clocks times `slow_down`
    """

    def __init__(
        self,
        graph: Graph,
        identifier: str,
        points: OperatingPoints | None = None,
        instance: str = 'first',
        serves: bool = True,
    ) -> None:
        self.graph = graph
        self.id = identifier
        self.instance = instance
        self.points = operating_points() if points is None else points
        self.slow_down = 1.0
        self.obeys = True
        self.refuses = 0
        self.switches: list[SubNetworkSwitch] = []
        self.message = self._presentation()
        self.received = self.served = 0
        node = graph.node
        self._applications = node.create_publisher(
            Application, f'{NAMESPACE}/application', LATCHED
        )
        self._statuses = graph.publisher(InferenceStatus, f'{NAMESPACE}/inference_status')
        self._subscription = node.create_subscription(
            SubNetworkSwitch, f'{identifier}/sub_network_switch', self._switch, LATCHED
        )
        self._timers = [node.create_timer(1.0, self._heartbeat)]
        if serves:
            self._timers.append(node.create_timer(1 / FRAME_RATE, self._frame))
        self.present()

    def present(self, state: int = Application.STATE_ACTIVE) -> None:
        """Say what it is and serves now."""
        self.message.state = state
        self.message.header.stamp = self.graph.node.get_clock().now().to_msg()
        self._applications.publish(self.message)

    def fall_silent(self) -> None:
        """Say nothing more, as after a crash."""
        for timer in self._timers:
            self.graph.node.destroy_timer(timer)
        self._timers.clear()
        self.graph.node.destroy_subscription(self._subscription)
        self.graph.node.destroy_publisher(self._applications)
        self.graph.node.destroy_publisher(self._statuses)

    def depart(self) -> None:
        """Leave in order."""
        self.present(Application.STATE_DEPARTED)
        self.fall_silent()

    def _presentation(self) -> Application:
        points = self.points
        message = Application(
            id=self.id,
            instance=self.instance,
            started=Time(sec=1),
            bundle='scripted',
            sub_networks=[
                SubNetwork(id=name, accuracy=accuracy)
                for name, (_, accuracy) in SUB_NETWORKS.items()
            ],
            sub_network='s3',
            processor='gpu',
        )
        table = OperatingPointsMessage(
            platform=points.platform,
            kind=int(points.kind),
            domains=list(points.domains),
            processors=list(points.processors),
            sub_network=array('H', points.sub_network.tolist()),
            processor=array('B', points.processor.tolist()),
        )
        for name in ('frequencies', *FIGURES):
            setattr(table, name, array('d', getattr(points, name).ravel().tolist()))
        message.operating_points = table
        return message

    def _status(self, event: int, **fields: Any) -> InferenceStatus:
        message = InferenceStatus(
            application=self.id,
            instance=self.instance,
            event=event,
            sub_network=self.message.sub_network,
            processor=self.message.processor,
            received=self.received,
            served=self.served,
            **fields,
        )
        message.header.stamp = self.graph.node.get_clock().now().to_msg()
        return message

    def _heartbeat(self) -> None:
        self._statuses.publish(self._status(InferenceStatus.EVENT_HEARTBEAT))

    def _frame(self) -> None:
        self.received += 1
        self.served += 1
        service = self._latency()
        stages = {
            InferenceStatus.STAGE_WAITING: 0.0002,
            InferenceStatus.STAGE_PREPROCESSING: 0.1 * service,
            InferenceStatus.STAGE_INFERENCE: 0.9 * service,
            InferenceStatus.STAGE_TOTAL: service + 0.0004,
        }
        self._statuses.publish(
            self._status(
                InferenceStatus.EVENT_SERVED,
                stages=[NamedValue(name=name, value=value) for name, value in stages.items()],
            )
        )

    def _latency(self) -> float:
        if not len(self.points):
            return 0.01 * self.slow_down
        table = application_table(application(self.id, operating_points=self.points))
        option = table.option(self.message.sub_network, self.message.processor)
        assert option is not None
        return float(table.mean[option, table.nearest_row({})]) * self.slow_down

    def _switch(self, message: SubNetworkSwitch) -> None:
        self.switches.append(message)
        if not self.obeys:
            return
        result = self.refuses or InferenceStatus.SWITCH_APPLIED
        if not self.refuses:
            self.message.sub_network = message.sub_network
            self.message.processor = message.processor or self.message.processor
            self.message.target = message.target
            self.message.switch_manager = message.manager
            self.message.switch_sequence = message.sequence
        self._statuses.publish(
            self._status(
                InferenceStatus.EVENT_SWITCH,
                switch_manager=message.manager,
                switch_sequence=message.sequence,
                switch_result=result,
            )
        )
        self.present()
