# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the pictures of several runs have in common."""

from __future__ import annotations

import math

from dynamic_dnn_ros.cli.report.record import STAGES, ApplicationRecord, Frame, RunRecord
from dynamic_dnn_ros.cli.run_chart import scales_of

NODE = '/inference_node'
ACCURACIES = {f's{index}': 0.7 + 0.02 * index for index in range(8)}


def run_of(*served: str) -> RunRecord:
    nothing = tuple([math.nan] * len(STAGES))
    frames = [
        Frame(float(at), 0.02, name, 0.0, 0.0, False, nothing) for at, name in enumerate(served)
    ]
    record = ApplicationRecord(NODE, accuracies=dict(ACCURACIES), frames=frames)
    return RunRecord('run', duration=10.0, applications={NODE: record})


def test_a_sub_network_has_one_colour_in_all_runs_of_a_bundle() -> None:
    one, other = scales_of([run_of('s0', 's5')]), scales_of([run_of('s5', 's6')])
    assert list(one.sub_networks[NODE]) == ['s0', 's5']
    assert list(other.sub_networks[NODE]) == ['s5', 's6']
    assert one.colours == other.colours
    assert len(set(one.colours[NODE].values())) == len(ACCURACIES)


def test_one_that_nobody_knows_is_drawn_too() -> None:
    scales = scales_of([run_of('s0', 'gone')])
    assert set(scales.sub_networks[NODE]) == {'s0', 'gone'} <= scales.colours[NODE].keys()
