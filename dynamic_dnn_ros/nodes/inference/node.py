# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Serve a dynamic network on a camera topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
import signal
import threading
import time
from typing import Any

from rclpy.parameter import Parameter

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.engines.automatic import open_engine
from dynamic_dnn_ros.engines.contract import EngineError, Precision
from dynamic_dnn_ros.engines.verification import ResponseError
from dynamic_dnn_ros.msg import Application, InferenceStatus, SystemLoad
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic
from dynamic_dnn_ros.nodes.common.giving_way import Sign
from dynamic_dnn_ros.nodes.common.image_topic import image_topic
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode, NodeError
from dynamic_dnn_ros.nodes.common.main import chosen_executor, run
from dynamic_dnn_ros.nodes.common.memory import reuse_large_blocks
from dynamic_dnn_ros.nodes.inference.diagnostics import diagnose_sub_networks
from dynamic_dnn_ros.nodes.inference.parameters import PARAMETERS
from dynamic_dnn_ros.nodes.inference.platform_link import PlatformLink
from dynamic_dnn_ros.nodes.inference.presentation import PresentedPoints
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.nodes.inference.serving_process import ServingProcess
from dynamic_dnn_ros.nodes.inference.stream import STOP_TIMEOUT, Stream
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode
from dynamic_dnn_ros.scheduling.registry import UnknownSchedulerError, create_scheduler
from dynamic_dnn_ros.serving.stage_times import StageTimes

HEARTBEAT_PERIOD = 1.0
LAZY_PERIOD = 0.2

#: s that the last messages are given to arrive.
FAREWELL = 0.2


class InferenceNode(ManagedNode):
    """A dynamic network on camera topics, each a stream and an application of its own."""

    PARAMETERS = PARAMETERS
    PARTS = 'cameras'

    def __init__(self, process: ServingProcess | None = None, **arguments: Any) -> None:
        """
        Create the node, unconfigured.

        :param process: what it has in common with other nodes; None: it is alone
        :param arguments: as for `rclpy.lifecycle.LifecycleNode`
        """
        # Sub-networks are refused by the preparing thread, streams made by the executor's.
        self._changing = threading.RLock()
        self._process = ServingProcess() if process is None else process
        self._forget()
        super().__init__('inference_node', **arguments)
        self.identity = self._process.identity
        self._process.listen(self._rescheduled)

    def _forget(self) -> None:
        self._served: ServedBundle | None = None
        self._platform: PlatformLink | None = None
        self._streams: dict[str, Stream] = {}
        self._stuck_heartbeats = 0

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
            parameters['largest_batch'],
        )
        served = self._served = ServedBundle(
            bundle,
            engine,
            parameters['memory_budget'] or None,
            # Threads that an engine starts for itself would keep the low priority.
            threads == 1,
            self._refuse,
            self._say_unprepared,
            self._say_slow,
        )
        if served.unmeasured:
            self.get_logger().warning(served.unmeasured)
        platform = self._platform = PlatformLink(
            self, served, self._present_again, self._follow_platform
        )
        served.processor = platform.choose_processor()
        cameras = parameters['cameras'] or ('',)
        first = served.begin(StreamNode(self, cameras[0]).parameters['sub_network'])
        self._listen(platform)
        self._points = PresentedPoints(served)
        self._times = StageTimes(self.identifier, platform.least_latency, platform.batch_latency)
        self._process.schedule(parameters['scheduler'])
        for name in cameras:
            self._add(name)
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
        """Return that the bundle lacks a sub-network, or a scheduler does not load, or None."""
        if 'scheduler' in given:
            try:
                create_scheduler(given['scheduler'])
            except UnknownSchedulerError as error:
                return f"parameter 'scheduler': {error}"
        wished = {
            name: value
            for name, value in given.items()
            if value and name.rpartition('.')[2] == 'sub_network'
        }
        if not wished:
            return None
        try:
            name = given.get('bundle', self.get_parameter('bundle').value)
            served = self._served
            bundle = served.bundle if served is not None else read_bundle(find_bundle(name))
        except BundleError:
            return None  # What is wrong with the bundle is said when it is configured.
        for parameter, sub_network in wished.items():
            try:
                bundle.manifest.sub_network(sub_network)
            except BundleError as error:
                return f'parameter {parameter!r}: {error}'
        return None

    # Streams

    def parameters_changed(self) -> None:
        """Add and remove cameras, and have another scheduler decide, as parameters say."""
        self.parameters.follow_parts()
        self._process.schedule(self.parameters['scheduler'])
        for stream in self._streams.values():
            stream.follow_parameters()
        if self.configured:
            self._follow_cameras()

    def _follow_cameras(self) -> None:
        wanted = {
            StreamNode(self, name).identifier: name for name in self.parameters['cameras'] or ('',)
        }
        # Those that come have what is prepared for those that go.
        for identifier, name in wanted.items():
            if identifier not in self._streams:
                self._join(name)
        for identifier in [one for one in self._streams if one not in wanted]:
            self._remove(identifier)

    def _add(self, name: str) -> Stream:
        """Make a stream; empty: the only one, which has the names of the node."""
        assert self._served is not None and self._platform is not None
        served = self._served
        node = StreamNode(self, name)
        if self._streams:
            other = next(iter(self._streams.values())).served
            served = other.for_another_stream()
            # What serves another one is ready.
            served.begin(self.parameters.own(name, 'sub_network') or other.serving)
        try:
            stream = Stream(node, served, self._platform, self._points, self._times, self._process)
        except Exception:
            node.destroy()
            raise
        with self._changing:
            # Replaced as a whole: other threads go through it.
            self._streams = {**self._streams, stream.identifier: stream}
        return stream

    def _join(self, name: str) -> None:
        """Add a stream while others are served."""
        try:
            stream = self._add(name)
            stream.follow_platform()
            if self.active:
                stream.begin()
            else:
                stream.presentation.present(Application.STATE_INACTIVE)
        except Exception as error:
            self.complain(f'Camera {name!r} is not served: {error}')
        else:
            self.get_logger().info(f'{stream.identifier} is served from now on.')

    def _remove(self, identifier: str) -> None:
        """Finish the frame of a stream that is in work, and serve it no more."""
        with self._changing:
            streams = dict(self._streams)
            stream = streams.pop(identifier)
            self._streams = streams
        stream.end()
        stream.presentation.take_leave()
        stream.presentation.wait_for_farewell(FAREWELL)
        stream.destroy()
        self.get_logger().info(f'{identifier} is served no more.')

    def _rescheduled(self) -> None:
        """Take note that streams of the process take turns by another scheduler now."""
        name = self._process.scheduler
        if self.parameters['scheduler'] != name:
            self.set_parameters([Parameter('scheduler', value=name)])
        self._present_again()

    # What it listens to

    def _listen(self, platform: PlatformLink) -> None:
        for message_type, name, callback, profile in (
            (Application, 'application', self._on_application, qos.APPLICATION_SUBSCRIPTION),
            (SystemLoad, 'system_load', platform.receive, qos.SYSTEM_LOAD),
        ):
            self.listen(message_type, self.shared_topic(name), callback, profile)
        self.own(
            self.destroy_timer, self.create_steady_timer(HEARTBEAT_PERIOD, self._on_heartbeat)
        )
        if self.parameters['lazy']:
            timer = self.create_steady_timer(LAZY_PERIOD, self._subscribe_if_wanted)
            self.own(self.destroy_timer, timer)

    def activate(self) -> None:
        """Begin to serve the cameras that parameter `cameras` names now."""
        for stream in self._streams.values():
            stream.begin()

    def deactivate(self) -> None:
        """Finish the frames in work and serve no more."""
        end = time.monotonic() + STOP_TIMEOUT
        for stream in self._streams.values():
            stream.end(max(0.0, end - time.monotonic()))

    def clean_up(self) -> None:
        """Take leave of the manager and release the bundle."""
        streams = self._streams.values()
        for stream in streams:
            stream.presentation.take_leave()
        end = time.monotonic() + FAREWELL
        for stream in streams:
            stream.presentation.wait_for_farewell(max(0.0, end - time.monotonic()))
        for stream in streams:
            stream.destroy()
        if not self._process.shared:
            self._process.server.close(STOP_TIMEOUT)
        if self._served is not None:
            self._served.exchange.close()
        if self._platform is not None:
            self._platform.end()
        self.destroy_owned()
        with self._changing:
            self._forget()

    def _subscribe_if_wanted(self) -> None:
        for stream in self._streams.values():
            stream.subscribe_if_wanted(self.active)

    # Sub-networks and platform

    def _refuse(self, sub_network: SubNetwork, error: ResponseError) -> None:
        """Serve a sub-network no more; called by the thread that prepares."""
        self.get_logger().error(f'Not served: {error}')
        with self._changing:
            streams = self._streams.values()
            if any(stream.presentation.sub_network == sub_network.id for stream in streams):
                return  # Serves well on another processor; the switch is answered with the reason.
            assert self._served is not None
            self._served.refused[sub_network.id] = str(error)
            self._present_again()

    def _say_unprepared(self, sub_network: SubNetwork, error: Exception) -> None:
        self.get_logger().error(f'Sub-network {sub_network.id!r} is not ready: {error}')

    def _say_slow(self, sub_network: SubNetwork, seconds: float) -> None:
        """Say that a preparation goes on; the executor may be waiting for it, and says nothing."""
        assert self._served is not None
        bundle, engine = self._served.bundle.manifest.name, self._served.engine.name
        self.get_logger().warning(
            f'Sub-network {sub_network.id!r} of bundle {bundle!r} has been in preparation with '
            f'engine {engine} for {seconds:.0f} s. A large one may need that. A model without an '
            'end never gets ready: end this node, and serve another bundle or take another engine.'
        )

    def _follow_platform(self) -> None:
        for stream in self._streams.values():
            stream.follow_platform()

    # What it says of itself

    def _present(self, state: int) -> None:
        for stream in self._streams.values():
            stream.presentation.present(state)

    def _present_again(self) -> None:
        with self._changing:
            for stream in self._streams.values():
                stream.presentation.present_again()

    def _on_heartbeat(self) -> None:
        assert self._platform is not None
        for stream in self._streams.values():
            stream.heartbeat()
            self._yield_to_namesake(stream)
        self._platform.tick()
        self._end_if_stuck()

    def _end_if_stuck(self) -> None:
        """
        End the process where a worker is stuck for good: whoever started it starts it again.

        Heartbeats are counted, not seconds: a process that was stopped is not stuck.
        """
        stuck = [name for name, stream in self._streams.items() if stream.stuck]
        self._stuck_heartbeats = self._stuck_heartbeats + 1 if stuck else 0
        longest: float = self.parameters['end_when_stuck']
        if longest and self._stuck_heartbeats * HEARTBEAT_PERIOD > longest:
            self._stuck_heartbeats = 0
            self.get_logger().fatal(
                f'The worker of {", ".join(stuck)} has been stuck for more than {longest:g} s '
                "(parameter 'end_when_stuck'): this process ends, to be started again. Look for "
                'the cause in the engine or its driver.'
            )
            os.kill(os.getpid(), signal.SIGTERM)

    def _on_application(self, message: Application) -> None:
        stream = self._streams.get(message.id)
        if stream is not None:
            stream.presentation.receive(message)
            self._yield_to_namesake(stream)

    def _yield_to_namesake(self, stream: Stream) -> None:
        """Give way to an older living node that serves an application of the same name."""
        if stream.presentation.has_older_namesake():
            identifier, own = stream.identifier, self.identity.instance

            def is_its(message: InferenceStatus) -> bool:
                return bool(message.application == identifier and message.instance != own)

            self.give_way(
                f'A node named {identifier!r} serves already, so this one stops. Start it with '
                'another name or namespace, or end the other one.',
                Sign(
                    InferenceStatus,
                    self.shared_topic('inference_status'),
                    qos.INFERENCE_STATUS,
                    is_its,
                ),
            )

    def hardware_id(self) -> str:
        """Return the camera topic, where there is one."""
        if self.parameters.problems or self.parameters['cameras']:
            return ''
        compressed = self.parameters['image_transport'] == 'compressed'
        return str(self.resolve_topic_name(image_topic(self, compressed)))

    def diagnose(self) -> Sequence[Diagnostic]:
        """Return the state of each camera and of its worker, and that of the sub-networks."""
        parts = [part for stream in self._streams.values() for part in stream.diagnose()]
        if self._served is not None and parts:
            parts.append(diagnose_sub_networks(self._served))
        return parts


def main() -> int:
    """Run the node as a process."""
    reuse_large_blocks()
    return run(InferenceNode, make_executor=chosen_executor)
