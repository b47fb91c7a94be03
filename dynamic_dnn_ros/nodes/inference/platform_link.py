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
from dynamic_dnn_ros.serving.pacing import BoardState, BoardWork, Pacer

#: s to wait for the platform before the sub-networks are measured instead.
PLATFORM_TIMEOUT = 3.0


class PlatformLink:
    """
    Listens to the platform, and finds the operating points of the application on it.

    `platform` is its id, empty while none is known; `points` are None until they are known.
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

        :param on_points: called when `points` are others, from any thread
        :param on_pacing: called when `pacing` is another
        """
        self._node = node
        self._parameters = node.parameters
        self._served = served
        self._on_points = on_points
        self._on_pacing = on_pacing
        self._pacer: Pacer | None = None
        # Held where points are exchanged: by who learns of a platform, and by who measures.
        self._exchanging = threading.Lock()
        self._measuring: tuple[threading.Thread, threading.Event] | None = None
        self._measure_at = math.inf
        self._source = LoadSource()
        self.platform = ''
        self.points: OperatingPoints | None = None

    @property
    def simulated(self) -> bool:
        """Tell whether frames are held back to the pace of a simulated board."""
        return self._pacer is not None

    @property
    def pacing(self) -> tuple[Pacer, str] | None:
        """Return what holds frames back and the board's processor; None on a real platform."""
        return None if self._pacer is None else (self._pacer, self._served.processor)

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the processors that a switch may name."""
        if self._pacer is not None and self.points is not None:
            return self.points.processors
        return self._served.engine.processors

    def first_processor(self) -> str:
        """
        Return the processor to begin with, by parameter `processor`.

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
        return processor or self._served.engine.processors[0]

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
            return
        if self.platform != message.platform:
            try:
                self._learn(message.platform, message.kind == SystemLoad.KIND_SIMULATED)
            except PlatformError as error:
                self._node.get_logger().error(f'Frames are not paced: {error}')
        if self._pacer is not None:
            self._pacer.update(
                BoardState(
                    {domain.name: domain.granted for domain in message.domains},
                    {row.name: row.value for row in message.slow_downs}.get(
                        self._node.identifier, 1.0
                    ),
                )
            )

    def _learn(self, platform: str, simulated: bool) -> None:
        bundle = self._served.bundle
        # Not waited for: a sub-network may be in preparation for it, and frames would wait too.
        self._cease()
        self.platform = platform
        self._measure_at = math.inf
        self._pacer = None
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
            self._served.processor = points.processors[0]
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
        generator = random.Random(f'{self._parameters["seed"]} {self._node.identifier}')

        def work(
            sub_network: SubNetwork, processor: str, frequencies: Mapping[str, float]
        ) -> BoardWork:
            cost = measured.get(sub_network.id) or network_cost(sub_network)
            parts = board.parts(cost, processor, frequencies)
            return BoardWork(parts.total, parts.busy())

        self._pacer = Pacer(work, lambda: board.jitter(generator), self._served.work)
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
            processor = self._served.engine_processor(self._served.processor)
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
            self._node.get_logger().info(
                f'no profile for platform {platform!r}: measured each sub-network at start'
            )

        thread = threading.Thread(target=work, name='measure')
        self._measuring = (thread, stop)
        thread.start()
