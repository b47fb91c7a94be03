# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an application says of its operating points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.nodes.inference.application_messages import operating_points_message
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.profiling.simulated import simulated_profile
from support.bundles import make_bundle

BOARD = 'xavier_nx_simulated'


def bundle_of(folder: Path) -> Bundle:
    return make_bundle(folder / 'synthetic')


def test_what_frames_take_together_is_in_the_order_of_the_bundle(tmp_path: Path) -> None:
    manifest = bundle_of(tmp_path).manifest
    profile = simulated_profile(load_board(BOARD, ''), BOARD, manifest.sub_networks)
    assert len(operating_points_message(profile, manifest).batch_latency) == 0
    # A profile that knows two of three, in another order.
    reverse = replace(profile, sub_networks=('s2', 's1', 's0'))
    table = np.array([[1.0, 1.2, 1.4], [1.0, 1.5, 1.9], [1.0, 1.8, 2.6]])
    known = replace(reverse, batch_latency=table).only(['s2', 's0'])
    message = operating_points_message(known, manifest)
    assert message.largest_batch == 3
    assert np.reshape(message.batch_latency, (3, 3)).tolist() == [
        [1.0, 1.8, 2.6],
        [1.0, 2.0, 3.0],
        [1.0, 1.2, 1.4],
    ]
    # No more than the engine was asked to take.
    two = operating_points_message(known, manifest, largest_batch=2)
    assert (two.largest_batch, list(two.batch_latency)) == (2, [1.0, 1.8, 1.0, 2.0, 1.0, 1.2])
    assert operating_points_message(known, manifest, largest_batch=1).largest_batch == 0
