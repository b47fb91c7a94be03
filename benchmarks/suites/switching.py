# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a switch takes, and what it costs the frames around it.

Exchanges of the six published levels of Dynamic-OFA, next to `get_active_subnet` of the authors'
code of Once-for-All where `DYNAMIC_DNN_OFA_SOURCE` names it; then streams of 640x480 at 60 Hz with
the bundle that ships, through the worker alone and through the node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
import tempfile
import threading
import time

import numpy as np
from report import Figure, Report, figure
import torch

from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.engines.registry import create_engine, installed_engines
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from dynamic_dnn_ros.nodes.common.memory import Collections
from dynamic_dnn_ros.pictures.scaling import RawPicture
from dynamic_dnn_ros.serving.exchange import SubNetworkExchange
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame
from dynamic_dnn_ros.serving.server import Server
from dynamic_dnn_ros.serving.stream import FrameStream
from dynamic_dnn_ros.tasks.contract import Limits
from suites.engines import LAYOUT, published_levels
from support import once_for_all
from support.bundles import make_bundle
from support.images import noise
from support.shared_data import REPOSITORY, SHIPPED_BUNDLE
from support.stream import run_stream

RUNS = 3
EXCHANGES = 150
"""In each run, of two levels that are ready, drawn at random."""

RATE = 60.0
SEGMENT = 4.0
"""s; in each run a stream of this length without switches, and one with them of each kind."""

PERIOD = 0.05
"""s between two switches to a sub-network that is ready."""

UNPREPARED_PERIOD = 0.5
"""s between two switches to a sub-network that has to be prepared."""

ROS_FRAMES = 900
"""Once without switches, with one each `PERIOD` and with one each `UNPREPARED_PERIOD`."""

ROS_BEGINNING = 3.0
"""s of each stream through the node that are left out of the gaps: it measures latencies then."""

TIMEOUT = 120.0


def run(runs: int) -> Report:
    """Exchange, then stream; what is compared takes turns."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    not_measured: list[str] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            levels, _, _ = published_levels(Path(folder) / 'levels')
            figures = _peer(levels, runs, not_measured)
            for engine in installed_engines():
                figures += _exchanges(engine, levels, runs)
            path = REPOSITORY / 'models' / SHIPPED_BUNDLE
            if not (path / 'manifest.json').exists():
                path = make_bundle(Path(folder) / 'synthetic').folder
            bundle = read_bundle(path)
            for engine in installed_engines():
                figures += _streams(engine, bundle, runs)
            figures += _through_the_node(path, bundle)
    finally:
        torch.set_num_threads(threads)
    configuration = {
        'levels': LAYOUT,
        'bundle': bundle.manifest.name,
        'engines': list(installed_engines()),
        'engine_of_the_node': _engine_of_the_node(),
        'threads': 1,
        'exchanges': EXCHANGES,
        'rate': RATE,
        'image': '640x480 rgb8',
        'not_measured': not_measured,
    }
    return Report('switching', 'measured', configuration, figures)


def _fail(error: Exception) -> None:
    raise error


# Exchanges


def _peer(bundle: Bundle, runs: int, not_measured: list[str]) -> list[Figure]:
    missing = once_for_all.missing_code()
    if missing is not None:
        not_measured.append(f'`get_active_subnet` of Once-for-All: {missing}')
        return []
    theirs = once_for_all.authors_network(once_for_all.WIDTHS[LAYOUT], seed=0)
    ours = OfaMobileNetV3.from_layout(LAYOUT)
    configurations = [
        ours.configuration(entry.configuration) for entry in bundle.manifest.sub_networks
    ]
    medians = []
    for _ in range(runs):
        times = []
        for configuration in configurations:
            begun = time.perf_counter()
            once_for_all.activate(theirs, configuration)
            theirs.get_active_subnet()
            times.append(time.perf_counter() - begun)
        medians.append(float(np.median(times)))
    return [figure("switch of the authors' code, `get_active_subnet`, median", medians, 's')]


@dataclass
class _Exchanges:
    """
    Seconds of each exchange, and of the output that follows.

    `first` with the exchange, `after_another` where another one ran before but none was exchanged,
    so that the weights are not in the processor's cache either, `again` right after itself; each
    of the sub-network that `names` has in its place.
    """

    names: list[str] = field(default_factory=list)
    exchange: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    after_another: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)

    def beyond(self, taken: list[float], quantile: float) -> float:
        """
        Return by how much more a quantile of these lies above inference alone than `again` does.

        Both count from the median of `again` of the same sub-network: some take three times as
        long as others, whose own switches would not be seen among all of them.
        """
        names = np.array(self.names)
        alone = np.empty(len(names))
        for name in set(self.names):
            alone[names == name] = np.median(np.array(self.again)[names == name])
        with_it, without = (
            np.percentile(np.array(each) - alone, quantile) for each in (taken, self.again)
        )
        return float(with_it - without)


def _exchanges(engine_name: str, bundle: Bundle, runs: int) -> list[Figure]:
    preparation: list[float] = []
    exchange_99: list[float] = []
    later: dict[int, list[float]] = {50: [], 99: []}
    cold: list[float] = []
    pictures = {entry.id: probe_picture(0, entry.size) for entry in bundle.manifest.sub_networks}
    for turn in range(runs):
        engine = create_engine(engine_name, bundle, 1)
        first, *others = (entry.id for entry in bundle.manifest.sub_networks)
        exchange = SubNetworkExchange(engine, bundle.manifest)
        try:
            exchange.start(first, 'cpu')
            begun = time.perf_counter()
            _wait_until_idle(exchange)
            preparation.append((time.perf_counter() - begun) / len(others))
            times = _exchanged(exchange, pictures, turn)
        finally:
            exchange.close()
        exchange_99.append(float(np.percentile(times.exchange, 99)))
        for quantile, values in later.items():
            values.append(times.beyond(times.first, quantile))
        cold.append(times.beyond(times.after_another, 50))
    return [
        figure(f'{engine_name}: preparation of a level, mean', preparation, 's'),
        figure(
            f'{engine_name}: exchange of two that are ready, 99 %', exchange_99, 's', '<= 0.0001'
        ),
        *(
            figure(
                f'{engine_name}: switch to first output, less inference alone, {quantile} %',
                values,
                's',
                '<= 0.001',
            )
            for quantile, values in later.items()
        ),
        figure(
            f'{engine_name}: of that without a switch, only since another one ran before, 50 %',
            cold,
            's',
        ),
    ]


def _exchanged(
    exchange: SubNetworkExchange, pictures: dict[str, np.ndarray], seed: int
) -> _Exchanges:
    generator = np.random.default_rng(seed)
    times = _Exchanges()
    for _ in range(EXCHANGES):
        with exchange.lease() as another:
            pass
        others = [name for name in pictures if name != another.sub_network.id]
        name = str(generator.choice(others))
        times.names.append(name)
        begun = time.perf_counter()
        exchange.request(name, 'cpu', lambda _: None, _fail)
        times.exchange.append(time.perf_counter() - begun)
        with exchange.lease() as serving:
            serving.run(pictures[name])
        times.first.append(time.perf_counter() - begun)
        for wanted in (times.again, times.after_another):
            if wanted is times.after_another:
                another.run(pictures[another.sub_network.id])
            begun = time.perf_counter()
            serving.run(pictures[name])
            wanted.append(time.perf_counter() - begun)
    return times


def _wait_until_idle(exchange: SubNetworkExchange) -> None:
    if not exchange.wait_until_idle(TIMEOUT):
        raise TimeoutError(f'not all sub-networks were prepared within {TIMEOUT:g} s')


# Streams


@dataclass
class _Segment:
    """A stream: the largest gap between two results, s, and the frames that were not served."""

    largest_gap: float
    lost: int
    switches: int


def _streams(engine_name: str, bundle: Bundle, runs: int) -> list[Figure]:
    """Return what switches cost the frames around them, in the worker without ROS."""
    found: dict[str, list[_Segment]] = {'none': [], 'ready': [], 'unprepared': []}
    for turn in range(runs):
        engine = create_engine(engine_name, bundle, 1)
        for kind, budget, period in (
            ('none', None, None),
            ('ready', None, PERIOD),
            # Nothing but the one that serves fits.
            ('unprepared', 1, UNPREPARED_PERIOD),
        ):
            exchange = SubNetworkExchange(engine, bundle.manifest, budget)
            try:
                exchange.start(bundle.manifest.sub_networks[0].id, 'cpu')
                _wait_until_idle(exchange)
                Collections().leave_out(True, time.monotonic())  # as the process of a node does
                found[kind].append(_segment(exchange, bundle, period, turn))
            finally:
                exchange.close()

    def ratios(kind: str) -> list[float]:
        pairs = zip(found[kind], found['none'])
        return [one.largest_gap / other.largest_gap for one, other in pairs]

    def lost(kind: str) -> list[float]:
        return [one.lost - other.lost for one, other in zip(found[kind], found['none'])]

    what = {
        'ready': f'a switch each {PERIOD:g} s to one that is ready',
        'unprepared': f'a switch each {UNPREPARED_PERIOD:g} s to one that is not',
    }
    return [
        figure(
            f'{engine_name}, {RATE:g} Hz: largest gap without switches',
            [segment.largest_gap for segment in found['none']],
            's',
        ),
        *(
            row
            for kind, bar in (('ready', '<= 1.2'), ('unprepared', '<= 1.5'))
            for row in (
                figure(
                    f'{engine_name}, {what[kind]}: largest gap against none',
                    ratios(kind),
                    'ratio',
                    bar,
                ),
                figure(
                    f'{engine_name}, {what[kind]}: frames lost beyond those without switches',
                    lost(kind),
                    'frames',
                    '<= 0' if kind == 'ready' else None,
                ),
                figure(
                    f'{engine_name}, {what[kind]}: switches carried out',
                    [segment.switches for segment in found[kind]],
                    'switches',
                ),
            )
        ),
    ]


def _segment(
    exchange: SubNetworkExchange, bundle: Bundle, period: float | None, seed: int
) -> _Segment:
    picture = RawPicture('rgb8', 640, 480, 640 * 3, noise(640, 480, 0).tobytes())
    results: list[float] = []
    rejected: list[str] = []

    def on_served(served: ServedFrame) -> None:
        results.append(time.monotonic())

    server = Server()
    camera = FrameStream(
        'camera',
        exchange,
        bundle.manifest.preprocessing,
        bundle.manifest.make_task(),
        bundle.manifest.labels,
        Limits,
        stuck_after=60.0,
        reduced_decoding=False,
        on_served=on_served,
        on_rejected=lambda frame, reason: rejected.append(reason),
    )
    server.add(camera)
    stop = threading.Event()
    switches: list[str] = []
    switching = threading.Thread(
        target=_switch, args=(exchange, bundle, period, seed, stop, switches)
    )
    switching.start()
    due = time.monotonic()
    frames = int(SEGMENT * RATE)
    for _ in range(frames):
        time.sleep(max(0.0, due - time.monotonic()))
        camera.put(CameraFrame(picture, time.monotonic(), None))
        due += 1 / RATE
    time.sleep(2 / RATE)
    stop.set()
    switching.join()
    server.close(TIMEOUT)
    if rejected:
        raise RuntimeError(rejected[0])
    return _Segment(float(np.diff(results).max()), frames - len(results), len(switches))


def _switch(
    exchange: SubNetworkExchange,
    bundle: Bundle,
    period: float | None,
    seed: int,
    stop: threading.Event,
    switches: list[str],
) -> None:
    generator = np.random.default_rng(seed)
    names = [entry.id for entry in bundle.manifest.sub_networks]
    while not stop.wait(period):
        present = exchange.serving.sub_network.id
        name = str(generator.choice([other for other in names if other != present]))
        ready = threading.Event()
        exchange.request(name, 'cpu', lambda _, ready=ready: ready.set(), lambda error: None)
        if ready.wait(TIMEOUT):
            switches.append(name)


# Through the node


def _engine_of_the_node() -> str:
    installed = installed_engines()
    return 'onnxruntime' if 'onnxruntime' in installed else installed[0]


def _through_the_node(path: Path, bundle: Bundle) -> list[Figure]:
    names = [entry.id for entry in bundle.manifest.sub_networks]
    parameters = {'engine': _engine_of_the_node()}

    def stream(switches: int, budget: int) -> Callable[[], tuple[float, int]]:
        def begin() -> tuple[float, int]:
            found = run_stream(
                path,
                names,
                ROS_FRAMES,
                RATE,
                switches,
                parameters={**parameters, 'memory_budget': budget},
            )
            return max(found.gaps(ROS_BEGINNING)), found.frames - len(found.results)

        return begin

    seconds = ROS_FRAMES / RATE
    gap, lost = stream(0, 0)()
    ready_gap, ready_lost = stream(int(seconds / PERIOD), 0)()
    new_gap, _ = stream(int(seconds / UNPREPARED_PERIOD), 1)()
    return [
        figure(f'node, {RATE:g} Hz: largest gap without switches', gap, 's'),
        figure(f'node, {RATE:g} Hz: frames lost without switches', lost, 'frames'),
        figure(
            f'node, a switch each {PERIOD:g} s to one that is ready: largest gap against none',
            ready_gap / gap,
            'ratio',
            '<= 1.2',
        ),
        figure(
            f'node, a switch each {PERIOD:g} s to one that is ready: frames lost beyond those '
            'without switches',
            ready_lost - lost,
            'frames',
            '<= 0',
        ),
        figure(
            f'node, a switch each {UNPREPARED_PERIOD:g} s to one that is not: largest gap '
            'against none',
            new_gap / gap,
            'ratio',
            '<= 1.5',
        ),
    ]
