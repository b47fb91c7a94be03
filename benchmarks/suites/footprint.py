# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Memory and start-up time of each node at work, next to a bare rclpy node.

The inference node is measured with each engine, once all sub-networks of the bundle are ready.
Resident memory (RSS) counts pages that are shared with other processes, the DDS segment for images
too; unique memory (USS) is what would come free if the process ended.
"""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time

import psutil
from report import Report, figure

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.engines.registry import create_engine, installed_engines
from dynamic_dnn_ros.msg import ManagerStatus, PerformanceTarget, TargetStatus
from support.application import Application
from support.bundles import make_bundle
from support.deployment import deployment
from support.domain import Domain
from support.images import image_message, noise
from support.process import NodeProcess
from support.shared_data import REPOSITORY, SHIPPED_BUNDLE

RUNS = 5
FRAMES = 60
BARE_NODE = Path(__file__).resolve().parents[1] / 'bare_node.py'
BARE = 'bare rclpy node'
DEFAULT_TRANSPORTS: dict[str, str | None] = dict.fromkeys(
    ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
)
MEGABYTE = 1e6


def run(runs: int) -> Report:
    """Start everything anew in each run."""
    memory: dict[str, list[float]] = {}
    start_up: dict[str, list[float]] = {}
    unique: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bundle = REPOSITORY / 'models' / SHIPPED_BUNDLE
        if not (bundle / 'manifest.json').exists():
            bundle = make_bundle(Path(folder) / 'synthetic').folder
        for _ in range(runs):
            for name, environment in (
                (BARE, DEFAULT_TRANSPORTS),
                (f'{BARE} with the DDS profile for images', {}),
            ):
                bare_memory, bare_start = _bare_node(environment)
                memory.setdefault(name, []).append(bare_memory)
                start_up.setdefault(name, []).append(bare_start)
            _nodes_at_work(bundle, memory, start_up)
            for engine in installed_engines():
                _all_prepared(bundle, engine, memory, unique)
    bars = {
        'manager_node': '<= 100',
        'platform_node': '<= 100',
        _all_prepared_name('onnxruntime'): '<= 250',
    }
    figures = [
        figure(
            f'{name}: resident memory',
            [value / MEGABYTE for value in values],
            'MB',
            bars.get(name),
        )
        for name, values in memory.items()
    ]
    figures += [
        figure(f'{name}: unique memory', [value / MEGABYTE for value in values], 'MB')
        for name, values in unique.items()
    ]
    bare = memory[BARE]
    figures += [
        figure(
            f'{name}: memory against a {BARE}',
            [one / other for one, other in zip(values, bare)],
            'ratio',
        )
        for name, values in memory.items()
        if name != BARE
    ]
    figures += [
        figure(f'{name}: start to active', values, 's') for name, values in start_up.items()
    ]
    configuration = {
        'platform': 'xavier_nx_simulated',
        'bundle': bundle.name,
        'frames': FRAMES,
        'target': 'latency 0.5 s',
    }
    return Report('footprint', 'measured', configuration, figures)


def _bare_node(environment: Mapping[str, str | None]) -> tuple[float, float]:
    with Domain():
        variables = {**os.environ, **environment}
        kept = {name: value for name, value in variables.items() if value is not None}
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, str(BARE_NODE)], stdout=subprocess.PIPE, env=kept
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == b'spins'
            started = time.monotonic() - begun
            time.sleep(2.0)
            return float(psutil.Process(process.pid).memory_info().rss), started
        finally:
            process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                # rclpy's own handler sometimes misses a signal that comes between two callbacks.
                process.kill()
                process.wait()


def _nodes_at_work(
    bundle: Path, memory: dict[str, list[float]], start_up: dict[str, list[float]]
) -> None:
    nodes: list[NodeProcess] = []
    with deployment() as (graph, start):

        def begin(name: str, **options: object) -> NodeProcess:
            nodes.append(start(name, **options))
            graph.wait_for_state(nodes[-1].full_name, 'active')
            start_up.setdefault(name, []).append(time.monotonic() - nodes[-1].started)
            return nodes[-1]

        begin('platform_node', parameters={'platform': 'xavier_nx_simulated'})
        begin('manager_node')
        application = Application(graph, begin, bundle, platform='auto')
        statuses = graph.collect(ManagerStatus, '/dynamic_dnn/manager_status')
        targets = graph.publisher(PerformanceTarget, '/dynamic_dnn/performance_target')
        graph.wait_for_subscriptions(targets)
        targets.publish(PerformanceTarget(application=application.id, latency=0.5))
        for index in range(FRAMES):
            application.serve(image_message(noise(640, 480, index)))
        statuses.wait_for(
            lambda status: any(
                target.state in (TargetStatus.STATE_MET, TargetStatus.STATE_MISSED)
                for target in status.targets
            ),
            30.0,
        )
        for node in nodes:
            memory.setdefault(node.name, []).append(float(node.resident_memory()))


def _all_prepared_name(engine: str) -> str:
    return f'inference_node with all sub-networks ready, {engine}'


def _all_prepared(
    bundle: Path, engine: str, memory: dict[str, list[float]], unique: dict[str, list[float]]
) -> None:
    """Measure an inference node once it has prepared all and served each of them."""
    opened = read_bundle(bundle)
    names = [entry.id for entry in opened.manifest.sub_networks]
    # Where the bundle lacks graphs, they are exported once and kept: that is no part of it.
    create_engine(engine, opened, 1).prepare(opened.manifest.sub_networks[0], 'cpu').close()
    with deployment() as (graph, start):
        application = Application(
            graph, start, bundle, engine=engine, platform='none', memory_budget=0
        )
        for index, name in enumerate(names):
            application.switch(name)
            application.serve(image_message(noise(640, 480, index)))
        for index in range(FRAMES):
            application.serve(image_message(noise(640, 480, index)))
        described = psutil.Process(application.process.pid).memory_full_info()
        memory.setdefault(_all_prepared_name(engine), []).append(float(described.rss))
        unique.setdefault(_all_prepared_name(engine), []).append(float(described.uss))
