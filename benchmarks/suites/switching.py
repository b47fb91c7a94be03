# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A switch in process, without ROS: what it takes, and what it costs the frames around it."""

from __future__ import annotations

from pathlib import Path
import tempfile
import time

import numpy as np
from report import Report, figure

from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.engines.exchange import SubNetworkExchange
from dynamic_dnn_ros.engines.preprocessing import RawPicture, square
from dynamic_dnn_ros.engines.registry import create_engine
from support.bundles import make_bundle
from support.images import noise
from support.shared_data import REPOSITORY, SHIPPED_BUNDLE

RUNS = 7
FRAMES = 300
"""In each run, with a switch before each frame and without any."""


def run(runs: int) -> Report:
    """Serve the same frames with and without switches, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        path = REPOSITORY / 'models' / SHIPPED_BUNDLE
        if not (path / 'manifest.json').exists():
            path = make_bundle(Path(folder) / 'synthetic').folder
        bundle = read_bundle(path)
    picture = RawPicture('rgb8', 640, 480, 640 * 3, noise(640, 480, 0).tobytes())
    preparation: list[float] = []
    exchange_times: list[float] = []
    ratios: list[float] = []
    latencies: dict[str, list[float]] = {}
    for _ in range(runs):
        preparation.append(_preparation(bundle))
        exchange = _exchange(bundle)
        try:
            taken, ratio = _serve(exchange, bundle, picture)
            exchange_times.append(taken)
            ratios.append(ratio)
            for prepared in exchange.prepared():
                name = prepared.sub_network.id
                latencies.setdefault(name, []).append(_latency(prepared, bundle, picture))
        finally:
            exchange.close()
    figures = [
        figure('preparation of one sub-network, median', preparation, 's'),
        figure('exchange of a prepared sub-network, median', exchange_times, 's'),
        figure('latency of a frame right after a switch against once more', ratios, 'ratio'),
        *(
            figure(f'{name}: preprocessing and inference, median', values, 's')
            for name, values in latencies.items()
        ),
    ]
    configuration = {
        'bundle': bundle.manifest.name,
        'engine': 'torch',
        'threads': 1,
        'frames': FRAMES,
        'image': '640x480 rgb8',
    }
    return Report('switching', 'measured', configuration, figures)


def _preparation(bundle: Bundle) -> float:
    engine = create_engine('torch', bundle, threads=1)
    times = []
    for sub_network in bundle.manifest.sub_networks:
        begun = time.perf_counter()
        engine.prepare(sub_network, 'cpu')
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def _exchange(bundle: Bundle) -> SubNetworkExchange:
    exchange = SubNetworkExchange(create_engine('torch', bundle, threads=1), bundle.manifest)
    exchange.start(bundle.manifest.sub_networks[0].id, 'cpu')
    exchange.prepared()
    return exchange


def _fail(error: Exception) -> None:
    raise error


def _serve(
    exchange: SubNetworkExchange, bundle: Bundle, picture: RawPicture
) -> tuple[float, float]:
    """Return the median time of an exchange, and latencies with switches against those without."""
    identifiers = [entry.id for entry in bundle.manifest.sub_networks]
    preprocessing = bundle.manifest.preprocessing
    generator = np.random.default_rng(0)
    order = [str(name) for name in generator.choice(identifiers, FRAMES)]
    prepared = {one.sub_network.id: one for one in exchange.prepared()}
    exchanges, with_switch, without = [], [], []
    for name in order:
        # The same frame and sub-network both times: once just switched to, once in its place.
        begun = time.perf_counter()
        exchange.request(name, 'cpu', lambda _: None, _fail)
        exchanges.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        serving = exchange.serving
        serving.run(square(picture, serving.sub_network.resolution, preprocessing))
        with_switch.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        serving = prepared[name]
        serving.run(square(picture, serving.sub_network.resolution, preprocessing))
        without.append(time.perf_counter() - begun)
    return float(np.median(exchanges)), float(np.median(with_switch) / np.median(without))


def _latency(prepared: PreparedSubNetwork, bundle: Bundle, picture: RawPicture) -> float:
    times = []
    for _ in range(50):
        begun = time.perf_counter()
        prepared.run(
            square(picture, prepared.sub_network.resolution, bundle.manifest.preprocessing)
        )
        times.append(time.perf_counter() - begun)
    return float(np.median(times))
