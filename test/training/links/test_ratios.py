# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.training.links.ratios import (
    Links,
    choose,
    cluster,
    dense_seconds,
    link_ratios,
)
from dynamic_dnn_ros.training.links.sparse import message_bytes

ELEMENTS = 1_000_000
SLOW, FAST = 1e6, 125e6
"""Bytes a second: 8 Mbit/s, 1 Gbit/s."""


def _two_laboratories(between=SLOW):
    bandwidth = np.full((4, 4), FAST)
    bandwidth[:2, 2:] = bandwidth[2:, :2] = between
    return Links(bandwidth, np.zeros((4, 4)))


def test_the_slowest_link_has_the_ratio_and_others_theirs_in_proportion():
    assert link_ratios([1.0, 10.0, 0.1], 25.0) == (2.5, 25.0, 1.0)


def test_links_that_take_no_time_are_not_compressed():
    assert link_ratios([0.0, 0.0], 25.0) == (1.0, 1.0)


def test_workers_of_one_laboratory_are_one_cluster():
    assert cluster(_two_laboratories().bandwidth) == ((0, 1), (2, 3))


def test_between_laboratories_only_leaders_send_and_less():
    plan = choose(_two_laboratories(), ELEMENTS, 25.0, compute_seconds=0.5)
    assert plan.clusters == ((0, 1), (2, 3))
    assert plan.counts[0] == plan.counts[1]
    assert message_bytes(ELEMENTS, plan.counts[0]) == pytest.approx(1.5 * 4 * ELEMENTS / 25, 0.02)
    assert plan.seconds < dense_seconds(_two_laboratories(), range(4), 4 * ELEMENTS) / 15


def test_of_a_slow_way_out_and_a_fast_way_back_only_the_slow_one_is_compressed():
    links = Links(np.array([[np.inf, SLOW], [FAST, np.inf]]), np.zeros((2, 2)))
    plan = choose(links, ELEMENTS, 25.0, compute_seconds=0.1)
    assert plan.clusters == ((0,), (1,))
    assert message_bytes(ELEMENTS, plan.counts[0]) < 4 * ELEMENTS / 24
    assert plan.counts[1] == ELEMENTS


@pytest.mark.parametrize('workers', [2, 3, 4, 8])
def test_a_line_carries_the_ratio_less_however_many_messages_it_carries(workers):
    plan = choose(Links.uniform(workers, SLOW), ELEMENTS, 25.0, compute_seconds=0.0)
    assert plan.clusters == tuple((worker,) for worker in range(workers))
    sent = (workers - 1) * message_bytes(ELEMENTS, plan.counts[0])
    whole = 2 * (workers - 1) / workers * 4 * ELEMENTS
    assert sent == pytest.approx(whole / 25, 0.02)


@pytest.mark.parametrize('workers', [2, 4])
def test_fast_links_are_left_alone(workers):
    plan = choose(Links.uniform(workers, FAST), ELEMENTS, 25.0, compute_seconds=0.5)
    assert not plan.compressed
    assert plan.counts == (ELEMENTS,)


def test_a_link_at_nothing_is_compressed_and_divides_by_nothing():
    plan = choose(Links.uniform(2, 0.0), ELEMENTS, 25.0, compute_seconds=0.5)
    assert plan.compressed
    assert np.isfinite(plan.seconds)


def test_ten_times_the_bandwidth_changes_the_plan():
    plans = [
        choose(Links.uniform(2, bandwidth), ELEMENTS, 25.0, compute_seconds=0.5)
        for bandwidth in (FAST, FAST / 10)
    ]
    assert [plan.compressed for plan in plans] == [False, True]
