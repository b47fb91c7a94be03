# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the start of an inference node's process to its first result, and what takes the time."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time

from report import Figure, Report, figure
from sensor_msgs.msg import Image

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.engines.registry import create_engine, installed_engines
from dynamic_dnn_ros.msg import Classification
from support.bundles import make_bundle
from support.domain import Domain
from support.graph import Graph
from support.images import image_message, noise
from support.process import NodeProcess
from support.shared_data import REPOSITORY, SHIPPED_BUNDLE

RUNS = 5
CAMERA_PERIOD = 1 / 30
TIMEOUT = 60.0
STAGES = Path(__file__).resolve().parents[1] / 'start_stages.py'
BARS = {'onnxruntime': '<= 3'}
"""s, from the start of the process to the first result."""


def run(runs: int) -> Report:
    """Start a node for each engine in turn, with a camera that runs already."""
    engines = installed_engines()
    totals: dict[str, list[float]] = {name: [] for name in engines}
    stages: dict[str, dict[str, list[float]]] = {name: {} for name in engines}
    with tempfile.TemporaryDirectory() as folder:
        bundle = REPOSITORY / 'models' / SHIPPED_BUNDLE
        if not (bundle / 'manifest.json').exists():
            bundle = make_bundle(Path(folder) / 'synthetic').folder
        for name in engines:
            _make_graphs(bundle, name)
        for _ in range(runs):
            for name in engines:
                totals[name].append(_first_result(bundle, name))
                for stage, seconds in _stages(bundle, name).items():
                    stages[name].setdefault(stage, []).append(seconds)
    figures: list[Figure] = []
    for name in engines:
        figures.append(
            figure(
                f'{name}: start of the process to the first result',
                totals[name],
                's',
                BARS.get(name),
            )
        )
        figures += [
            figure(f'{name}: {stage}', seconds, 's') for stage, seconds in stages[name].items()
        ]
    configuration = {
        'bundle': bundle.name,
        'image': '640x480 rgb8',
        'camera': f'{1 / CAMERA_PERIOD:g} Hz, runs before the node starts',
        'stages': 'by a process that does the same without a camera',
    }
    return Report('startup', 'measured', configuration, figures)


def _make_graphs(bundle: Path, engine_name: str) -> None:
    """Have graphs that the bundle lacks exported into the user's cache: that happens once."""
    opened = read_bundle(bundle)
    engine = create_engine(engine_name, opened, 1)
    for entry in opened.manifest.sub_networks:
        engine.prepare(entry, engine.processors[0]).close()


def _first_result(bundle: Path, engine_name: str) -> float:
    with Domain() as domain:
        graph = Graph(domain.id)
        results = graph.collect(Classification, '/inference_node/classification')
        images = graph.publisher(Image, '/image')
        message = image_message(noise(640, 480, 0))
        node = NodeProcess(
            'inference_node',
            domain.id,
            parameters={'bundle': str(bundle), 'engine': engine_name, 'platform': 'none'},
        )
        try:
            while not len(results):
                if time.monotonic() - node.started > TIMEOUT or not node.running:
                    raise TimeoutError(f'no result of engine {engine_name!r}:\n{node.log}')
                images.publish(message)
                graph.spin_for(CAMERA_PERIOD)
            return time.monotonic() - node.started
        finally:
            node.close()
            graph.close()


def _stages(bundle: Path, engine_name: str) -> dict[str, float]:
    with Domain() as domain:
        done = subprocess.run(
            [sys.executable, str(STAGES), str(bundle), engine_name],
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT,
            env={**os.environ, 'ROS_DOMAIN_ID': str(domain.id)},
        )
    stages: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return stages
