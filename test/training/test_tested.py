# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.tasks.contract import Metric
from dynamic_dnn_ros.training.tested import (
    accuracy_data,
    certainty,
    pictures_tested,
    standard_error,
)


def test_the_number_of_pictures_is_read_as_it_was_written() -> None:
    assert pictures_tested(accuracy_data('my things, 12 test pictures', 345)) == 345
    assert pictures_tested('COCO val2017') == pictures_tested('') == 0


@pytest.mark.parametrize(('share', 'count'), [(0.9, 200), (0.5, 60), (0.89, 10_000)])
def test_the_standard_error_is_the_spread_of_such_measurements(share: float, count: int) -> None:
    drawn = np.random.default_rng(0).binomial(count, share, 20_000) / count
    assert standard_error(share, count) == pytest.approx(drawn.std(), rel=0.06)


def test_where_all_are_right_it_is_not_certain_either() -> None:
    assert standard_error(1.0, 30) == pytest.approx(standard_error(0.0, 30))
    assert standard_error(1.0, 30) > 0.03


def test_few_pictures_are_said_with_what_that_means() -> None:
    said = certainty('test accuracy', Metric.TOP1, [0.99, 0.8], 30)
    assert said == (
        'test accuracy: top-1 on 30 pictures, standard error 7.3%: sub-networks that differ by '
        'less may be equally good'
    )
    said = certainty('test accuracy', Metric.TOP1, [0.89], 10_000)
    assert said == 'test accuracy: top-1 on 10000 pictures, standard error 0.3%'
    said = certainty('test accuracy', Metric.MAP_50_95, [0.4], 30)
    assert said == 'test accuracy: AP 50:95 on 30 pictures; a standard error is not known'
