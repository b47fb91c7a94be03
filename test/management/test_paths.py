# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which share of the pictures takes which path, and what that costs, by hand-made numbers."""

from __future__ import annotations

import pytest

from dynamic_dnn_ros.management.observations import StageShare
from dynamic_dnn_ros.management.paths import Paths


def paths(*stages: tuple[float, float]) -> Paths:
    """Return paths of works and shares of the calibration pictures."""
    return Paths([StageShare(f'stage_{i}', *stage) for i, stage in enumerate(stages)])


TWO = paths((0.25, 0.8), (1.0, 0.2))
THREE = paths((0.2, 0.5), (0.5, 0.3), (1.0, 0.2))


def test_at_calibration_the_shares_are_those_that_were_counted() -> None:
    assert THREE.shares() == pytest.approx((0.5, 0.3, 0.2))
    assert THREE.mean_work() == pytest.approx(0.2 * 0.5 + 0.5 * 0.3 + 0.2)


def test_in_a_harder_scene_fewer_leave_by_every_stage_and_the_shares_still_add_up() -> None:
    assert TWO.shares(2.0) == pytest.approx((0.64, 0.36))
    assert THREE.shares(2.0) == pytest.approx((0.25, 0.39, 0.36))
    assert TWO.mean_work(0.5) < TWO.mean_work() < TWO.mean_work(2.0) < 1.0


def test_pictures_vary_most_between_easy_and_hard() -> None:
    assert TWO.variation() == pytest.approx(0.75 * (0.8 * 0.2) ** 0.5 / TWO.mean_work())
    assert TWO.variation(0.01) < TWO.variation() > TWO.variation(100.0)


@pytest.mark.parametrize(
    ('quantile', 'difficulty', 'work'),
    [(0.5, 1.0, 0.2), (0.51, 1.0, 0.5), (0.8, 1.0, 0.5), (0.95, 1.0, 1.0), (0.95, 0.05, 0.2)],
)
def test_a_quantile_of_the_pictures_takes_the_path_that_reaches_it(
    quantile: float, difficulty: float, work: float
) -> None:
    assert THREE.work_at(quantile, difficulty) == work


@pytest.mark.parametrize(
    ('quantile', 'difficulty', 'of_path'),
    # 80 % leave by the first stage: at 0.9, half of those that go on. At 2, 64 % do.
    [(0.8, 1.0, 0.999), (0.9, 1.0, 0.5), (0.95, 1.0, 0.75), (0.4, 1.0, 0.5), (0.82, 2.0, 0.5)],
)
def test_of_a_path_only_what_other_paths_leave_over_may_be_late(
    quantile: float, difficulty: float, of_path: float
) -> None:
    assert TWO.quantile_of_path(quantile, difficulty) == pytest.approx(of_path)


def test_a_picture_leaves_after_the_first_stage_that_suffices() -> None:
    assert [THREE.of_hardness(h) for h in (0.0, 0.49, 0.51, 0.79, 0.81, 1.0)] == [0, 0, 1, 1, 2, 2]
    assert THREE.between('stage_1') == pytest.approx((0.5, 0.8))
    assert THREE.between('stage_2') == (pytest.approx(0.8), 1.0)
    assert THREE.between('elsewhere') is None


def test_a_stage_without_an_exit_is_the_end_of_no_path() -> None:
    found = paths((0.3, 0.0), (0.6, 0.7), (1.0, 0.3))
    assert found.shares() == pytest.approx((0.0, 0.7, 0.3))
    assert found.of_hardness(0.0) == 1


def test_that_no_calibration_picture_went_on_does_not_mean_that_none_ever_will() -> None:
    found = paths((0.3, 1.0), (1.0, 0.0))
    assert found.shares()[1] > 0
    assert found.work_at(0.99, 64.0) == 1.0


@pytest.mark.parametrize(
    ('stages', 'words'),
    [
        ((), 'no stage'),
        (((0.5, 0.5), (0.4, 0.3), (1.0, 0.2)), 'must not fall'),
        (((0.0, 0.5), (1.0, 0.5)), 'above 0'),
        (((0.5, 0.5), (1.1, 0.5)), 'is 1 at most'),
        (((0.5, 0.5), (1.0, 0.4)), 'add up to 1'),
        (((0.5, 1.2), (1.0, -0.2)), 'none below 0'),
        (((0.5, float('nan')), (1.0, 0.5)), 'add up to 1'),
        (((float('nan'), 0.5), (1.0, 0.5)), 'above 0'),
    ],
)
def test_stages_that_cannot_be_are_refused(
    stages: tuple[tuple[float, float], ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        paths(*stages)
