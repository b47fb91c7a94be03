# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The nodes stay small: what they need of memory, and what they do not load."""

from __future__ import annotations

from collections.abc import Callable
import importlib.util
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from dynamic_dnn_ros.msg import (
    InferenceStatus,
    ManagerStatus,
    PerformanceTarget,
    TargetStatus,
)
from dynamic_dnn_ros.networks.graph_export import export_into
from support.application import Application
from support.bundles import make_bundle
from support.graph import Graph
from support.images import image_message, noise
from support.process import NodeProcess

pytestmark = pytest.mark.system

LIMIT = 100e6
"""Bytes; a bare rclpy node takes 69 million."""
HEAVY = ('torch', 'torchvision', 'onnxruntime', 'openvino', 'tensorrt', 'cv2', 'matplotlib')
NOT_THEIRS = ('networks', 'training', 'search', 'simulation', 'cli')


def is_of(module: str, package: str) -> bool:
    """Return whether a module is a package, or lies in it."""
    return module == package or module.startswith(f'{package}.')


def test_manager_and_platform_stay_small(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    """Both are measured at work: with an application, its operating points and a target."""
    nodes = [
        start_node(
            'platform_node', parameters={'platform': 'xavier_nx_simulated'}, log_imports=True
        ),
        start_node('manager_node', log_imports=True),
    ]
    application = Application(graph, start_node, synthetic_bundle, platform='auto')
    statuses = graph.collect(ManagerStatus, '/dynamic_dnn/manager_status')
    targets = graph.publisher(PerformanceTarget, '/dynamic_dnn/performance_target')
    graph.wait_for_subscriptions(targets)
    targets.publish(PerformanceTarget(application=application.id, latency=0.5))
    pictures = cycle(image_message(noise(320, 240, index)) for index in range(30))

    def is_judged() -> bool:
        # Frames from before the clocks are set say nothing of the target: they go on coming.
        application.serve(next(pictures))
        return statuses.last is not None and any(
            target.state in (TargetStatus.STATE_MET, TargetStatus.STATE_MISSED)
            and target.decision.frequencies
            for target in statuses.last.targets
        )

    graph.spin_until(
        is_judged,
        30.0,
        lambda: f'a decision that sets clocks, and is confirmed; the last: {statuses.last}',
    )

    for node in nodes:
        memory = node.resident_memory()
        assert memory < LIMIT, f'{node.name} takes {memory / 1e6:.0f} MB'
        assert node.loaded_engines() == []
        imported = node.imported_modules()
        room = node.name.removesuffix('_node')
        assert f'dynamic_dnn_ros.nodes.{room}.node' in imported, 'the imports are to be seen'
        for package in HEAVY:
            assert not [module for module in imported if is_of(module, package)]
        for room in NOT_THEIRS:
            assert not [m for m in imported if is_of(m, f'dynamic_dnn_ros.{room}')]
    assert application.process.loaded_engines(), 'an engine is to be seen where one is loaded'


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
def test_a_node_loads_no_engine_but_its_own(
    graph: Graph, start_node: Callable[..., NodeProcess], tmp_path: Path, engine: str
) -> None:
    """At work: a picture is served, the other sub-networks are prepared and switched to."""
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f'{engine} is not installed')
    bundle = export_into(make_bundle(tmp_path / 'synthetic'))

    def start(name: str, **options: Any) -> NodeProcess:
        return start_node(name, log_imports=True, **options)

    application = Application(graph, start, bundle.folder, engine=engine)
    for index, entry in enumerate(bundle.manifest.sub_networks):
        answer = application.switch(entry.id)
        assert answer.switch_result == InferenceStatus.SWITCH_APPLIED
        result = application.serve(image_message(noise(320, 240, index)))
        assert result.sub_network == entry.id
    imported = application.process.imported_modules()
    assert engine in imported, 'the imports are to be seen'
    for package in {*HEAVY, 'onnx'} - {engine}:
        assert not [module for module in imported if is_of(module, package)]
    for room in (*NOT_THEIRS, 'management'):
        assert not [m for m in imported if is_of(m, f'dynamic_dnn_ros.{room}')]
