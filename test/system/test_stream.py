# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A minute of camera frames between two processes, with two hundred switches on the way."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.msg import InferenceStatus
from dynamic_dnn_ros.nodes.inference.images import raw_picture
from dynamic_dnn_ros.pictures.scaling import fitted
from support import camera
from support.images import image_message
from support.offline import offline_classifier
from support.stream import Stream, run_stream

pytestmark = [pytest.mark.system, pytest.mark.slow]

RATE = 30.0
FRAMES = 1800
SWITCHES = 200
SUB_NETWORKS = ['s0', 's1', 's2']


@pytest.fixture(scope='module')
def stream(synthetic_bundle: Path) -> Stream:
    """Run the stream once, for all tests of this file."""
    return run_stream(synthetic_bundle, SUB_NETWORKS, FRAMES, RATE, SWITCHES)


def test_no_frame_is_lost_in_transport(stream: Stream) -> None:
    assert stream.lost_in_transport == 0, stream.camera_log
    assert stream.exit_code == 0


def test_every_frame_is_served_or_counted_as_replaced(stream: Stream) -> None:
    last = stream.statuses[-1]
    assert last.rejected == 0
    assert last.served + last.replaced == FRAMES
    served = [camera.index_of(result.header.frame_id) for result in stream.results]
    assert len(served) == last.served
    assert served == sorted(set(served))


def test_switches_cost_no_frame(stream: Stream) -> None:
    """On an idle machine no frame is replaced at all; on a busy one, no more at switches."""
    assert stream.chance_of_replacements_at_switches() > 1e-3, stream.intervals()


def test_every_switch_is_acknowledged_with_its_number(stream: Stream) -> None:
    answers = [(answer.switch_sequence, answer.sub_network) for answer in stream.answers]
    assert answers == stream.sent
    assert len(answers) == SWITCHES
    for answer in stream.answers:
        assert answer.switch_result == InferenceStatus.SWITCH_APPLIED
        assert answer.switch_manager == 'test'
        assert answer.message == ''


def test_no_result_is_a_mixture_of_two_sub_networks(
    stream: Stream, synthetic_bundle: Path
) -> None:
    """Each result is that of the sub-network it names, to 1e-4, and of no other."""
    offline = offline_classifier(synthetic_bundle)
    preprocessing = offline.bundle.manifest.preprocessing
    expected = {}
    for index in range(camera.PICTURES):
        picture = raw_picture(image_message(camera.picture(index), 'bgr8'))
        for identifier in SUB_NETWORKS:
            size = offline.bundle.manifest.sub_network(identifier).size
            pixels, _ = fitted(picture, size, preprocessing)
            expected[index, identifier] = offline.scores_of_square(pixels, identifier)
        scores = [expected[index, identifier] for identifier in SUB_NETWORKS]
        for one, other in pairwise(scores):
            assert np.abs(one - other).max() > 1e-3, 'sub-networks are to be told apart'
    for result in stream.results:
        index = camera.index_of(result.header.frame_id) % camera.PICTURES
        np.testing.assert_allclose(
            offline.scores_of_message(result),
            expected[index, result.sub_network],
            atol=1e-4,
            err_msg=f'{result.header.frame_id}, {result.sub_network}',
        )
    assert {result.sub_network for result in stream.results} == set(SUB_NETWORKS)
