# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One application of an inference node: a camera topic through the node's bundle."""

from __future__ import annotations

from collections.abc import Sequence
import time

from std_msgs.msg import Header

from dynamic_dnn_ros.msg import Application, SubNetworkSwitch
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic
from dynamic_dnn_ros.nodes.inference.camera_input import CameraInput
from dynamic_dnn_ros.nodes.inference.diagnostics import diagnose_camera, diagnose_worker
from dynamic_dnn_ros.nodes.inference.platform_link import PlatformLink
from dynamic_dnn_ros.nodes.inference.presentation import (
    SWITCH_TOPIC,
    Presentation,
    PresentedPoints,
)
from dynamic_dnn_ros.nodes.inference.rejections import Rejections
from dynamic_dnn_ros.nodes.inference.results.results import Published, Results
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.nodes.inference.status_publisher import StatusPublisher
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.nodes.inference.switching import SwitchReceiver
from dynamic_dnn_ros.serving.frames import CameraFrame, WorkerState
from dynamic_dnn_ros.serving.pacing import PacedLender, Pacer
from dynamic_dnn_ros.serving.server import Server
from dynamic_dnn_ros.serving.stream import FrameStream

#: s that a frame in work may take when a stream stops.
STOP_TIMEOUT = 5.0


class Stream:
    """
    Serves a camera: its frames, its switches, its results, and what it says of itself.

    It is made when the node is configured, or later, and destroyed by `destroy`. In between it
    may begin and end many times.
    """

    def __init__(
        self,
        node: StreamNode,
        served: ServedBundle,
        platform: PlatformLink,
        points: PresentedPoints,
    ) -> None:
        """
        Create what it publishes and listens to.

        :raises NodeError: when nothing publishes results of the bundle's task
        :raises TrackingError: when what parameter `tracking` names is not installed
        """
        self._node = node
        self._served = served
        self._platform = platform
        self._server = Server()
        self._worker: FrameStream | None = None
        self._pacing: tuple[Pacer, str] | None = None
        self._has_served = False
        manifest = served.bundle.manifest
        self._camera = CameraInput(node.node, node.parameters, self._deliver, self._reject)
        self._rejections = Rejections(self._say_rejected, self._say_accepted)
        self._results = Results(
            node, manifest.task.name, manifest.name, manifest.labels, self._on_published
        )
        self.presentation = Presentation(node, served, lambda: points.message(platform.points))
        self._switches = SwitchReceiver(
            node.identifier,
            served,
            lambda: platform.processors,
            self.pace,
            lambda: self._statuses.switch_answered(),
            self.presentation.switched,
            node.get_logger(),
        )
        self._statuses = StatusPublisher(
            node,
            served,
            self._camera,
            lambda: self._worker,
            lambda: platform.simulated,
            lambda: self._switches.answer,
        )
        node.listen(SubNetworkSwitch, SWITCH_TOPIC, self._switches.receive, qos.SUB_NETWORK_SWITCH)

    @property
    def identifier(self) -> str:
        """Return the id of the application."""
        return self._node.identifier

    # What it does

    def begin(self) -> None:
        """Begin to serve; the camera is subscribed to at once, unless nobody need want results."""
        self._camera.reset()
        self._statuses.overruns = 0
        self._has_served = False
        parameters, manifest = self._node.parameters, self._served.bundle.manifest
        self._worker = FrameStream(
            self.identifier,
            PacedLender(self._served.exchange, lambda: self._pacing),
            manifest.preprocessing,
            manifest.make_task(),
            manifest.labels,
            self._results.limits,
            parameters['stuck_after'],
            parameters['reduced_decoding'],
            self._results.publish,
            self._on_rejected,
        )
        self.pace()
        self._results.begin()
        self._server.add(self._worker)
        if not parameters['lazy']:
            self._camera.subscribe()
        self.presentation.present(Application.STATE_ACTIVE)

    def end(self) -> None:
        """Finish the frame in work and serve no more."""
        self._camera.unsubscribe()
        self._rejections.end()
        worker, self._worker = self._worker, None
        if worker is not None and not self._server.remove(worker, STOP_TIMEOUT):
            self._node.get_logger().error(
                f'The frame in work was not done after {STOP_TIMEOUT:g} s and is abandoned.'
            )
        self._results.end(STOP_TIMEOUT)
        self.presentation.present(Application.STATE_INACTIVE)

    def destroy(self) -> None:
        """Destroy what it published and listened to."""
        self._server.close(0.0)
        self._node.destroy()

    def subscribe_if_wanted(self, active: bool) -> None:
        """Subscribe to the camera of an active node while somebody wants results."""
        wanted = self._results.wanted
        if active and wanted and not self._camera.subscribed:
            self._camera.subscribe()
        elif self._camera.subscribed and not wanted:
            self._camera.unsubscribe()

    def heartbeat(self) -> None:
        """Say that it lives, and what is over."""
        self._statuses.heartbeat()
        self._rejections.tick(time.monotonic())

    def pace(self) -> None:
        """Take over the pace of the platform, which is another one now."""
        self._pacing = self._platform.pacing

    def diagnose(self) -> Sequence[Diagnostic]:
        """Return the state of the camera, of the worker and of results."""
        worker = self._worker
        if worker is None:
            return ()
        platform, overruns = self._platform.platform, self._statuses.overruns
        return (
            diagnose_camera(self._camera, worker, *self._rejections.present),
            diagnose_worker(worker, self._served, platform, overruns),
            self._results.diagnose(),
        )

    # Frames

    def _deliver(self, frame: CameraFrame) -> bool:
        if self._worker is None:
            return False
        idle = self._worker.state()[0] is WorkerState.IDLE
        self._worker.put(frame)
        return idle

    def _on_published(self, published: Published) -> None:
        self._statuses.frame_served(published.served, published.tracking)
        if not self._has_served:
            self._has_served = True
            served = published.served
            took = time.monotonic() - served.frame.arrival
            self._node.get_logger().info(
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
        self._node.get_logger().error(
            f'A frame of {self._camera.topic} is rejected: {reason} Further ones are counted on '
            '/diagnostics, and explained in inference_status, each.'
        )

    def _say_accepted(self, count: int, reason: str) -> None:
        self._node.get_logger().warning(
            f'{count} frames of {self._camera.topic} were rejected, the last one because: {reason}'
        )
