# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Serve a dynamic network on a camera topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
import math
import random
import threading
import time
from typing import Any

from builtin_interfaces.msg import Time
import numpy as np
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.time import Time as RosTime
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.engines.contract import Engine, EngineError, PreparedSubNetwork, softmax
from dynamic_dnn_ros.engines.exchange import SubNetworkExchange
from dynamic_dnn_ros.engines.pacing import BoardState, BoardWork, Pacer
from dynamic_dnn_ros.engines.preprocessing import PictureError
from dynamic_dnn_ros.engines.registry import ENGINE_NAMES, create_engine
from dynamic_dnn_ros.engines.serving import Frame, FrameWorker, ServedFrame, WorkerState
from dynamic_dnn_ros.engines.verification import ResponseError, VerifyingEngine
from dynamic_dnn_ros.msg import (
    Application,
    Classification,
    ClassScore,
    InferenceStatus,
    SubNetworkSwitch,
    SystemLoad,
)
from dynamic_dnn_ros.nodes import qos
from dynamic_dnn_ros.nodes.application_messages import (
    operating_points_message,
    sub_network_messages,
)
from dynamic_dnn_ros.nodes.diagnostics import Diagnostic, Level
from dynamic_dnn_ros.nodes.images import compressed_picture, raw_picture
from dynamic_dnn_ros.nodes.lifecycle import ManagedNode, Problem
from dynamic_dnn_ros.nodes.main import run
from dynamic_dnn_ros.nodes.message_values import named_values, nanoseconds, stamp
from dynamic_dnn_ros.nodes.parameters import ParameterSpecification
from dynamic_dnn_ros.nodes.uniqueness import Identity
from dynamic_dnn_ros.nodes.vision_publisher import VisionPublisher
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.profiling.simulated import network_cost, simulated_profile
from dynamic_dnn_ros.profiling.startup import measure

#: Values of parameter `platform` that are no platform's id.
AUTO, NONE = 'auto', 'none'

HEARTBEAT_PERIOD = 1.0
LAZY_PERIOD = 0.2

#: s to wait for the platform before the sub-networks are measured instead.
PLATFORM_TIMEOUT = 3.0

#: s that the last message is given to arrive.
FAREWELL = 0.2

#: s that a frame in work may take when the node is deactivated.
STOP_TIMEOUT = 5.0

#: s, an image older than this, or from the future, comes from another time base.
OLDEST_IMAGE = 10.0

#: s without a frame after which /diagnostics says so.
SILENCE = 2.0

#: s between two log lines about rejected frames.
LOG_PERIOD = 5.0


class InferenceNode(ManagedNode):
    """One application: a dynamic network on a camera topic."""

    PARAMETERS = (
        ParameterSpecification(
            'bundle',
            'cifar10_ofa',
            'The bundle to serve: the name of one that ships with the package, or a path.',
        ),
        ParameterSpecification(
            'engine', 'torch', 'What runs the sub-networks.', choices=ENGINE_NAMES
        ),
        ParameterSpecification(
            'threads', 1, 'Threads of one inference on the CPU.', minimum=1, maximum=256
        ),
        ParameterSpecification(
            'image_transport',
            'raw',
            'raw subscribes to `image`, compressed to `image/compressed`.',
            choices=('raw', 'compressed'),
        ),
        ParameterSpecification(
            'sub_network',
            '',
            'The sub-network to begin with; empty: the most accurate one.',
        ),
        ParameterSpecification(
            'processor',
            '',
            'The processor to begin with; empty: the one that the engine prefers.',
        ),
        ParameterSpecification(
            'platform',
            AUTO,
            'Id of the platform whose profile counts; auto: the one that publishes '
            '`system_load`, none: none, so that latencies are measured at start.',
        ),
        ParameterSpecification(
            'results', 5, 'Classes in a result, best first.', minimum=1, maximum=65535, live=True
        ),
        ParameterSpecification(
            'lazy', False, 'Subscribe to the camera only while somebody wants results.'
        ),
        ParameterSpecification(
            'stuck_after',
            5.0,
            'With one frame for longer than this, the worker is reported as stuck.',
            's',
            minimum=0.01,
            maximum=3600.0,
        ),
        ParameterSpecification(
            'seed',
            0,
            'Seed of the jitter on a simulated platform.',
            minimum=0,
            maximum=2**31 - 1,
        ),
    )

    def __init__(self, **arguments: Any) -> None:
        """Create the node, unconfigured; arguments as for `rclpy.lifecycle.LifecycleNode`."""
        # Publications come from the executor's thread, the worker and the preparing thread.
        self._publishing = threading.RLock()
        self._forget()
        super().__init__('inference_node', **arguments)

    def _forget(self) -> None:
        self._bundle: Bundle | None = None
        self._engine: Engine | None = None
        self._exchange: SubNetworkExchange | None = None
        self._worker: FrameWorker | None = None
        self._image_subscription: Subscription | None = None
        self._vision: VisionPublisher | None = None
        self._application: Application | None = None
        self._platform = ''
        self._points: OperatingPoints | None = None
        self._presented_points: OperatingPoints | None = None
        self._pacer: Pacer | None = None
        self._measuring: tuple[threading.Thread, threading.Event] | None = None
        self._processor = ''
        self._busy: dict[str, float] = {}
        self._received = 0
        self._rejected_on_arrival = 0
        self._last_arrival = -math.inf
        self._last_problem = ''
        self._overruns = 0
        self._measure_at = math.inf
        self._last_switch = ('', 0, InferenceStatus.SWITCH_NONE, '')
        self._namesake: Identity | None = None
        # Why a sub-network is not served, by its id.
        self._refused: dict[str, str] = {}

    # Transitions

    def configure(self) -> None:
        """
        Read the bundle, prepare the first sub-network, present the application.

        :raises BundleError: when the bundle cannot be used
        :raises EngineError: when the engine cannot run it
        :raises Problem: when a parameter names what is not there
        """
        parameters = self.parameters
        bundle = read_bundle(find_bundle(parameters['bundle']))
        engine = create_engine(parameters['engine'], bundle, parameters['threads'])
        engine = VerifyingEngine(engine, bundle.responses, self._refuse)
        self._bundle, self._engine = bundle, engine
        self._processor = self._checked_processor(parameters['processor'])
        self._exchange = SubNetworkExchange(engine, bundle.manifest)
        first = self._begin(parameters['sub_network'])
        self._create_entities()
        if parameters['platform'] == NONE:
            self._measure('')
        else:
            self._measure_at = time.monotonic() + PLATFORM_TIMEOUT
        self._present(Application.STATE_INACTIVE)
        self.get_logger().info(
            f'bundle {bundle.manifest.name!r}: {len(bundle.manifest.sub_networks)} sub-networks, '
            f'engine {engine.name}, begins with {first!r}'
        )
        if not bundle.responses:
            self.get_logger().info(
                'The bundle has no recorded responses, so a loss of accuracy goes unnoticed. '
                "'dynamic-dnn bundle check --data ... --record' measures and records them."
            )

    def _begin(self, wished: str) -> str:
        """
        Prepare the first sub-network; the most accurate one stands in for one that is refused.

        :raises EngineError: when none answers as recorded, or the engine cannot run it
        :raises BundleError: when the bundle has none of that id
        """
        assert self._bundle is not None and self._exchange is not None
        by_accuracy = [entry.id for entry in _most_accurate_first(self._bundle)]
        for identifier in dict.fromkeys([wished, *by_accuracy] if wished else by_accuracy):
            try:
                self._exchange.start(identifier, self._engine_processor())
            except ResponseError:
                continue
            return identifier
        raise EngineError(
            f'bundle {self._bundle.manifest.name!r}: no sub-network can be served. '
            + next(iter(self._refused.values()))
        )

    def _refuse(self, sub_network: SubNetwork, error: ResponseError) -> None:
        """Serve a sub-network no more; called by the thread that prepares."""
        self.get_logger().error(f'Not served: {error}')
        with self._publishing:
            if self._application is not None and self._application.sub_network == sub_network.id:
                return  # Serves well on another processor; the switch is answered with the reason.
            self._refused[sub_network.id] = str(error)
            self._presented_points = None
            if self._application is not None:
                self._present(self._application.state)

    def _served_manifest(self) -> Manifest:
        """Return the manifest without the sub-networks that are refused."""
        assert self._bundle is not None
        manifest = self._bundle.manifest
        kept = (entry for entry in manifest.sub_networks if entry.id not in self._refused)
        return replace(manifest, sub_networks=tuple(kept))

    def _checked_processor(self, processor: str) -> str:
        assert self._engine is not None and self._bundle is not None
        known = set(self._engine.processors)
        for profile in self._bundle.profiles:
            known.update(profile.processors)
        if self.parameters['platform'].endswith(SIMULATED_SUFFIX):
            known.update(load_board(self.parameters['platform']).processors)
        if processor and processor not in known:
            raise Problem(
                f"parameter 'processor' is {processor!r}, which neither the engine nor a profile "
                f'knows. Set it to one of: {", ".join(sorted(known))}, or leave it empty.'
            )
        return processor or self._engine.processors[0]

    def _engine_processor(self) -> str:
        """Return the processor of this machine that does the work."""
        assert self._engine is not None
        processors = self._engine.processors
        return self._processor if self._processor in processors else processors[0]

    def _create_entities(self) -> None:
        self._classification: Publisher = self.create_lifecycle_publisher(
            Classification, '~/classification', qos.RESULT
        )
        self.own(self.destroy_publisher, self._classification)
        self._vision = VisionPublisher.create(self)
        if self._vision is not None:
            self.own(self.destroy_publisher, self._vision.publisher)
        self._application_publisher: Publisher = self.create_publisher(
            Application, self.shared_topic('application'), qos.APPLICATION_PUBLICATION
        )
        self.own(self.destroy_publisher, self._application_publisher)
        self._status_publisher: Publisher = self.create_publisher(
            InferenceStatus, self.shared_topic('inference_status'), qos.INFERENCE_STATUS
        )
        self.own(self.destroy_publisher, self._status_publisher)
        for message_type, topic, callback, profile in (
            (SubNetworkSwitch, '~/sub_network_switch', self._on_switch, qos.SUB_NETWORK_SWITCH),
            (
                Application,
                self.shared_topic('application'),
                self._on_application,
                qos.APPLICATION_SUBSCRIPTION,
            ),
            (SystemLoad, self.shared_topic('system_load'), self._on_load, qos.SYSTEM_LOAD),
        ):
            subscription = self.create_subscription(message_type, topic, callback, profile)
            self.own(self.destroy_subscription, subscription)
        self.own(self.destroy_timer, self.create_timer(HEARTBEAT_PERIOD, self._on_heartbeat))
        if self.parameters['lazy']:
            timer = self.create_timer(LAZY_PERIOD, self._subscribe_if_wanted)
            self.own(self.destroy_timer, timer)

    def activate(self) -> None:
        """Begin to serve the camera."""
        assert self._bundle is not None and self._exchange is not None
        self._received = self._rejected_on_arrival = self._overruns = 0
        self._last_arrival = time.monotonic()
        self._worker = FrameWorker(
            self._exchange,
            self._bundle.manifest.preprocessing,
            self.parameters['stuck_after'],
            self._on_served,
            self._on_rejected,
        )
        self._pace()
        self._worker.start()
        if not self.parameters['lazy']:
            self._subscribe()
        self._present(Application.STATE_ACTIVE)

    def deactivate(self) -> None:
        """Finish the frame in work and serve no more."""
        self._unsubscribe()
        worker, self._worker = self._worker, None
        if worker is not None and not worker.stop(STOP_TIMEOUT):
            self.get_logger().error(
                f'The frame in work was not done after {STOP_TIMEOUT:g} s and is abandoned.'
            )
        if self._application is not None:
            self._present(Application.STATE_INACTIVE)

    def clean_up(self) -> None:
        """Take leave of the manager and release the bundle."""
        if self._application is not None:
            self._present(Application.STATE_DEPARTED)
            self._application_publisher.wait_for_all_acked(Duration(seconds=FAREWELL))
        if self._exchange is not None:
            self._exchange.close()
        self._stop_measuring()
        self.destroy_owned()
        with self._publishing:
            self._forget()

    # The camera

    @property
    def image_topic(self) -> str:
        """Return the camera topic, as it is remapped."""
        compressed = self.parameters['image_transport'] == 'compressed'
        return str(self.resolve_topic_name('image/compressed' if compressed else 'image'))

    def _subscribe(self) -> None:
        compressed = self.parameters['image_transport'] == 'compressed'
        self._image_subscription = self.create_subscription(
            CompressedImage if compressed else Image,
            'image/compressed' if compressed else 'image',
            self._on_image,
            qos.SENSOR_SUBSCRIPTION,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _unsubscribe(self) -> None:
        if self._image_subscription is not None:
            self.destroy_subscription(self._image_subscription)
            self._image_subscription = None

    def _subscribe_if_wanted(self) -> None:
        wanted = self._classification.get_subscription_count() > 0
        if self._vision is not None:
            wanted = wanted or self._vision.publisher.get_subscription_count() > 0
        if self.active and wanted and self._image_subscription is None:
            self._last_arrival = time.monotonic()
            self._subscribe()
        elif self._image_subscription is not None and not wanted:
            self._unsubscribe()

    def _on_image(self, message: Image | CompressedImage) -> None:
        arrival = time.monotonic()
        worker = self._worker
        if worker is None:
            return
        self._received += 1
        self._last_arrival = arrival
        transport = self._age(message.header.stamp)
        try:
            picture = (
                raw_picture(message) if isinstance(message, Image) else compressed_picture(message)
            )
        except PictureError as error:
            self._rejected_on_arrival += 1
            self._reject(message.header, str(error))
            return
        worker.mailbox.put(Frame(picture, arrival, (message.header, transport)))

    def _age(self, stamp: Time) -> float:
        """Return now minus a stamp, s; NaN where the two come from different time bases."""
        now = self.get_clock().now().nanoseconds
        age = (now - RosTime.from_msg(stamp).nanoseconds) * 1e-9
        return age if -0.1 <= age <= OLDEST_IMAGE else math.nan

    # Results, in the worker's thread

    def _on_served(self, served: ServedFrame) -> None:
        assert self._bundle is not None
        header, transport = served.frame.origin
        scores = softmax(served.logits)
        best = np.argsort(scores)[::-1][: self.parameters['results']]
        classes = self._bundle.manifest.classes
        results = [(classes[index], float(scores[index])) for index in best]
        self._classification.publish(
            Classification(
                header=header,
                application=self.identifier,
                sub_network=served.sub_network,
                processor=served.processor,
                results=[ClassScore(class_id=name, score=score) for name, score in results],
            )
        )
        if self._vision is not None:
            self._vision.publish(header, results)
        total = time.monotonic() - served.frame.arrival
        self._count_busy(served)
        overrun = served.paced is not None and served.paced.overrun
        self._overruns += overrun
        status = self._status(InferenceStatus.EVENT_SERVED, header)
        status.sub_network = served.sub_network
        status.processor = served.processor
        status.stages = named_values(
            {
                InferenceStatus.STAGE_TRANSPORT: transport,
                InferenceStatus.STAGE_WAITING: served.waiting,
                InferenceStatus.STAGE_PREPROCESSING: served.preprocessing,
                InferenceStatus.STAGE_INFERENCE: served.inference,
                InferenceStatus.STAGE_TOTAL: total,
            }
        )
        status.age = self._age(header.stamp)
        status.overrun = overrun
        self._status_publisher.publish(status)

    def _count_busy(self, served: ServedFrame) -> None:
        if served.paced is not None:
            added = served.paced.busy
        else:
            added = {} if served.processor == 'cpu' else {served.processor: served.inference}
            added['cpu'] = time.process_time() - self._busy.get('cpu', 0.0)
        # Replaced as a whole: other threads read it.
        self._busy = {
            domain: self._busy.get(domain, 0.0) + added.get(domain, 0.0)
            for domain in {*self._busy, *added}
        }

    def _on_rejected(self, frame: Frame, reason: str) -> None:
        header, _ = frame.origin
        self._reject(header, reason)

    def _reject(self, header: Header, reason: str) -> None:
        self._last_problem = reason
        self.get_logger().error(
            f'A frame of {self.image_topic} is rejected: {reason}',
            throttle_duration_sec=LOG_PERIOD,
        )
        status = self._status(InferenceStatus.EVENT_REJECTED, header)
        status.message = reason
        self._status_publisher.publish(status)

    # Switches

    def _on_switch(self, message: SubNetworkSwitch) -> None:
        manager, sequence, _, _ = self._last_switch
        if message.sequence and message.manager == manager:
            if message.sequence == sequence:
                self._publish_switch_status()
                return
            if message.sequence < sequence:
                self._answer_switch(
                    message,
                    InferenceStatus.SWITCH_REFUSED_SEQUENCE,
                    f'switch {message.sequence} is older than switch {sequence} of the same '
                    'manager. Count the sequence number up.',
                )
                return
        refusal = self._refusal(message)
        if refusal is not None:
            self._answer_switch(message, *refusal)
            return
        if message.processor:
            self._processor = message.processor
        assert self._exchange is not None
        self._exchange.request(
            message.sub_network,
            self._engine_processor(),
            lambda prepared: self._exchanged(message, prepared),
            lambda error: self._answer_switch(
                message, InferenceStatus.SWITCH_FAILED, f'{message.sub_network!r}: {error}'
            ),
        )

    def _refusal(self, message: SubNetworkSwitch) -> tuple[int, str] | None:
        if message.application != self.identifier:
            return (
                InferenceStatus.SWITCH_REFUSED_APPLICATION,
                f'a switch for {message.application!r} arrived at {self.identifier!r}. '
                f'Send it to {message.application}/sub_network_switch.',
            )
        assert self._bundle is not None
        if message.sub_network in self._refused:
            return (
                InferenceStatus.SWITCH_REFUSED_SUB_NETWORK,
                self._refused[message.sub_network],
            )
        try:
            self._bundle.manifest.sub_network(message.sub_network)
        except BundleError as error:
            return InferenceStatus.SWITCH_REFUSED_SUB_NETWORK, str(error)
        known = self._processors()
        if message.processor and message.processor not in known:
            return (
                InferenceStatus.SWITCH_REFUSED_PROCESSOR,
                f'processor {message.processor!r} is not here. Name one of: {", ".join(known)}, '
                'or none.',
            )
        return None

    def _processors(self) -> tuple[str, ...]:
        assert self._engine is not None
        if self._pacer is not None and self._points is not None:
            return self._points.processors
        return self._engine.processors

    def _exchanged(self, message: SubNetworkSwitch, prepared: PreparedSubNetwork) -> None:
        self._pace()
        with self._publishing:
            if self._application is None:
                return
            self._application.switch_manager = message.manager
            self._application.switch_sequence = message.sequence
            self._application.target = message.target
        self._answer_switch(message, InferenceStatus.SWITCH_APPLIED, '')
        self._present(self._application.state)

    def _answer_switch(self, message: SubNetworkSwitch, result: int, problem: str) -> None:
        refused_as_old = result == InferenceStatus.SWITCH_REFUSED_SEQUENCE
        previous = self._last_switch
        self._last_switch = (message.manager, message.sequence, result, problem)
        if problem:
            self.get_logger().error(f'Switch {message.sequence} is not applied: {problem}')
        self._publish_switch_status()
        if refused_as_old:
            self._last_switch = previous

    def _publish_switch_status(self) -> None:
        status = self._status(InferenceStatus.EVENT_SWITCH)
        status.message = self._last_switch[3]
        self._status_publisher.publish(status)

    # The platform

    def _on_load(self, message: SystemLoad) -> None:
        if self.parameters['platform'] not in (AUTO, message.platform):
            return
        assert self._bundle is not None
        if self._platform != message.platform:
            try:
                self._learn_platform(message.platform, message.kind == SystemLoad.KIND_SIMULATED)
            except PlatformError as error:
                self.get_logger().error(f'Frames are not paced: {error}')
        if self._pacer is not None:
            self._pacer.update(
                BoardState(
                    {domain.name: domain.granted for domain in message.domains},
                    {row.name: row.value for row in message.slow_downs}.get(self.identifier, 1.0),
                )
            )

    def _learn_platform(self, platform: str, simulated: bool) -> None:
        assert self._bundle is not None
        self._stop_measuring()
        self._platform = platform
        self._measure_at = math.inf
        self._pacer = None
        hardware = hardware_name()
        points = self._bundle.profile(platform, hardware)
        if simulated:
            self._begin_pacing(platform)
            if points is None:
                points = simulated_profile(
                    load_board(platform), platform, self._bundle.manifest.sub_networks
                )
        if points is None:
            other = self._bundle.profile(platform)
            if other is not None:
                self.get_logger().warning(
                    f'The profile of platform {platform!r} in bundle '
                    f'{self._bundle.manifest.name!r} was measured on {other.hardware!r}; this is '
                    f'{hardware!r}, so it is not used. Measure one here: dynamic-dnn profile '
                    f'{self._bundle.folder} --platform {platform}'
                )
            self._pace()
            self._measure(platform)
            return
        self._points = points
        if simulated and not self.parameters['processor']:
            self._processor = points.processors[0]
        self._pace()
        if self._application is not None:
            self._present(self._application.state)

    def _begin_pacing(self, platform: str) -> None:
        board = load_board(platform)
        generator = random.Random(f'{self.parameters["seed"]} {self.identifier}')

        def work(
            sub_network: SubNetwork, processor: str, frequencies: Mapping[str, float]
        ) -> BoardWork:
            parts = board.parts(network_cost(sub_network), processor, frequencies)
            return BoardWork(parts.total, parts.busy())

        self._pacer = Pacer(work, lambda: board.jitter(generator))
        self.get_logger().info(
            f'{platform} is simulated: each frame lasts as long as that board would need'
        )

    def _pace(self) -> None:
        if self._worker is not None:
            pacer = self._pacer
            self._worker.pacing = None if pacer is None else (pacer, self._processor)

    def _measure(self, platform: str) -> None:
        """Measure the sub-networks in the background, once all of them are prepared."""
        assert self._exchange is not None
        self._measure_at = math.inf
        self._points = None
        exchange = self._exchange
        self._stop_measuring()
        stop = threading.Event()

        def work() -> None:
            points = measure(platform, exchange.prepared(), stop.is_set)
            with self._publishing:
                if points is None or stop.is_set() or self._application is None:
                    return
                self._points = points
                self._present(self._application.state)
            self.get_logger().info(
                f'no profile for platform {platform!r}: measured each sub-network at start'
            )

        thread = threading.Thread(target=work, name='measure')
        self._measuring = (thread, stop)
        thread.start()

    def _stop_measuring(self) -> None:
        # A thread inside an engine must not be left to the end of the process: it would abort it.
        if self._measuring is not None:
            thread, stop = self._measuring
            self._measuring = None
            stop.set()
            thread.join()

    # What it says of itself

    def _present(self, state: int) -> None:
        """Publish `application` with the present state."""
        assert self._bundle is not None and self._engine is not None
        assert self._exchange is not None
        with self._publishing:
            manifest = self._served_manifest()
            if self._application is None:
                self._application = Application(
                    id=self.identifier,
                    instance=self.identity.instance,
                    started=stamp(self.identity.started),
                    bundle=manifest.name,
                    bundle_sha256=self._bundle.sha256,
                    family=manifest.family,
                    engine=self._engine.name,
                )
            application = self._application
            application.sub_networks = sub_network_messages(manifest)
            application.header.stamp = self.get_clock().now().to_msg()
            application.state = state
            # Thousands of points: made into a message once, not at each switch.
            if self._points is not self._presented_points:
                points = self._points
                if points is not None and self._refused:
                    points = points.only([entry.id for entry in manifest.sub_networks])
                application.operating_points = operating_points_message(points, manifest)
                self._presented_points = self._points
            application.sub_network = self._exchange.serving.sub_network.id
            application.processor = self._processor
            self._application_publisher.publish(application)

    def _status(self, event: int, image: Header | None = None) -> InferenceStatus:
        assert self._exchange is not None
        status = InferenceStatus(
            application=self.identifier,
            instance=self.identity.instance,
            event=event,
            sub_network=self._exchange.serving.sub_network.id,
            processor=self._processor,
            busy=named_values(self._busy),
            age=math.nan,
            simulated=self._pacer is not None,
        )
        status.header.stamp = self.get_clock().now().to_msg()
        if image is not None:
            status.header.frame_id = image.frame_id
            status.image_stamp = image.stamp
        worker = self._worker
        state, since = (WorkerState.STOPPED, 0.0) if worker is None else worker.state()
        status.worker, status.worker_since = int(state), since
        if worker is not None:
            status.received = self._received
            status.served = worker.served
            status.replaced = worker.mailbox.replaced
            status.rejected = worker.rejected + self._rejected_on_arrival
        (
            status.switch_manager,
            status.switch_sequence,
            status.switch_result,
            _,
        ) = self._last_switch
        return status

    def _on_heartbeat(self) -> None:
        self._status_publisher.publish(self._status(InferenceStatus.EVENT_HEARTBEAT))
        self._yield_to_namesake()
        if time.monotonic() > self._measure_at:
            self._measure('')

    def _on_application(self, message: Application) -> None:
        """Notice another node of the same name."""
        if message.id != self.identifier or message.instance == self.identity.instance:
            return
        departed = message.state == Application.STATE_DEPARTED
        self._namesake = (
            None if departed else Identity(message.instance, nanoseconds(message.started))
        )
        self._yield_to_namesake()

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
        return self.image_topic if not self.parameters.problems else ''

    def diagnose(self) -> Sequence[Diagnostic]:
        """Return the state of the camera and of the worker."""
        worker = self._worker
        if worker is None or self._exchange is None:
            return ()
        return (
            self._diagnose_camera(),
            self._diagnose_worker(worker),
            self._diagnose_sub_networks(),
        )

    def _diagnose_camera(self) -> Diagnostic:
        worker = self._worker
        assert worker is not None
        rejected = worker.rejected + self._rejected_on_arrival
        values = {
            'topic': self.image_topic,
            'received': self._received,
            'served': worker.served,
            'replaced': worker.mailbox.replaced,
            'rejected': rejected,
        }
        silence = time.monotonic() - self._last_arrival
        if self._image_subscription is None:
            return Diagnostic('camera', Level.OK, 'not subscribed: nobody wants results', values)
        if silence > SILENCE:
            return Diagnostic(
                'camera',
                Level.WARNING,
                f'no image on {self.image_topic!r} for {silence:.0f} s. Check that the camera '
                'publishes there, and that both use the same DDS profile.',
                values,
            )
        if self._last_problem:
            problem, self._last_problem = self._last_problem, ''
            return Diagnostic('camera', Level.WARNING, f'a frame was rejected: {problem}', values)
        return Diagnostic('camera', Level.OK, 'images arrive', values)

    def _diagnose_sub_networks(self) -> Diagnostic:
        refused = dict(self._refused)
        assert self._bundle is not None
        values = {'in the bundle': len(self._bundle.manifest.sub_networks), **refused}
        if refused:
            return Diagnostic(
                'sub-networks',
                Level.ERROR,
                f'not served: {", ".join(sorted(refused))}. {next(iter(refused.values()))}',
                values,
            )
        if not self._bundle.responses:
            return Diagnostic('sub-networks', Level.OK, 'no responses recorded', values)
        return Diagnostic('sub-networks', Level.OK, 'answer as recorded', values)

    def _diagnose_worker(self, worker: FrameWorker) -> Diagnostic:
        assert self._exchange is not None
        state, since = worker.state()
        values = {
            'sub_network': self._exchange.serving.sub_network.id,
            'processor': self._processor,
            'platform': self._platform or 'none',
            'state': state.name.lower(),
            'overruns of the simulated board': self._overruns,
        }
        if state is WorkerState.STUCK:
            return Diagnostic(
                'worker',
                Level.ERROR,
                f'one frame has been in work for {since:.1f} s. If the processor hangs, '
                'restart this node.',
                values,
            )
        return Diagnostic('worker', Level.OK, f'serves {values["sub_network"]}', values)


def _most_accurate_first(bundle: Bundle) -> list[SubNetwork]:
    return sorted(bundle.manifest.sub_networks, key=lambda entry: -entry.accuracy)


def main() -> int:
    """Run the node as a process."""
    return run(InferenceNode)
