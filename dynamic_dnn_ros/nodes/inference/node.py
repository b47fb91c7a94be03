# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Serve a dynamic network on a camera topic."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
import math
import threading
import time
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.bundles.works import works_on
from dynamic_dnn_ros.engines.automatic import open_engine
from dynamic_dnn_ros.engines.contract import EngineError, Precision
from dynamic_dnn_ros.engines.verification import ResponseError
from dynamic_dnn_ros.msg import Application, SubNetworkSwitch, SystemLoad
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode, NodeError
from dynamic_dnn_ros.nodes.common.main import chosen_executor, run
from dynamic_dnn_ros.nodes.common.message_values import nanoseconds, stamp
from dynamic_dnn_ros.nodes.common.uniqueness import Identity
from dynamic_dnn_ros.nodes.inference.application_messages import (
    operating_points_message,
    sub_network_messages,
)
from dynamic_dnn_ros.nodes.inference.camera_input import CameraInput
from dynamic_dnn_ros.nodes.inference.diagnostics import (
    diagnose_camera,
    diagnose_sub_networks,
    diagnose_worker,
)
from dynamic_dnn_ros.nodes.inference.parameters import PARAMETERS
from dynamic_dnn_ros.nodes.inference.platform_link import PlatformLink
from dynamic_dnn_ros.nodes.inference.rejections import Rejections
from dynamic_dnn_ros.nodes.inference.results.results import Published, Results
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.nodes.inference.status_publisher import StatusPublisher
from dynamic_dnn_ros.nodes.inference.switching import SwitchReceiver
from dynamic_dnn_ros.serving.pacing import PacedLender, Pacer
from dynamic_dnn_ros.serving.worker import CameraFrame, FrameWorker, WorkerState

HEARTBEAT_PERIOD = 1.0
LAZY_PERIOD = 0.2

#: s that the last message is given to arrive.
FAREWELL = 0.2

#: s that a frame in work may take when the node is deactivated.
STOP_TIMEOUT = 5.0


class InferenceNode(ManagedNode):
    """One application: a dynamic network on a camera topic."""

    PARAMETERS = PARAMETERS

    def __init__(self, **arguments: Any) -> None:
        """Create the node, unconfigured; arguments as for `rclpy.lifecycle.LifecycleNode`."""
        # Publications come from the executor's thread, the worker and the preparing thread.
        self._publishing = threading.RLock()
        self._forget()
        super().__init__('inference_node', **arguments)
        self._camera = CameraInput(self, self.parameters, self._deliver, self._reject)
        self._rejections = Rejections(self._say_rejected, self._say_accepted)

    def _forget(self) -> None:
        self._served: ServedBundle | None = None
        self._platform: PlatformLink | None = None
        self._results: Results | None = None
        self._worker: FrameWorker | None = None
        self._pacing: tuple[Pacer, str] | None = None
        self._application: Application | None = None
        self._presented_points: OperatingPoints | None = None
        self._namesake: Identity | None = None
        self._presentations: deque[Time] = deque(maxlen=64)
        self._corrected = -math.inf
        self._has_served = False

    # Transitions

    def configure(self) -> None:
        """
        Read the bundle, prepare the first sub-network, present the application.

        :raises BundleError: when the bundle cannot be used
        :raises NodeError: when the engine cannot run it, or a parameter names what is not there
        """
        try:
            self._serve()
        except EngineError as error:
            raise NodeError(str(error)) from error

    def _serve(self) -> None:
        parameters = self.parameters
        bundle = read_bundle(find_bundle(parameters['bundle']))
        threads = parameters['threads']
        engine = open_engine(
            parameters['engine'],
            bundle,
            threads,
            Precision(parameters['precision']),
            self.get_logger().info,
        )
        served = self._served = ServedBundle(
            bundle,
            engine,
            parameters['memory_budget'] or None,
            # Threads that an engine starts for itself would keep the low priority.
            threads == 1,
            self._refuse,
            self._say_unprepared,
        )
        if served.unmeasured:
            self.get_logger().warning(served.unmeasured)
        platform = self._platform = PlatformLink(self, served, self._represent, self._pace)
        served.processor = platform.first_processor()
        first = served.begin(parameters['sub_network'])
        self._create_entities(served, platform)
        platform.begin()
        self._present(Application.STATE_INACTIVE)
        manifest = bundle.manifest
        self.get_logger().info(
            f'bundle {manifest.name!r}: {manifest.task.name} (accuracy is '
            f'{manifest.make_task().metric.title}), {len(manifest.sub_networks)} sub-networks, '
            f'engine {engine.name}, begins with {first!r}'
        )
        if not bundle.responses:
            self.get_logger().info(
                'The bundle has no recorded responses, so a loss of accuracy goes unnoticed. '
                "'dynamic-dnn bundle check --data ... --record' measures and records them."
            )

    def contradiction(self, given: Mapping[str, Any]) -> str | None:
        """Return that the bundle lacks the sub-network to begin with, or None."""
        wished = given.get('sub_network', '')
        if not wished:
            return None
        try:
            name = given.get('bundle', self.get_parameter('bundle').value)
            served = self._served
            bundle = served.bundle if served is not None else read_bundle(find_bundle(name))
        except BundleError:
            return None  # What is wrong with the bundle is said when it is configured.
        try:
            bundle.manifest.sub_network(wished)
        except BundleError as error:
            return f"parameter 'sub_network': {error}"
        return None

    def _create_entities(self, served: ServedBundle, platform: PlatformLink) -> None:
        self._switches = SwitchReceiver(
            self.identifier,
            served,
            lambda: platform.processors,
            self._pace,
            lambda: self._statuses.switch_answered(),
            self._applied,
            self.get_logger(),
        )
        manifest = served.bundle.manifest
        self._results = Results(
            self, manifest.task.name, manifest.name, manifest.labels, self._on_published
        )
        self._application_publisher: Publisher = self.create_publisher(
            Application, self.shared_topic('application'), qos.APPLICATION_PUBLICATION
        )
        self.own(self.destroy_publisher, self._application_publisher)
        self._statuses = StatusPublisher(
            self,
            served,
            self._camera,
            lambda: self._worker,
            lambda: platform.simulated,
            lambda: self._switches.answer,
        )
        for message_type, topic, callback, profile in (
            (
                SubNetworkSwitch,
                '~/sub_network_switch',
                self._switches.receive,
                qos.SUB_NETWORK_SWITCH,
            ),
            (
                Application,
                self.shared_topic('application'),
                self._on_application,
                qos.APPLICATION_SUBSCRIPTION,
            ),
            (SystemLoad, self.shared_topic('system_load'), platform.receive, qos.SYSTEM_LOAD),
        ):
            self.listen(message_type, topic, callback, profile)
        self.own(
            self.destroy_timer, self.create_steady_timer(HEARTBEAT_PERIOD, self._on_heartbeat)
        )
        if self.parameters['lazy']:
            timer = self.create_steady_timer(LAZY_PERIOD, self._subscribe_if_wanted)
            self.own(self.destroy_timer, timer)

    def activate(self) -> None:
        """Begin to serve the camera."""
        assert self._served is not None and self._results is not None
        self._camera.reset()
        self._statuses.overruns = 0
        self._has_served = False
        manifest = self._served.bundle.manifest
        self._worker = FrameWorker(
            PacedLender(self._served.exchange, lambda: self._pacing),
            manifest.preprocessing,
            manifest.make_task(),
            manifest.labels,
            self._results.limits,
            self.parameters['stuck_after'],
            self.parameters['reduced_decoding'],
            self._results.publish,
            self._on_rejected,
        )
        self._pace()
        self._results.begin()
        self._worker.start()
        if not self.parameters['lazy']:
            self._camera.subscribe()
        self._present(Application.STATE_ACTIVE)

    def deactivate(self) -> None:
        """Finish the frame in work and serve no more."""
        self._camera.unsubscribe()
        self._rejections.end()
        worker, self._worker = self._worker, None
        if worker is not None and not worker.stop(STOP_TIMEOUT):
            self.get_logger().error(
                f'The frame in work was not done after {STOP_TIMEOUT:g} s and is abandoned.'
            )
        if self._results is not None:
            self._results.end(STOP_TIMEOUT)
        if self._application is not None:
            self._present(Application.STATE_INACTIVE)

    def clean_up(self) -> None:
        """Take leave of the manager and release the bundle."""
        if self._application is not None:
            self._present(Application.STATE_DEPARTED)
            self._application_publisher.wait_for_all_acked(Duration(seconds=FAREWELL))
        if self._served is not None:
            self._served.exchange.close()
        if self._platform is not None:
            self._platform.end()
        self.destroy_owned()
        with self._publishing:
            self._forget()

    # Frames

    def _subscribe_if_wanted(self) -> None:
        wanted = self._results is not None and self._results.wanted
        if self.active and wanted and not self._camera.subscribed:
            self._camera.subscribe()
        elif self._camera.subscribed and not wanted:
            self._camera.unsubscribe()

    def _deliver(self, frame: CameraFrame) -> bool:
        if self._worker is None:
            return False
        idle = self._worker.state()[0] is WorkerState.IDLE
        self._worker.mailbox.put(frame)
        return idle

    def _on_published(self, published: Published) -> None:
        self._statuses.frame_served(published.served, published.tracking)
        if not self._has_served:
            self._has_served = True
            served = published.served
            took = time.monotonic() - served.frame.arrival
            self.get_logger().info(
                f'The first frame is served by {served.sub_network} on {served.processor}, '
                f'{took * 1e3:.3g} ms after it arrived.'
            )

    def _on_rejected(self, frame: CameraFrame, reason: str) -> None:
        header, _ = frame.origin
        self._reject(header, reason)

    def _reject(self, header: Header, reason: str) -> None:
        self._rejections.add(reason, time.monotonic())
        self._statuses.frame_rejected(header, reason)

    def _say_rejected(self, reason: str) -> None:
        self.get_logger().error(
            f'A frame of {self._camera.topic} is rejected: {reason} Further ones are counted on '
            '/diagnostics, and explained in inference_status, each.'
        )

    def _say_accepted(self, count: int, reason: str) -> None:
        self.get_logger().warning(
            f'{count} frames of {self._camera.topic} were rejected, the last one because: {reason}'
        )

    # Sub-networks and platform

    def _refuse(self, sub_network: SubNetwork, error: ResponseError) -> None:
        """Serve a sub-network no more; called by the thread that prepares."""
        self.get_logger().error(f'Not served: {error}')
        with self._publishing:
            if self._application is not None and self._application.sub_network == sub_network.id:
                return  # Serves well on another processor; the switch is answered with the reason.
            assert self._served is not None
            self._served.refused[sub_network.id] = str(error)
            self._presented_points = None
            self._represent()

    def _say_unprepared(self, sub_network: SubNetwork, error: Exception) -> None:
        self.get_logger().error(f'Sub-network {sub_network.id!r} is not ready: {error}')

    def _applied(self, message: SubNetworkSwitch) -> None:
        with self._publishing:
            if self._application is None:
                return
            self._application.switch_manager = message.manager
            self._application.switch_sequence = message.sequence
            self._application.target = message.target
            self._present(self._application.state)

    def _pace(self) -> None:
        if self._platform is not None:
            self._pacing = self._platform.pacing

    # What it says of itself

    def _represent(self) -> None:
        with self._publishing:
            if self._application is not None:
                self._present(self._application.state)

    def _present(self, state: int) -> None:
        """Publish `application` with the present state."""
        served, platform = self._served, self._platform
        assert served is not None and platform is not None
        with self._publishing:
            points = platform.points
            if points is not self._presented_points:
                served.works = works_on(points, served.bundle.manifest)
            manifest = served.manifest()
            if self._application is None:
                self._application = Application(
                    id=self.identifier,
                    instance=self.identity.instance,
                    started=stamp(self.identity.started),
                    bundle=manifest.name,
                    bundle_sha256=served.bundle.sha256,
                    task=manifest.task.name,
                    metric=manifest.make_task().metric.value,
                    label_count=len(manifest.labels),
                    family=getattr(manifest.source, 'family', manifest.source.kind),
                    engine=served.engine.name,
                )
            application = self._application
            application.sub_networks = sub_network_messages(manifest)
            application.header.stamp = self.get_clock().now().to_msg()
            self._presentations.append(application.header.stamp)
            application.state = state
            # Thousands of points: made into a message once, not at each switch.
            if points is not self._presented_points:
                self._presented_points = points
                if points is not None and served.refused:
                    points = points.only([entry.id for entry in manifest.sub_networks])
                application.operating_points = operating_points_message(points, manifest)
            application.sub_network = served.serving
            application.processor = served.processor
            self._application_publisher.publish(application)

    def _on_heartbeat(self) -> None:
        assert self._platform is not None
        self._statuses.heartbeat()
        self._rejections.tick(time.monotonic())
        self._yield_to_namesake()
        self._platform.tick()

    def _on_application(self, message: Application) -> None:
        """Notice another node of the same name, and what somebody else says in this one's."""
        if message.id != self.identifier:
            return
        if message.instance == self.identity.instance:
            self._correct(message)
            return
        departed = message.state == Application.STATE_DEPARTED
        self._namesake = (
            None if departed else Identity(message.instance, nanoseconds(message.started))
        )
        self._yield_to_namesake()

    def _correct(self, message: Application) -> None:
        """Present the application again where its last presentation is not its own."""
        with self._publishing:
            if message.header.stamp in self._presentations or self._application is None:
                return
            now = time.monotonic()
            if now - self._corrected >= HEARTBEAT_PERIOD:
                self._corrected = now
                self._present(self._application.state)
        self.complain(
            f'Somebody else presented {self.identifier!r} in the name of this node. It is '
            "presented again. Look for the sender with 'ros2 topic info --verbose "
            f"{self.shared_topic('application')}'.",
            'presented',
        )

    def _yield_to_namesake(self) -> None:
        """
        Give way to an older living node of the same name.

        What it presents is sent once, and may arrive before the graph knows its publisher, so
        this is asked again with each heartbeat.
        """
        if self._namesake is None or not self.identity.gives_way_to(self._namesake):
            return
        namesakes = sum(
            (info.node_namespace, info.node_name) == (self.get_namespace(), self.get_name())
            for info in self.get_publishers_info_by_topic(self.shared_topic('application'))
        )
        # A recording that is played back has no node of our name behind it.
        if namesakes > 1:
            self._namesake = None
            self.give_way(
                f'A node named {self.identifier!r} serves already, so this one stops. Start it '
                'with another name or namespace, or end the other one and configure this one '
                'again.'
            )

    def hardware_id(self) -> str:
        """Return the camera topic."""
        return self._camera.topic if not self.parameters.problems else ''

    def diagnose(self) -> Sequence[Diagnostic]:
        """Return the state of the camera and of the worker."""
        worker, served, platform = self._worker, self._served, self._platform
        results = self._results
        if worker is None or served is None or platform is None or results is None:
            return ()
        return (
            diagnose_camera(self._camera, worker, *self._rejections.present),
            diagnose_worker(worker, served, platform.platform, self._statuses.overruns),
            diagnose_sub_networks(served),
            results.diagnose(),
        )


def main() -> int:
    """Run the node as a process."""
    return run(InferenceNode, make_executor=chosen_executor)
