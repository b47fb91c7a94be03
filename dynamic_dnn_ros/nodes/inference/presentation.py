# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`application`: what an application says of itself, and what others say in its name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import math
import threading
import time

from builtin_interfaces.msg import Time
from rclpy.duration import Duration

from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.works import shares_on, works_on
from dynamic_dnn_ros.msg import Application, SubNetworkSwitch
from dynamic_dnn_ros.msg import OperatingPoints as OperatingPointsMessage
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.message_values import nanoseconds, stamp
from dynamic_dnn_ros.nodes.common.uniqueness import Identity
from dynamic_dnn_ros.nodes.inference.application_messages import (
    operating_points_message,
    sub_network_messages,
)
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode

#: On which an application is switched.
SWITCH_TOPIC = '~/sub_network_switch'
SWITCH_BY_HAND_TOPIC = '~/switch_by_hand'

#: s for which what somebody else says in the name of an application is not corrected again.
CORRECTION_PERIOD = 1.0


class PresentedPoints:
    """
    Operating points as all streams of a node present them; may be asked from any thread.

    There are thousands, so they are made into a message once, not at each switch.
    """

    def __init__(self, served: ServedBundle) -> None:
        """Begin with none."""
        self._served = served
        self._lock = threading.Lock()
        self._made_of: OperatingPoints | None = None
        self._refused = -1
        self._message = OperatingPointsMessage()

    def message(self, points: OperatingPoints | None) -> OperatingPointsMessage:
        """Return the message of points; those of sub-networks that are refused are left out."""
        served = self._served
        with self._lock:
            refused = len(served.refused)
            if points is not self._made_of or refused != self._refused:
                self._made_of, self._refused = points, refused
                whole = served.bundle.manifest
                served.learn_paths(works_on(points, whole), shares_on(points, whole))
                manifest = served.manifest()
                if points is not None and refused:
                    points = points.only([entry.id for entry in manifest.sub_networks])
                self._message = operating_points_message(
                    points, manifest, served.engine.largest_batch
                )
            return self._message


class Presentation:
    """
    Presents one application; may be called from any thread.

    A second node that serves the same application, and somebody who presents it in its name, are
    noticed.
    """

    def __init__(
        self,
        node: StreamNode,
        served: ServedBundle,
        message_of_points: Callable[[], OperatingPointsMessage],
        takes_turns: Callable[[], tuple[str, str]] = lambda: ('', ''),
    ) -> None:
        """
        Create the publisher; the stream owns it.

        :param message_of_points: returns the operating points as they are now
        :param takes_turns: returns the instance of the process whose streams take turns, and the
            name of the scheduler; both empty where it is alone
        """
        self._node = node
        self._served = served
        self._message_of_points = message_of_points
        self._takes_turns = takes_turns
        # Publications come from the executor's thread, the worker and the preparing thread.
        self._lock = threading.RLock()
        self._stamps: deque[Time] = deque(maxlen=64)
        self._corrected = -math.inf
        self._namesake: Identity | None = None
        self._presented = False
        self._publisher = node.create_publisher(
            Application, node.shared_topic('application'), qos.APPLICATION_PUBLICATION
        )
        manifest = served.bundle.manifest
        self._message = Application(
            id=node.identifier,
            instance=node.identity.instance,
            started=stamp(node.identity.started),
            bundle=manifest.name,
            bundle_sha256=served.bundle.sha256,
            task=manifest.task.name,
            metric=manifest.make_task().metric.value,
            label_count=len(manifest.labels),
            family=getattr(manifest.source, 'family', manifest.source.kind),
            engine=served.engine.name,
        )

    @property
    def sub_network(self) -> str:
        """Return the id of the sub-network that was presented as the serving one; empty: none."""
        return str(self._message.sub_network)

    def present(self, state: int) -> None:
        """Publish all that there is to say now; `state` as in `Application.msg`."""
        served, message = self._served, self._message
        with self._lock:
            message.operating_points = self._message_of_points()
            message.sub_networks = sub_network_messages(served.manifest())
            message.header.stamp = self._node.get_clock().now().to_msg()
            self._stamps.append(message.header.stamp)
            message.state = state
            message.sub_network = served.serving
            message.processor = served.processor
            message.server, message.scheduler = self._takes_turns()
            self._publisher.publish(message)
            self._presented = True

    def present_again(self) -> None:
        """Publish what has changed, where the application was presented before."""
        with self._lock:
            if self._presented:
                self.present(self._message.state)

    def switched(self, switch: SubNetworkSwitch) -> None:
        """Publish what came of a switch, and echo its target."""
        with self._lock:
            self._message.switch_manager = switch.manager
            self._message.switch_sequence = switch.sequence
            self._message.target = switch.target
            self.present_again()

    def take_leave(self) -> None:
        """Publish that nothing more will come of the application."""
        with self._lock:
            if self._presented:
                self.present(Application.STATE_DEPARTED)
                self._presented = False

    def wait_for_farewell(self, timeout: float) -> None:
        """Wait until the last message has arrived; `timeout` in seconds."""
        self._publisher.wait_for_all_acked(Duration(seconds=timeout))

    def receive(self, message: Application) -> None:
        """Notice another node that serves this application, and what is said in its name."""
        if message.instance == self._node.identity.instance:
            self._correct(message)
            return
        departed = message.state == Application.STATE_DEPARTED
        self._namesake = (
            None if departed else Identity(message.instance, nanoseconds(message.started))
        )

    def _correct(self, message: Application) -> None:
        """Present the application again where its last presentation is not its own."""
        node = self._node
        with self._lock:
            if message.header.stamp in self._stamps or not self._presented:
                return
            now = time.monotonic()
            if now - self._corrected >= CORRECTION_PERIOD:
                self._corrected = now
                self.present_again()
        node.complain(
            f'Somebody else presented {node.identifier!r} in the name of this node. It is '
            "presented again. Look for the sender with 'ros2 topic info --verbose "
            f"{node.shared_topic('application')}'.",
            'presented',
        )

    def has_older_namesake(self) -> bool:
        """
        Tell whether an older living node serves this application, so that this one gives way.

        What it presents is sent once, and may arrive before the graph knows its publisher, so
        this is asked again with each heartbeat.
        """
        node = self._node
        if self._namesake is None or not node.identity.gives_way_to(self._namesake):
            return False
        # A recording that is played back presents the application, and waits for no switch.
        presenting = {
            (info.node_namespace, info.node_name)
            for info in node.node.get_publishers_info_by_topic(node.shared_topic('application'))
        }
        switched = node.node.get_subscriptions_info_by_topic(
            node.node.resolve_topic_name(node.topic(SWITCH_TOPIC))
        )
        if sum((info.node_namespace, info.node_name) in presenting for info in switched) < 2:
            return False
        self._namesake = None
        return True
