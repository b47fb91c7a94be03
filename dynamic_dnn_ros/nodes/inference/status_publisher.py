# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`inference_status`: what an application says of each frame, each switch, and once a second."""

from __future__ import annotations

from collections.abc import Callable
import math
import time

from rclpy.publisher import Publisher
from std_msgs.msg import Header

from dynamic_dnn_ros.msg import InferenceStatus
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.message_values import named_values
from dynamic_dnn_ros.nodes.inference.camera_input import CameraInput
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.nodes.inference.switching import SwitchAnswer
from dynamic_dnn_ros.serving.frames import ServedFrame, WorkerState
from dynamic_dnn_ros.serving.pacing import Overruns, PacedFrame
from dynamic_dnn_ros.serving.stream import FrameStream


class StatusPublisher:
    """
    Publishes `inference_status`; may be called from any thread.

    `overruns` counts frames for which this machine was slower than the simulated board.
    """

    def __init__(
        self,
        node: StreamNode,
        served: ServedBundle,
        camera: CameraInput,
        worker: Callable[[], FrameStream | None],
        simulated: Callable[[], bool],
        cpu_time: Callable[[], float],
        switch_answer: Callable[[], SwitchAnswer],
    ) -> None:
        """
        Create the publisher; the stream owns it.

        :param worker: returns the worker while the node is active
        :param simulated: tells whether frames are paced
        :param cpu_time: returns what counts as this stream's since it was last asked, s
        :param switch_answer: returns the answer to the last switch
        """
        self._node = node
        self._served = served
        self._camera = camera
        self._worker = worker
        self._simulated = simulated
        self._cpu_time = cpu_time
        self._switch_answer = switch_answer
        self._busy: dict[str, float] = {}
        self._overruns_of_board = Overruns()
        self.overruns = 0
        self._publisher: Publisher = node.create_publisher(
            InferenceStatus, node.shared_topic('inference_status'), qos.INFERENCE_STATUS
        )

    def heartbeat(self) -> None:
        """Say that the application lives."""
        self._publisher.publish(self._status(InferenceStatus.EVENT_HEARTBEAT))

    def frame_served(self, served: ServedFrame, tracking: float | None = None) -> None:
        """
        Say what a frame took, from its arrival until now.

        :param tracking: s, what its tracking took; None: nothing is tracked
        """
        header, transport = served.frame.origin
        total = time.monotonic() - served.frame.arrival
        self._count_busy(served)
        paced = served.remarks
        overrun = isinstance(paced, PacedFrame) and self._overruns_of_board.tell(
            paced, served.frame.arrival
        )
        self.overruns += overrun
        status = self._status(InferenceStatus.EVENT_SERVED, header)
        status.sub_network = served.sub_network
        status.processor = served.processor
        stages = {
            InferenceStatus.STAGE_TRANSPORT: transport,
            InferenceStatus.STAGE_WAITING: served.waiting,
            InferenceStatus.STAGE_PREPROCESSING: served.preprocessing,
            InferenceStatus.STAGE_INFERENCE: served.inference,
            InferenceStatus.STAGE_DECODING: served.decoding,
        }
        if served.parked:
            stages[InferenceStatus.STAGE_PARKED] = served.parked
        if tracking is not None:
            stages[InferenceStatus.STAGE_TRACKING] = tracking
        status.stages = named_values({**stages, InferenceStatus.STAGE_TOTAL: total})
        status.age = self._camera.age(header.stamp)
        status.overrun = overrun
        status.work = self._served.work_of(served)
        status.exit_stage = served.exit_stage
        status.batch = served.batch
        self._publisher.publish(status)

    def frame_rejected(self, header: Header, reason: str) -> None:
        """Say why a frame could not be read."""
        status = self._status(InferenceStatus.EVENT_REJECTED, header)
        status.message = reason
        self._publisher.publish(status)

    def switch_answered(self) -> None:
        """Answer the last switch."""
        status = self._status(InferenceStatus.EVENT_SWITCH)
        status.message = self._switch_answer().problem
        self._publisher.publish(status)

    def _count_busy(self, served: ServedFrame) -> None:
        if isinstance(served.remarks, PacedFrame):
            added = dict(served.remarks.busy)
        else:
            # All frames of a batch have its whole time as theirs; each kept it busy for its part.
            part = served.inference / served.batch
            if served.processor.startswith('cpu'):  # all of it, or a cluster
                added = {served.processor: self._cpu_time()}
            else:
                added = {served.processor: part, 'cpu': self._cpu_time()}
        # Replaced as a whole: other threads read it.
        self._busy = {
            domain: self._busy.get(domain, 0.0) + added.get(domain, 0.0)
            for domain in {*self._busy, *added}
        }

    def _status(self, event: int, image: Header | None = None) -> InferenceStatus:
        status = InferenceStatus(
            application=self._node.identifier,
            instance=self._node.identity.instance,
            event=event,
            sub_network=self._served.serving,
            processor=self._served.processor,
            busy=named_values(self._busy),
            age=math.nan,
            simulated=self._simulated(),
        )
        status.header.stamp = self._node.get_clock().now().to_msg()
        if image is not None:
            status.header.frame_id = image.frame_id
            status.image_stamp = image.stamp
        worker = self._worker()
        state, since = (WorkerState.STOPPED, 0.0) if worker is None else worker.state()
        status.worker, status.worker_since = int(state), since
        if worker is not None:
            status.received = self._camera.received
            status.served = worker.served
            status.replaced = worker.mailbox.replaced
            status.rejected = worker.rejected + self._camera.rejected
            status.dropped = worker.dropped
            status.parked = worker.parked
        answer = self._switch_answer()
        status.switch_manager = answer.manager
        status.switch_sequence = answer.sequence
        status.switch_result = answer.result
        return status
