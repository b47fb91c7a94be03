# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What each state of an inference node looks like on `/diagnostics`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import threading
import time

import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import EngineError, Picture
from dynamic_dnn_ros.nodes.common.diagnostics import Level
from dynamic_dnn_ros.nodes.inference import camera_input
from dynamic_dnn_ros.nodes.inference.camera_input import CameraInput
from dynamic_dnn_ros.nodes.inference.diagnostics import (
    diagnose_camera,
    diagnose_sub_networks,
    diagnose_worker,
)
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.serving.server import Server
from dynamic_dnn_ros.serving.stream import FrameStream
from dynamic_dnn_ros.tasks.contract import Limits
from support.gated_engine import GatedEngine
from support.graph import Graph
from support.serving import serve, served_frame, serving_node


@pytest.fixture
def served(bundle: Bundle, engine: GatedEngine) -> Iterator[ServedBundle]:
    served = serve(bundle, engine)
    yield served
    served.exchange.close()


def worker_of(served: ServedBundle, stuck_after: float = 5.0) -> FrameStream:
    manifest = served.bundle.manifest
    task, labels = manifest.make_task(), manifest.labels
    nothing = (lambda frame: None, lambda frame, reason: None)
    preprocessing = manifest.preprocessing
    return FrameStream(
        *('front', served.exchange, preprocessing, task, labels, Limits, stuck_after, True),
        *nothing,
    )


def test_camera(graph: Graph, served: ServedBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    node = serving_node(graph)
    camera = CameraInput(node, node.parameters, lambda frame: False, lambda header, reason: None)
    worker = worker_of(served)
    assert diagnose_camera(camera, worker, 0, '').message.startswith('not subscribed')
    camera.subscribe()
    assert diagnose_camera(camera, worker, 0, '').level is Level.OK
    rejected = diagnose_camera(camera, worker, 12, 'no pixels')
    assert rejected.level is Level.WARNING
    assert '12 frames were rejected' in rejected.message and 'no pixels' in rejected.message
    monkeypatch.setattr(camera_input, 'SILENCE', 0.0)
    silent = diagnose_camera(camera, worker, 12, 'no pixels')
    assert silent.level is Level.WARNING
    assert 'no image for' in silent.message and "no node publishes '/image'" in silent.message


def test_worker(served: ServedBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = worker_of(served, stuck_after=0.05)
    idle = diagnose_worker(worker, served, '', 3)
    assert idle.level is Level.OK
    assert (idle.values['platform'], idle.values['state']) == ('none', 'stopped')
    assert idle.values['overruns of the simulated board'] == 3

    hang = threading.Event()

    def run(picture: Picture) -> None:
        hang.wait(30.0)

    monkeypatch.setattr(served.exchange.serving, 'run', run)
    server = Server()
    server.add(worker)
    worker.put(served_frame(0.0).frame)
    end = time.monotonic() + 30.0
    while diagnose_worker(worker, served, 'linux', 0).level is Level.OK:
        assert time.monotonic() < end
        time.sleep(0.01)
    stuck = diagnose_worker(worker, served, 'linux', 0)
    assert stuck.level is Level.ERROR and 'restart this node' in stuck.message
    hang.set()
    assert server.close(30.0)


def test_sub_networks(bundle: Bundle, served: ServedBundle, engine: GatedEngine) -> None:
    assert served.exchange.wait_until_idle(30.0)
    good = diagnose_sub_networks(served)
    assert good.level is Level.OK
    assert good.values['ready'] == 's0, s1, s2'
    assert good.values['memory budget'] == 'none'
    served.refused['s2'] = 'answers otherwise than recorded.'
    refused = diagnose_sub_networks(served)
    assert refused.level is Level.ERROR
    assert refused.message == 'not served: s2. answers otherwise than recorded.'
    assert refused.values['s2'] == 'answers otherwise than recorded.'


def test_a_sub_network_that_failed_is_a_warning(bundle: Bundle, tmp_path: Path) -> None:
    engine = GatedEngine()
    engine.errors['s1'] = EngineError('no memory left.')
    engine.open_gates()
    served = serve(bundle, engine)
    assert served.exchange.wait_until_idle(30.0)
    failed = diagnose_sub_networks(served)
    served.exchange.close()
    assert failed.level is Level.WARNING
    assert failed.message.startswith('not ready: s1. no memory left.')
    assert failed.values['ready'] == 's0, s2'
