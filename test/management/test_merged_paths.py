# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sub-networks whose paths meet again: what frames take is learnt from their works."""

from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.management.merged_paths import ENOUGH, FRAMES, MergedPaths, merge
from dynamic_dnn_ros.management.observations import StageShare

STAGES = (StageShare('gate', 0.1, 0.0), StageShare('rest', 0.6, 1.0))


def fed(works, paths=None):
    paths = paths or MergedPaths(STAGES)
    changes = [paths.observe(work) for work in works]
    return paths, changes


def test_they_are_told_by_the_work_of_the_last_stage():
    assert merge(STAGES)
    assert not merge((StageShare('early', 0.4, 0.5), StageShare('rest', 1.0, 0.5)))
    assert not merge(())


def test_the_calibration_counts_until_frames_tell():
    paths, changes = fed([0.3] * (ENOUGH - 1))
    assert not any(changes)
    assert paths.in_use.mean_work() == pytest.approx(0.6)
    assert paths.in_use.work_at(0.95) == 1.0, 'nobody knows how long the longest are'


def test_mean_and_quantile_are_those_of_the_frames():
    works = np.random.default_rng(0).uniform(0.3, 0.7, FRAMES)
    paths, _ = fed(works)
    assert paths.in_use.mean_work() == pytest.approx(works.mean(), rel=0.1)
    assert paths.in_use.work_at(0.95) == pytest.approx(np.quantile(works, 0.95), rel=0.1)


def test_works_are_shown_in_tenths():
    paths, _ = fed([0.3, 0.42] * FRAMES)
    names, shares = paths.shown()
    assert names == ('30% of the work', '50% of the work')
    assert shares == pytest.approx((0.4, 0.6))  # Quantiles of eight frames, the higher ones.


def test_a_harder_scene_is_followed_at_once_and_noise_is_not():
    paths, _ = fed([0.4, 0.42] * FRAMES)
    _, changes = fed([0.42, 0.4] * 20, paths)
    assert not any(changes)
    _, changes = fed([0.9] * 8, paths)
    assert changes.index(True) <= 4
    assert paths.in_use.work_at(0.95) == 0.9
    assert paths.in_use.mean_work() > 0.4


@pytest.mark.parametrize('work', [0.0, -1.0, 2.0, float('nan')])
def test_works_that_make_no_sense_are_passed_over(work):
    paths, changes = fed([work] * 20)
    assert not any(changes)
    assert paths.in_use.mean_work() == pytest.approx(0.6)
