# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Eight camera topics into one inference node, over the real middleware: what gets lost."""

from __future__ import annotations

import os
from pathlib import Path
import select
import subprocess
import sys

from dynamic_dnn_ros.msg import InferenceStatus
from support.application import STATUS_TOPIC
from support.domain import Domain
from support.graph import RELIABLE, Graph
from support.process import NodeProcess
from support.shared_data import REPOSITORY, SHIPPED_BUNDLE

CAMERAS = tuple(f'camera_{index}' for index in range(8))
SIZE = (320, 240)
RATE = 30.0
NODE = '/inference_node'


def frames_over_topics(seconds: float) -> tuple[int, int]:
    """
    Have eight cameras publish raw pictures to one node, all at `RATE`.

    :return: frames that were published, and frames that the node received
    """
    with Domain() as domain:
        graph = Graph(domain.id)
        node = NodeProcess(
            'inference_node',
            domain.id,
            {
                'bundle': str(REPOSITORY / 'models' / SHIPPED_BUNDLE),
                'platform': 'none',
                'threads': 1,
                'sub_network': 's0',
                'cameras': list(CAMERAS),
            },
        )
        try:
            cameras = _cameras()
            try:
                return _count(graph, node, cameras, seconds)
            finally:
                cameras.kill()
                cameras.wait()
        finally:
            node.close()
            graph.close()


def _cameras() -> subprocess.Popen[str]:
    environment = dict(os.environ)
    path = [str(REPOSITORY / 'test'), environment.get('PYTHONPATH', '')]
    environment['PYTHONPATH'] = os.pathsep.join(path)
    command = [sys.executable, str(Path(__file__).with_name('stream_camera.py')), *map(str, SIZE)]
    return subprocess.Popen(
        [*command, '--topics', *(f'/{name}/image' for name in CAMERAS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _count(
    graph: Graph, node: NodeProcess, cameras: subprocess.Popen[str], seconds: float
) -> tuple[int, int]:
    assert cameras.stdin is not None and cameras.stdout is not None
    received: dict[str, int] = {}

    def note(status: InferenceStatus) -> None:
        received[status.application] = int(status.received)

    graph.node.create_subscription(InferenceStatus, STATUS_TOPIC, note, RELIABLE)

    def publish(count: int) -> None:
        assert cameras.stdin is not None and cameras.stdout is not None
        cameras.stdin.write(f'frame {count} {RATE}\n')
        cameras.stdin.flush()
        while not select.select([cameras.stdout], [], [], 0.0)[0]:
            graph.spin_for(0.1)
        cameras.stdout.readline()
        # Heartbeats come once a second.
        graph.spin_for(1.5)

    if cameras.stdout.readline() != 'ready\n':
        raise SystemExit('the cameras do not start; what they say is above')
    graph.wait_for_state(NODE, 'active')
    node.wait_for_log('measured each sub-network', 120.0)
    # Until each topic has found the node.
    for _ in range(20):
        before = sum(received.values())
        publish(5)
        if sum(received.values()) - before == 5 * len(CAMERAS):
            break
    before = sum(received.values())
    count = round(seconds * RATE)
    publish(count)
    return count * len(CAMERAS), sum(received.values()) - before
