# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an application learns of the platform it runs on: profile, pace, or neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import math
import random
import threading
import time

from dynamic_dnn_ros.bundles.completeness import is_older_than_weights
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.msg import SystemLoad
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode, NodeError
from dynamic_dnn_ros.nodes.inference.parameters import AUTO, NONE
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, MeasuredNetwork, load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.platforms.load_source import LoadSource
from dynamic_dnn_ros.profiling.measurements import networks_of_profile
from dynamic_dnn_ros.profiling.simulated import network_cost, simulated_profile
from dynamic_dnn_ros.profiling.startup import measure
from dynamic_dnn_ros.serving.pacing import BoardModel, BoardState, BoardWork, Pacer

#: s to wait for the platform before the sub-networks are measured instead.
PLATFORM_TIMEOUT = 3.0


class _SimulatedBoard:
    """The pacers of the applications of a node, each with jitter of its own."""

    def __init__(
        self,
        work: BoardModel,
        jitter: Callable[[random.Random], float],
        stage_work: Callable[[SubNetwork, int], float],
        seed: int,
    ) -> None:
        """
        Begin without a state: what a frame takes is not known yet.

        :param jitter: as `BoardModel.jitter`
        :param stage_work: as parameter `work` of `Pacer`
        """
        self._work = work
        self._jitter = jitter
        self._stage_work = stage_work
        self._seed = seed
        self._lock = threading.Lock()
        self._pacers: dict[str, Pacer] = {}
        self._state: tuple[Mapping[str, float], Mapping[str, float]] | None = None

    def pacer(self, application: str) -> Pacer:
        """Return the pacer of an application; may be called from any thread."""
        with self._lock:
            if application not in self._pacers:
                generator = random.Random(f'{self._seed} {application}')
                pacer = Pacer(self._work, lambda: self._jitter(generator), self._stage_work)
                self._pacers[application] = pacer
                self._tell(application)
            return self._pacers[application]

    def update(self, frequencies: Mapping[str, float], slow_downs: Mapping[str, float]) -> None:
        """Take over granted frequencies, Hz a domain, and what slows each application down."""
        with self._lock:
            self._state = frequencies, slow_downs
            for application in self._pacers:
                self._tell(application)

    def _tell(self, application: str) -> None:
        if self._state is not None:
            frequencies, slow_downs = self._state
            state = BoardState(frequencies, slow_downs.get(application, 1.0))
            self._pacers[application].update(state)


class PlatformLink:
    """
    Listens to the platform, and finds the operating points of the bundle on it.

    `platform` is its id, empty while none is known; `points` are None until they are known.
    `processor` is the one to begin with there.
    """

    def __init__(
        self,
        node: ManagedNode,
        served: ServedBundle,
        on_points: Callable[[], None],
        on_pacing: Callable[[], None],
    ) -> None:
        """
        Decide by parameter `platform`; `begin` begins.

        :param served: by one stream of the node
        :param on_points: called when `points` are others, from any thread
        :param on_pacing: called when `pacing` and `processor` may be others
        """
        self._node = node
        self._parameters = node.parameters
        self._served = served
        self._on_points = on_points
        self._on_pacing = on_pacing
        self._board: _SimulatedBoard | None = None
        # Held where points are exchanged: by who learns of a platform, and by who measures.
        self._exchanging = threading.Lock()
        self._measuring: tuple[threading.Thread, threading.Event] | None = None
        self._measure_at = math.inf
        self._source = LoadSource()
        self.platform = ''
        self.points: OperatingPoints | None = None
        self.processor = served.engine.processors[0]

    @property
    def simulated(self) -> bool:
        """Tell whether frames are held back to the pace of a simulated board."""
        return self._board is not None

    def pacing(self, application: str, processor: str) -> tuple[Pacer, str] | None:
        """
        Return what holds the frames of an application back, and its processor.

        None on a real platform.
        """
        board = self._board
        return None if board is None else (board.pacer(application), processor)

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the processors that a switch may name."""
        if self._board is not None and self.points is not None:
            return self.points.processors
        return self._served.engine.processors

    def least_latency(self, sub_network: SubNetwork, processor: str) -> float | None:
        """Return the mean latency of a sub-network at its fastest point, s; None: not known."""
        points = self.points
        return None if points is None else points.least_latency(sub_network.id, processor)

    def batch_latency(self, sub_network: SubNetwork, processor: str) -> tuple[float, ...]:
        """Return what 1, 2, ... frames take together, by what one takes; empty: not known."""
        points = self.points
        if points is None or processor not in points.processors:
            return ()
        return points.batch_multiples(sub_network.id)

    def choose_processor(self) -> str:
        """
        Choose the processor to begin with, by parameter `processor`.

        :raises NodeError: when neither the engine nor a profile knows it
        """
        processor: str = self._parameters['processor']
        known = set(self._served.engine.processors)
        for profile in self._served.bundle.profiles:
            known.update(profile.processors)
        if self._parameters['platform'].endswith(SIMULATED_SUFFIX):
            known.update(load_board(self._parameters['platform']).processors)
        if processor and processor not in known:
            raise NodeError(
                f"parameter 'processor' is {processor!r}, which neither the engine nor a profile "
                f'knows. Set it to one of: {", ".join(sorted(known))}, or leave it empty.'
            )
        self.processor = processor or self._served.engine.processors[0]
        return self.processor

    def begin(self) -> None:
        """Wait for the platform, or measure at once where there is none."""
        if self._parameters['platform'] == NONE:
            self._measure('')
        else:
            self._measure_at = time.monotonic() + PLATFORM_TIMEOUT

    def tick(self) -> None:
        """Wait no longer for a platform that does not come."""
        if time.monotonic() > self._measure_at:
            self._measure('')

    def end(self) -> None:
        """Measure no more, and wait for what is in work."""
        self._cease()
        # A thread inside an engine must not be left to the end of the process: it would abort it.
        if self._measuring is not None:
            self._measuring[0].join()
            self._measuring = None

    def _cease(self) -> None:
        """Have no measurement that runs come to anything, without waiting for it."""
        if self._measuring is not None:
            with self._exchanging:
                self._measuring[1].set()

    def receive(self, message: SystemLoad) -> None:
        """Take what the platform says of itself."""
        if self._parameters['platform'] not in (AUTO, message.platform):
            return
        if not self._source.takes(
            message.platform,
            message.instance,
            message.monotonic_time,
            message.period,
            time.monotonic(),
        ):
            self._node.message_counts.leave_out('system_load', 'another platform, or out of order')
            return
        if self.platform != message.platform:
            try:
                self._learn(message.platform, message.kind == SystemLoad.KIND_SIMULATED)
            except PlatformError as error:
                self._node.get_logger().error(f'Frames are not paced: {error}')
        if self._board is not None:
            self._board.update(
                {domain.name: domain.granted for domain in message.domains},
                {row.name: row.value for row in message.slow_downs},
            )

    def _learn(self, platform: str, simulated: bool) -> None:
        bundle = self._served.bundle
        # Not waited for: a sub-network may be in preparation for it, and frames would wait too.
        self._cease()
        self.platform = platform
        self._measure_at = math.inf
        self._board = None
        hardware = hardware_name()
        engine = self._served.engine
        points = bundle.profile(platform, hardware, (engine.name, engine.precision.value))
        if points is None:
            self._say_unused(platform, hardware)
        if simulated:
            self._begin_pacing(platform, points)
            if points is None:
                points = simulated_profile(
                    load_board(platform), platform, bundle.manifest.sub_networks
                )
        if points is None:
            self._on_pacing()
            self._measure(platform)
            return
        self.points = points
        if simulated and not self._parameters['processor']:
            self.processor = points.processors[0]
        self._on_pacing()
        self._on_points()

    def _say_unused(self, platform: str, hardware: str) -> None:
        """Say why the profiles that the bundle has of this platform are not used."""
        bundle, engine = self._served.bundle, self._served.engine
        for profile in bundle.profiles:
            if profile.platform != platform:
                continue
            if is_older_than_weights(profile, bundle.manifest):
                reason = (
                    'was made with other weights than the bundle has now, so its sub-networks '
                    'may be others'
                )
            else:
                reason = (
                    f'was measured on {profile.hardware!r} with {profile.engine or "any engine"} '
                    f'{profile.precision}; this is {hardware!r} with {engine.name} '
                    f'{engine.precision.value}'
                )
            self._node.get_logger().warning(
                f'The profile of platform {platform!r} in bundle {bundle.manifest.name!r} '
                f'{reason}. It is not used. Make one here: dynamic-dnn profile {bundle.folder} '
                f'--platform {platform} --engine {engine.name} --precision '
                f'{engine.precision.value}'
            )

    def _begin_pacing(self, platform: str, points: OperatingPoints | None) -> None:
        board = load_board(platform)
        measured: Mapping[str, MeasuredNetwork] = {}
        if points is not None and points.measured_elsewhere:
            sub_networks = self._served.bundle.manifest.sub_networks
            measured = networks_of_profile(board, sub_networks, points)

        def work(
            sub_network: SubNetwork, processor: str, frequencies: Mapping[str, float]
        ) -> BoardWork:
            cost = measured.get(sub_network.id) or network_cost(sub_network)
            parts = board.parts(cost, processor, frequencies)
            return BoardWork(parts.total, parts.busy())

        seed: int = self._parameters['seed']
        self._board = _SimulatedBoard(work, board.jitter, self._served.work, seed)
        self._node.get_logger().info(
            f'{platform} is simulated: each frame lasts as long as that board would need'
        )

    def _measure(self, platform: str) -> None:
        """Measure the sub-networks in the background, each once it is prepared."""
        self._measure_at = math.inf
        self._cease()
        self.points = None
        before, stop = self._measuring, threading.Event()

        def work() -> None:
            if before is not None:
                before[0].join()
            processor = self._served.engine_processor(self.processor)
            try:
                points = measure(platform, self._served.exchange.each(processor), stop.is_set)
            except Exception as error:  # an engine's own errors are of any type
                text = str(error) if isinstance(error, EngineError) else repr(error)
                self._node.get_logger().error(f'Latencies could not be measured: {text}')
                return
            with self._exchanging:
                if points is None or stop.is_set():
                    return
                self.points = points
            self._on_points()
            of = (
                f'platform {platform!r}'
                if platform
                else 'this computer (no platform node is heard)'
            )
            self._node.get_logger().info(
                f'No profile for {of}: measured each sub-network at start.'
            )

        thread = threading.Thread(target=work, name='measure')
        self._measuring = (thread, stop)
        thread.start()
