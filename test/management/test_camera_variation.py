# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How evenly the frames of a camera come."""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np
import pytest

from dynamic_dnn_ros.management.camera_variation import (
    ENOUGH,
    FRAMES_NEEDED,
    LEAST,
    CameraVariation,
)
from dynamic_dnn_ros.management.estimator import CAMERA_VARIATION

PERIOD = 1 / 20


def seen(arrivals: Sequence[float], period: float = PERIOD) -> CameraVariation:
    variation = CameraVariation()
    for at in arrivals:
        variation.arrived(at, period)
    return variation


def intervals(deviation: float, count: int = 400, seed: int = 3) -> list[float]:
    random = np.random.default_rng(seed)
    return list(np.cumsum(PERIOD * (1 + deviation * random.standard_normal(count))))


def test_any_camera_is_assumed_to_vary_before_it_was_measured() -> None:
    before = seen(intervals(0.01, 2 * ENOUGH))
    assert before.in_use == CAMERA_VARIATION and not before.is_known
    assert seen(intervals(0.01, FRAMES_NEEDED)).is_known


def test_few_frames_make_a_camera_more_uneven_rather_than_less() -> None:
    """Of 200 even cameras, at most one in five is taken for a more even one than it is."""
    found = [seen(intervals(0.02, 2 * ENOUGH + 1, seed)).in_use for seed in range(200)]
    assert sum(each < 0.02 for each in found) < 40
    assert np.median(found) < 0.03


def test_now_and_then_a_frame_that_comes_late_does_not_count() -> None:
    arrivals = np.array(intervals(0.02))
    arrivals[::80] += 0.3 * PERIOD
    assert seen(list(arrivals)).in_use == pytest.approx(0.02, rel=0.4)


@pytest.mark.parametrize('deviation', [0.02, 0.1])
def test_finds_how_much_intervals_vary(deviation: float) -> None:
    assert seen(intervals(deviation)).in_use == pytest.approx(deviation, rel=0.4)


def test_a_camera_that_makes_up_for_what_it_is_late_varies_less() -> None:
    random = np.random.default_rng(4)
    kept = PERIOD * (np.arange(400) + 0.03 * random.standard_normal(400))
    assert seen(list(kept)).in_use == pytest.approx(0.03, rel=0.4)
    assert seen(intervals(0.03 * math.sqrt(2))).in_use > seen(list(kept)).in_use


def test_an_even_camera_is_not_taken_for_a_perfect_one() -> None:
    assert seen([PERIOD * n for n in range(400)]).in_use == LEAST


def test_frames_that_were_replaced_are_no_variation() -> None:
    assert seen([PERIOD * (n + n // 3) for n in range(400)]).in_use == LEAST


def test_a_rate_that_is_known_to_some_percent_is_no_variation() -> None:
    assert seen([PERIOD * n for n in range(400)], PERIOD * 1.02).in_use == LEAST


@pytest.mark.parametrize('period', [math.inf, 0.0, math.nan])
def test_nothing_is_learnt_while_the_period_is_not_known(period: float) -> None:
    assert seen(intervals(0.01), period).in_use == CAMERA_VARIATION


def test_pauses_clocks_put_back_and_broken_times_teach_nothing() -> None:
    variation = seen(intervals(0.02))
    before = variation.in_use
    for at in (1e6, -5.0, math.nan, 10.0, math.inf, 20.0):
        variation.arrived(at, PERIOD)
    assert variation.in_use == before


def test_what_is_in_use_follows_a_camera_that_becomes_uneven() -> None:
    even = intervals(0.01)
    later = [even[-1] + at for at in intervals(0.12, seed=5)]
    assert seen([*even, *later]).in_use == pytest.approx(0.12, rel=0.4)
