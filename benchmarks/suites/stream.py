# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Camera frames into a node, next to a bare rclpy subscriber of the same stream in the same run.

Camera, node and subscriber are processes of their own. Raw and JPEG frames of three sizes at
30 Hz; the highest rate that is served with at most 5 % loss; fixed rates, of whose runs the best
and the worst are dropped (the method of NVIDIA's ros2_benchmark). DYNAMIC_DNN_STREAM_SECONDS says
how long a stream lasts: 6 by default, for a suite of about eight minutes; with 60, fixed rates
are run at every size as well, and it takes half an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import json
import math
import os
from pathlib import Path
import select
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np
import psutil
from rclpy.serialization import deserialize_message
from report import Figure, Report, figure

from dynamic_dnn_ros.msg import InferenceStatus
from support.application import STATUS_TOPIC
from support.bundles import make_bundle
from support.domain import Domain
from support.graph import RELIABLE, Graph
from support.process import NodeProcess
from support.shared_data import REPOSITORY, SHIPPED_BUNDLE

RUNS = 3
SECONDS = float(os.environ.get('DYNAMIC_DNN_STREAM_SECONDS', 6))
FULL_SECONDS = 30.0
"""From so long on, fixed rates are run at every size."""
SIZES = ((640, 480), (1280, 720), (1920, 1080))
TRANSPORTS = ('raw', 'compressed')
RATE = 30.0
FIXED_RATES = (10.0, 30.0, 60.0)
FIXED_RUNS = 5
HIGHEST_LOSS = 0.05
SEARCH = (10.0, 640.0)
"""Hz, between which the highest rate is looked for."""
SEARCH_STEP = 1.15
"""The search ends when the bounds are no further apart than by this factor."""
FOLDER = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Segment:
    """
    A part of a stream.

    `rate` that the camera kept, Hz; `overhead` of each served frame from its stamp to its result
    without inference, `bare` from its stamp until the bare subscriber had it, `cpu` of the node
    beside inference for each served frame, all s.
    """

    published: int
    rate: float
    received: int
    served: int
    overhead: list[float]
    total: list[float]
    bare: list[float]
    cpu: float

    @property
    def loss(self) -> float:
        """Return the share of frames without a result."""
        return 1.0 - self.served / self.published


class Session:
    """One camera, one node and one bare subscriber, of one size and transport."""

    def __init__(self, graph: Graph, node: NodeProcess, camera: Any, bare: Any) -> None:
        self._graph = graph
        self._node = node
        self._camera = camera
        self._bare = bare
        self._serialised: list[bytes] = []
        self._number = 0
        self._last: InferenceStatus | None = None
        # Read afterwards: meanwhile this process is to take little of the machine.
        graph.node.create_subscription(
            InferenceStatus,
            STATUS_TOPIC,
            lambda data: self._serialised.append(data),
            RELIABLE,
            raw=True,
        )

    def stream(self, seconds: float, rate: float) -> Segment:
        """Have the camera publish for some seconds, and say what came of it."""
        self._number += 1
        count = max(2, round(seconds * rate))
        self._ask(self._bare, 'clear')
        before = self._last or self._statuses()[0]
        process = psutil.Process(self._node.pid)
        cpu = sum(process.cpu_times()[:2])
        self._camera.stdin.write(f'segment_{self._number} {count} {rate}\n')
        self._camera.stdin.flush()
        while not _readable(self._camera):
            self._graph.spin_for(0.2)
        lasted = float(self._camera.stdout.readline())
        self._graph.spin_for(0.3)
        cpu = sum(process.cpu_times()[:2]) - cpu
        last, served = self._statuses()
        self._last = last
        bare = json.loads(self._ask(self._bare, 'report'))
        stages = [{row.name: row.value for row in one.stages} for one in served]
        inference = [one[InferenceStatus.STAGE_INFERENCE] for one in stages]
        total = [
            one[InferenceStatus.STAGE_TRANSPORT] + one[InferenceStatus.STAGE_TOTAL]
            for one in stages
        ]
        return Segment(
            published=count,
            rate=(count - 1) / lasted,
            received=int(last.received) - int(before.received),
            served=len(served),
            overhead=[one - other for one, other in zip(total, inference)],
            total=total,
            bare=bare,
            cpu=(cpu - sum(inference)) / max(1, len(served)),
        )

    def _statuses(self) -> tuple[InferenceStatus, list[InferenceStatus]]:
        """Return a heartbeat from now on, and the frames of the present segment served so far."""
        kept: list[InferenceStatus] = []
        self._graph.spin_until(
            lambda: self._heartbeat(kept), 20.0, 'a heartbeat of the inference node'
        )
        name = f'segment_{self._number}'
        served = [
            one
            for one in kept
            if one.event == InferenceStatus.EVENT_SERVED and one.header.frame_id == name
        ]
        return kept[-1], served

    def _heartbeat(self, kept: list[InferenceStatus]) -> bool:
        while self._serialised:
            kept.append(deserialize_message(self._serialised.pop(0), InferenceStatus))
        return bool(kept) and kept[-1].event == InferenceStatus.EVENT_HEARTBEAT

    @staticmethod
    def _ask(process: Any, line: str) -> str:
        process.stdin.write(f'{line}\n')
        process.stdin.flush()
        return str(process.stdout.readline())


def _readable(process: Any) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f'the camera ended with {process.returncode}')
    return bool(select.select([process.stdout], [], [], 0.0)[0])


@contextmanager
def _session(bundle: Path, size: tuple[int, int], transport: str) -> Iterator[Session]:
    flags = ['--compressed'] if transport == 'compressed' else []
    environment = dict(os.environ)
    environment['PYTHONPATH'] = os.pathsep.join(
        [str(REPOSITORY / 'test'), environment.get('PYTHONPATH', '')]
    )
    processes: list[Any] = []

    def start(name: str, *arguments: str) -> Any:
        process = subprocess.Popen(
            [sys.executable, str(FOLDER / name), *arguments, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment, **{k: v for k, v in os.environ.items() if k.startswith('ROS_')}},
        )
        processes.append(process)
        return process

    with Domain() as domain:
        graph = Graph(domain.id)
        parameters = {
            'bundle': str(bundle),
            'platform': 'none',
            'threads': 1,
            'image_transport': transport,
        }
        node = NodeProcess('inference_node', domain.id, parameters)
        try:
            camera = start('stream_camera.py', *map(str, size))
            bare = start('bare_subscriber.py')
            for process in (camera, bare):
                assert process.stdout.readline() == 'ready\n'
            session = Session(graph, node, camera, bare)
            graph.wait_for_state('/inference_node', 'active')
            # The sub-networks are measured at start, since no platform has a profile of them.
            node.wait_for_log('measured each sub-network', 120.0)
            graph.spin_for(1.0)
            session.stream(1.0, RATE)
            yield session
        finally:
            for process in processes:
                process.kill()
                process.wait()
            node.close()
            graph.close()


def run(runs: int) -> Report:
    """Run every size and transport."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        bundle = REPOSITORY / 'models' / SHIPPED_BUNDLE
        if not (bundle / 'manifest.json').exists():
            bundle = make_bundle(Path(folder) / 'synthetic').folder
        for transport in TRANSPORTS:
            for size in SIZES:
                fixed = SECONDS >= FULL_SECONDS or size == SIZES[0]
                with _session(bundle, size, transport) as session:
                    figures += _measure(session, size, transport, runs, fixed)
    configuration = {
        'seconds': SECONDS,
        'rate': RATE,
        'bundle': bundle.name,
        'sub_network': 'the most accurate one',
        'camera': 'reliable, keep last 5; a photograph, bgr8 or JPEG of quality 90',
        'node': 'best effort, keep last 5; the parameters that it ships with',
        'bare subscriber': 'rclpy.spin, best effort, keep last 5; Pillow decodes JPEG',
        'fixed rates': f'{FIXED_RUNS} runs each, best and worst dropped',
        'highest rate': f'at most {HIGHEST_LOSS:.0%} of the frames without a result',
    }
    return Report('stream', 'measured', configuration, figures)


def _measure(
    session: Session, size: tuple[int, int], transport: str, runs: int, fixed: bool
) -> list[Figure]:
    name = f'{"raw" if transport == "raw" else "JPEG"} {size[0]}x{size[1]}'
    segments = [session.stream(SECONDS, RATE) for _ in range(runs)]
    published = segments[0].published
    figures = [
        figure(
            f'{name}: frames lost in transport, of {published}',
            [one.published - one.received for one in segments],
            'frames',
            '<= 0',
        ),
        figure(
            f'{name}: frames without a result, of {published}',
            [one.published - one.served for one in segments],
            'frames',
        ),
        figure(
            f'{name}: total latency minus inference against the bare subscriber, medians',
            [_median(one.overhead) / _median(one.bare) for one in segments],
            'ratio',
            '<= 1.5',
        ),
    ]
    for what, values in (
        ('total latency', [one.total for one in segments]),
        ('total latency minus inference', [one.overhead for one in segments]),
        ('bare subscriber', [one.bare for one in segments]),
    ):
        figures.append(figure(f'{name}: {what}, median', [_median(one) for one in values], 's'))
        figures.append(
            figure(f'{name}: {what}, 95 %', [_quantile(one, 0.95) for one in values], 's')
        )
    figures.append(
        figure(
            f'{name}: CPU time of the node beside inference, a frame',
            [one.cpu for one in segments],
            's',
        )
    )
    figures.append(figure(f'{name}: highest rate served', _highest_rate(session), 'Hz'))
    if fixed:
        for rate in FIXED_RATES:
            found = [session.stream(max(2.0, SECONDS / 12), rate) for _ in range(FIXED_RUNS)]
            figures += _fixed(f'{name} at {rate:g} Hz', found)
    return figures


def _fixed(name: str, found: list[Segment]) -> list[Figure]:
    """Return figures of runs, without the best and the worst of them."""
    losses = sorted(one.loss for one in found)[1:-1]
    totals = sorted(_median(one.total) for one in found)[1:-1]
    mean = float(np.mean(totals))
    return [
        figure(f'{name}: frames without a result', float(np.mean(losses)) * 100, '%'),
        Figure(
            f'{name}: total latency, mean of the medians',
            *(float(f'{mean:.5g}'), 's', float(f'{totals[0]:.5g}'), float(f'{totals[-1]:.5g}')),
        ),
    ]


def _highest_rate(session: Session) -> float:
    """Return the highest rate that was served with few losses, Hz, by bisection of its factor."""
    seconds = max(2.0, SECONDS / 12)
    served, lost = SEARCH[0], SEARCH[1]
    best = 0.0
    while lost / served > SEARCH_STEP:
        rate = math.sqrt(served * lost)
        found = session.stream(seconds, rate)
        # A camera that does not keep the rate says nothing about the node at that rate.
        if found.loss <= HIGHEST_LOSS and found.rate >= 0.95 * rate:
            served, best = rate, max(best, found.rate)
        else:
            lost = rate
        time.sleep(0.1)
    return best


def _median(values: list[float]) -> float:
    return _quantile(values, 0.5)


def _quantile(values: list[float], quantile: float) -> float:
    return float(np.nanquantile(values, quantile)) if values else math.nan
