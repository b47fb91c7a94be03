# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One application of an inference node: a camera topic through the node's bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import time

from std_msgs.msg import Header

from dynamic_dnn_ros.msg import Application, PerformanceTarget, SubNetworkSwitch
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic
from dynamic_dnn_ros.nodes.common.parameters import ParameterValues
from dynamic_dnn_ros.nodes.inference.camera_input import CameraInput
from dynamic_dnn_ros.nodes.inference.diagnostics import diagnose_camera, diagnose_worker
from dynamic_dnn_ros.nodes.inference.platform_link import PlatformLink
from dynamic_dnn_ros.nodes.inference.presentation import (
    SWITCH_BY_HAND_TOPIC,
    SWITCH_TOPIC,
    Presentation,
    PresentedPoints,
)
from dynamic_dnn_ros.nodes.inference.rejections import Rejections
from dynamic_dnn_ros.nodes.inference.results.results import Published, Results
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.nodes.inference.serving_process import ServingProcess
from dynamic_dnn_ros.nodes.inference.status_publisher import StatusPublisher
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.nodes.inference.switching import SwitchReceiver
from dynamic_dnn_ros.serving.frames import CameraFrame, WorkerState
from dynamic_dnn_ros.serving.pacing import PacedLender, Pacer
from dynamic_dnn_ros.serving.stage_times import StageTimes
from dynamic_dnn_ros.serving.stream import FrameStream, Terms

#: s that frames in work may take when streams stop.
STOP_TIMEOUT = 5.0

#: Frames that the engine fails on, one after the other, after which a switch counts as failed.
FAILURES = 3


def terms_of(target: PerformanceTarget, parameters: ParameterValues) -> Terms:
    """Return what a target asks of each frame; without an application, what parameters ask."""
    if not target.application:
        return Terms(
            latency=parameters['latency'] or None,
            priority=parameters['priority'],
            droppable=parameters['late_frames'] == 'drop',
        )
    return Terms(
        latency=target.latency or None,
        priority=target.priority,
        droppable=target.late_frames == PerformanceTarget.LATE_FRAMES_DROP,
    )


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
        times: StageTimes,
        process: ServingProcess,
    ) -> None:
        """
        Create what it publishes and listens to.

        :param served: by this stream; a sub-network of it serves already
        :param times: what stages take, one for all streams of the node
        :raises NodeError: when nothing publishes results of the bundle's task
        :raises TrackingError: when what parameter `tracking` names is not installed
        """
        self.served = served
        self._node = node
        self._platform = platform
        self._times = times
        self._process = process
        self._worker: FrameStream | None = None
        self._target = PerformanceTarget()
        self._pacing: tuple[Pacer, str] | None = None
        self._has_served = False
        manifest = served.bundle.manifest
        base = f'{node.name}/image' if node.name else 'image'
        self._camera = CameraInput(node.node, node.parameters, self._deliver, self._reject, base)
        self._rejections = Rejections(self._say_rejected, self._say_accepted)
        self._results = Results(
            node, manifest.task.name, manifest.name, manifest.labels, self._on_published
        )
        self.presentation = Presentation(
            node, served, lambda: points.message(platform.points), self._takes_turns
        )
        self._switches = SwitchReceiver(
            node.identifier,
            served,
            lambda: platform.processors,
            self.pace,
            lambda: self._statuses.switch_answered(),
            self._switched,
            node.get_logger(),
            lambda reason, text: node.leave_out(SWITCH_TOPIC, reason, text),
        )
        self._statuses = StatusPublisher(
            node,
            served,
            self._camera,
            lambda: self._worker,
            lambda: platform.simulated,
            process.take_cpu_time,
            lambda: self._switches.answer,
        )
        for topic, profile in (
            (SWITCH_TOPIC, qos.SUB_NETWORK_SWITCH),
            (SWITCH_BY_HAND_TOPIC, qos.SWITCH_BY_HAND),
        ):
            node.listen(SubNetworkSwitch, topic, self._switches.receive, profile)

    @property
    def identifier(self) -> str:
        """Return the id of the application."""
        return self._node.identifier

    # What it does

    def begin(self) -> None:
        """Begin to serve."""
        self._camera.reset()
        self._statuses.overruns = 0
        self._has_served = False
        parameters, manifest = self._node.parameters, self.served.bundle.manifest
        worker = FrameStream(
            self.identifier,
            PacedLender(self.served.exchange, lambda: self._pacing),
            manifest.preprocessing,
            manifest.make_task(),
            manifest.labels,
            self._results.limits,
            parameters['stuck_after'],
            parameters['reduced_decoding'],
            self._results.publish,
            self._on_rejected,
            times=self._times,
        )
        worker.terms = terms_of(self._target, parameters)
        self.pace()
        self._node.enable()
        self._results.begin()
        self._process.server.add(worker)
        self._worker = worker
        if not parameters['lazy']:
            self._camera.subscribe()
        self.presentation.present(Application.STATE_ACTIVE)

    def end(self, timeout: float = STOP_TIMEOUT) -> None:
        """Finish the frame in work and serve no more; `timeout` in seconds."""
        self._camera.unsubscribe()
        self._rejections.end()
        worker, self._worker = self._worker, None
        if worker is not None and not self._process.server.remove(worker, timeout):
            self._node.get_logger().error(
                f'The frame in work was not done after {STOP_TIMEOUT:g} s and is abandoned.'
            )
        self._results.end(timeout)
        self.presentation.present(Application.STATE_INACTIVE)

    def destroy(self) -> None:
        """Destroy what it published and listened to, and give its sub-network back."""
        self._node.destroy()
        self.served.exchange.close()

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

    @property
    def stuck(self) -> bool:
        """Tell whether its worker has had one frame for too long."""
        return self._worker is not None and self._worker.state()[0] is WorkerState.STUCK

    def follow_platform(self) -> None:
        """Take over processor and pace of the platform, which is another one now."""
        if self._platform.simulated and not self._node.parameters['processor']:
            self.served.processor = self._platform.processor
        self.pace()

    def follow_parameters(self) -> None:
        """Take over what is asked of each frame, by the target or by parameters."""
        worker = self._worker
        if worker is not None:
            worker.terms = terms_of(self._target, self._node.parameters)

    def pace(self) -> None:
        """Take over the pace of the platform, or another processor."""
        self._pacing = self._platform.pacing(self.identifier, self.served.processor)

    def diagnose(self) -> Sequence[Diagnostic]:
        """Return the state of the camera, of the worker and of results."""
        worker = self._worker
        if worker is None:
            return ()
        platform, overruns = self._platform.platform, self._statuses.overruns
        parts = (
            diagnose_camera(self._camera, worker, *self._rejections.present),
            diagnose_worker(worker, self.served, platform, overruns),
            self._results.diagnose(),
        )
        name, topic = self._node.name, self._camera.topic
        return [replace(part, stream=name, hardware=topic) for part in parts]

    def _takes_turns(self) -> tuple[str, str]:
        """Return the process whose streams take turns, and by which scheduler; empty: it alone."""
        process = self._process
        if self._node.name or process.shared:
            return process.identity.instance, process.scheduler
        return '', ''

    def _switched(self, switch: SubNetworkSwitch) -> None:
        self._target = switch.target
        self.follow_parameters()
        self.presentation.switched(switch)

    # Frames

    def _deliver(self, frame: CameraFrame) -> bool:
        return self._worker is not None and self._worker.put(frame)

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
        worker = self._worker
        if worker is not None and worker.failures == FAILURES:
            self._switches.serving_fails(reason)

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
