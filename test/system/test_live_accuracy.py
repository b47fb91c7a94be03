# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A node classifies what it sees as well as its networks do without any node."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dynamic_dnn_ros.msg import InferenceStatus
from support.application import Application
from support.graph import Graph
from support.images import decode, image_message, nanoseconds_of, resize
from support.offline import offline_classifier
from support.process import NodeProcess
from support.shared_data import cifar10_test, shipped_bundle

pytestmark = pytest.mark.system

PICTURES = 1000
FRAME = (320, 240)
TOLERANCE = 0.005
"""Of the top-1 accuracy: 0.5 points."""


@pytest.mark.parametrize('which', ['smallest', 'largest'])
def test_live_accuracy_is_offline_accuracy(
    graph: Graph, start_node: Callable[..., NodeProcess], which: str
) -> None:
    pictures = cifar10_test(PICTURES)
    offline = offline_classifier(shipped_bundle())
    sub_network = offline.sub_networks[0 if which == 'smallest' else -1]
    application = Application(graph, start_node, shipped_bundle(), sub_network=sub_network)

    for index, picture in enumerate(pictures):
        frame = resize(decode(picture.jpeg), *FRAME)
        application.serve(
            image_message(
                frame, 'bgr8', nanoseconds=10**9 + index, frame_id=picture.name, padding=index % 5
            )
        )

    results = application.results.messages
    assert len(results) == PICTURES
    for index, (picture, result) in enumerate(zip(pictures, results)):
        assert nanoseconds_of(result.header.stamp) == 10**9 + index
        assert result.header.frame_id == picture.name
        assert result.sub_network == sub_network
    seen = len(application.all_statuses)
    status = application.wait_for_event(InferenceStatus.EVENT_HEARTBEAT, seen)
    assert (status.received, status.served, status.replaced) == (PICTURES, PICTURES, 0)

    live = np.mean(
        [result.results[0].class_id == p.class_name for p, result in zip(pictures, results)]
    )
    off_line = np.mean([offline.class_of(p.jpeg, sub_network) == p.class_name for p in pictures])
    print(f'{sub_network}: live {live:.4f}, off line {off_line:.4f}')
    assert off_line > 0.5, 'the bundle is to have been trained'
    assert abs(live - off_line) <= TOLERANCE
