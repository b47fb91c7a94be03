# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from dynamic_dnn_ros.training.links.deviation import Deviation


@pytest.mark.parametrize('taken', [1.0, 0.01])
def test_ten_times_the_bandwidth_or_a_tenth_is_noticed_in_three_steps(taken):
    deviation = Deviation()
    assert [deviation.seen(0.1, taken) for _ in range(3)] == [False, False, True]


def test_one_slow_step_is_no_change():
    deviation = Deviation()
    taken = [0.1, 10.0, 0.1, 0.1, 10.0, 10.0, 0.1, 0.1]
    assert not any(deviation.seen(0.1, each) for each in taken)


def test_milliseconds_do_not_count():
    deviation = Deviation()
    assert not any(deviation.seen(0.001, 0.01) for _ in range(5))


def test_after_a_new_plan_counting_begins_anew():
    deviation = Deviation()
    assert [deviation.seen(0.1, 1.0) for _ in range(2)] == [False, False]
    deviation.forget()
    assert not deviation.seen(0.1, 1.0)
