# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A node serves a network whose blocks decide by the picture: each frame takes its own path."""

from __future__ import annotations

from collections.abc import Callable
import importlib.util
from typing import Any

import numpy as np
import pytest
import torch

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.msg import InferenceStatus
from dynamic_dnn_ros.serving.path import follow
from dynamic_dnn_ros.tasks.classification import softmax
from support.adaptive_bundle import (
    LABELS,
    SEEDS,
    adaptive_network,
    make_adaptive_bundle,
    picture,
    shown,
)
from support.application import Application
from support.graph import Graph
from support.images import image_message, nanoseconds_of
from support.process import NodeProcess

pytestmark = pytest.mark.system

ENGINES = ('torch', 'onnxruntime', 'openvino')


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Write the bundle once, for all engines."""
    return make_adaptive_bundle(tmp_path_factory.mktemp('bundles') / 'adaptive')


def scores(result: Any) -> np.ndarray:
    """Return the probabilities of a result in the order of the bundle's labels."""
    found = {each.class_id: each.score for each in result.results}
    return np.array([found[label] for label in LABELS])


def served(application: Application, nanoseconds: int) -> InferenceStatus:
    """Return the status of the frame of a stamp."""

    def is_of_it(status: InferenceStatus) -> bool:
        stamp = nanoseconds_of(status.image_stamp)
        return status.event == InferenceStatus.EVENT_SERVED and stamp == nanoseconds

    found: InferenceStatus = application.all_statuses.wait_for(is_of_it)
    return found


@pytest.mark.parametrize('engine', ENGINES)
def test_frames_take_their_own_paths_and_status_says_which(
    graph: Graph, start_node: Callable[..., NodeProcess], bundle: Bundle, engine: str
) -> None:
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f'{engine} is not installed')
    entry = bundle.manifest.sub_network('adaptive')
    prepared = create_engine('torch', bundle, 1).prepare(entry, 'cpu')
    network = adaptive_network()
    masked = network.extract(network.largest())
    application = Application(
        graph,
        start_node,
        bundle.folder,
        classes=len(LABELS),
        sub_network='adaptive',
        engine=engine,
    )
    ways = set()
    for seed in SEEDS:
        pixels = picture(seed)
        message = image_message(pixels, 'bgr8', nanoseconds=seed + 1)
        result = application.serve(message)
        assert (result.sub_network, result.header.stamp) == ('adaptive', message.header.stamp)
        with torch.no_grad():
            expected = softmax(masked(shown(pixels)).numpy()[0])
        np.testing.assert_allclose(scores(result), expected, atol=1e-3)
        path = follow(prepared, pixels, bundle.manifest.make_task())
        status = served(application, seed + 1)
        assert (status.exit_stage, status.work) == (path.stage, pytest.approx(path.work))
        ways.add((status.exit_stage, round(status.work, 6)))
    assert len({stage for stage, _ in ways}) == 4, 'pictures are to take different paths'
    *_, last = application.statuses
    assert (last.rejected, last.dropped) == (0, 0)
