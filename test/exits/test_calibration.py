# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from dynamic_dnn_ros.exits.calibration import (
    MARGIN,
    Loss,
    candidates,
    lowest_threshold,
    stages_taken,
)

# Few distinct values, so that ties occur, and numbers that are none.
CONFIDENCES = st.lists(
    st.one_of(st.sampled_from([0.0, 0.5, 0.9, 1.0, float('nan')]), st.floats(0.0, 1.0)),
    min_size=5,
    max_size=60,
)


def test_a_picture_leaves_at_the_first_exit_that_is_sure_enough():
    first = np.array([0.9, 0.8, 0.1, np.nan])
    second = np.array([0.9, 0.9, 0.7, 0.6])
    assert stages_taken([first, second], [0.8, 0.7], 4).tolist() == [0, 0, 1, 2]
    assert stages_taken([], [], 3).tolist() == [0, 0, 0]


def test_what_is_no_number_leaves_nowhere():
    assert stages_taken([np.array([np.nan, 0.0])], [0.0], 2).tolist() == [1, 0]


@given(CONFIDENCES, st.integers(1, 20))
def test_candidates_rise_and_each_lets_another_picture_leave(confidences, most):
    confidence = np.array(confidences)
    found = candidates(confidence, most)
    assert len(found) <= most
    assert (np.diff(found) > 0).all()
    assert all(0 < each <= 1 for each in found)
    leave = [int((confidence >= each).sum()) for each in found]
    assert all(more > fewer for more, fewer in pairwise(leave))
    assert all(each > 0 for each in leave)


@settings(deadline=None)
@given(
    CONFIDENCES,
    st.randoms(use_true_random=False),
    st.floats(0.0, 0.5),
    st.floats(0.0, 0.5),
)
def test_the_threshold_keeps_its_promise_and_a_looser_one_is_no_higher(
    confidences, random, promise, other
):
    confidence = np.array(confidences)
    small = np.array([random.random() < 0.6 for _ in confidences], float)
    large = np.array([random.random() < 0.9 for _ in confidences], float)

    def loss(threshold: float) -> Loss:
        lost = np.where(confidence >= threshold, large - small, 0.0)
        return Loss(float(lost.mean()), float(lost.std()) / len(lost) ** 0.5)

    thresholds = candidates(confidence, 100)
    found = lowest_threshold(thresholds, loss, promise)
    if found is not None:
        threshold, measured = found
        assert threshold in thresholds
        assert measured == loss(threshold)
        assert measured.mean + MARGIN * measured.error <= promise
    if promise <= other:
        looser = lowest_threshold(thresholds, loss, other)
        assert found is None or (looser is not None and looser[0] <= found[0])


def test_where_the_loss_falls_with_the_threshold_it_is_the_lowest():
    thresholds = np.linspace(0.01, 1.0, 100)
    found = lowest_threshold(thresholds, lambda t: Loss(1.0 - t, 0.0), 0.305)
    assert found is not None
    assert found[0] == pytest.approx(0.7)
    assert lowest_threshold(thresholds, lambda t: Loss(2.0 - t, 0.0), 0.5) is None
    assert lowest_threshold(thresholds[:0], lambda t: Loss(0.0, 0.0), 0.5) is None


def test_a_promise_on_few_pictures_needs_a_margin():
    assert Loss(0.004, 0.0).keeps(0.005)
    assert not Loss(0.004, 0.002).keeps(0.005)
    assert not Loss(float('nan'), 0.0).keeps(0.005)


def test_nine_of_ten_calibrations_hold_for_all_pictures():
    """The same network and exits, calibrated on many draws of pictures out of one world."""
    generator = np.random.default_rng(0)
    promise, kept, draws = 0.02, 0, 200

    def world(count: int) -> tuple[np.ndarray, np.ndarray]:
        confidence = generator.uniform(0.3, 1.0, count)
        small = generator.uniform(size=count) < confidence
        large = generator.uniform(size=count) < 0.95
        return confidence, large.astype(float) - small

    confidence_of_all, lost_of_all = world(200_000)
    for _ in range(draws):
        confidence, lost = world(1000)

        def loss(threshold: float, confidence=confidence, lost=lost) -> Loss:
            here = np.where(confidence >= threshold, lost, 0.0)
            return Loss(float(here.mean()), float(here.std()) / len(here) ** 0.5)

        found = lowest_threshold(candidates(confidence, 1000), loss, promise)
        assert found is not None
        true = float(np.where(confidence_of_all >= found[0], lost_of_all, 0.0).mean())
        kept += true <= promise
    # The lowest threshold of many is the luckiest one, so a little less than nine of ten.
    assert kept / draws >= 0.85
