# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from dynamic_dnn_ros.management.baselines.rates import UNKNOWN_RATE, ArrivalRates
from dynamic_dnn_ros.management.targets import Target
from support.applications import served_frame
from support.scenarios import FRONT


def test_counted_comes_before_asked_for_and_that_before_a_usual_rate() -> None:
    rates = ArrivalRates()
    target = Target(FRONT, rate=12.0)
    assert rates.rate(FRONT, None) == UNKNOWN_RATE
    assert rates.rate(FRONT, target) == 12.0
    for index in range(25):
        # Every other frame is dropped, so 20 a second are received.
        rates.count(served_frame(FRONT, 'x', 's0', 0.01, received=2 * index), 0.1 * index)
    assert rates.rate(FRONT, target) == pytest.approx(20.0)
