# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What operating points come to where some settings have others beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dynamic_dnn_ros.management.assessment import Demand, expect
from dynamic_dnn_ros.management.estimator import SlowDownFilter
from dynamic_dnn_ros.management.queueing import Neighbour, queue
from dynamic_dnn_ros.management.tables import FIGURES, application_table
from dynamic_dnn_ros.management.targets import Target
from support.applications import application


@pytest.mark.parametrize('camera', [0.02, 0.08])
@pytest.mark.parametrize('turns', [False, True])
@pytest.mark.parametrize('disturbed', [False, True])
def test_others_and_late_frames_make_frames_take_longer(
    camera: float, turns: bool, disturbed: bool
) -> None:
    table = application_table(application())
    options, rows = len(table.options), np.arange(len(table.rows))
    target = Target('/a/node', latency=0.02)
    usable, shares = np.ones(options, dtype=bool), np.ones((options, 1))
    demand = Demand(
        target, 0, SlowDownFilter(), 60.0, 0.0, 0.0, usable, shares,
        server='a' if turns else '', camera_variation=camera, disturbed=disturbed,
    )  # fmt: skip
    busy = np.where(rows % 2, 0.3, 0.0)
    # Others that came and went leave the last digit changed.
    contention = queue([Neighbour(busy, 15.0, 0)], 1.0) if turns else 1.0 + (busy + 0.7) - 0.7
    figures = dict(zip(FIGURES, table.figures[:, :, rows]))
    expected = expect(demand, figures, table.accuracy[:, None], contention).latency
    undisturbed = expect(demand, figures, table.accuracy[:, None], 1.0).latency
    alone = busy == 0
    np.testing.assert_allclose(expected[:, alone], undisturbed[:, alone], rtol=1e-9)
    assert (expected[:, ~alone] > undisturbed[:, ~alone]).all()
    calm = expect(replace(demand, disturbed=False), figures, table.accuracy[:, None], 1.0).latency
    assert (undisturbed >= calm).all() and (undisturbed > calm).any() == disturbed
