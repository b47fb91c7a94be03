# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whose samples of the load count where more than one platform node is heard."""

from __future__ import annotations

import math

from dynamic_dnn_ros.platforms.load_source import (
    LEAST_STALE,
    LONGEST_STALE,
    LoadSource,
    stale_after,
)

PERIOD = 0.1


def heard(source: LoadSource, platform: str, now: float, instance: str = 'a') -> bool:
    return source.takes(platform, instance, now, PERIOD, now)


def test_a_load_is_stale_after_three_periods_but_never_within_a_second() -> None:
    assert stale_after(1.0) == 3.0
    assert stale_after(0.01) == LEAST_STALE
    assert stale_after(1e9) == LONGEST_STALE


def test_a_platform_node_that_comes_for_a_moment_changes_nothing() -> None:
    source = LoadSource()
    assert heard(source, 'board', 0.0)
    assert not heard(source, 'linux', 0.1, 'b')
    assert heard(source, 'board', 0.2) and source.platform == 'board'


def test_another_platform_counts_once_the_first_is_silent() -> None:
    source = LoadSource()
    heard(source, 'board', 0.0)
    assert not heard(source, 'linux', LEAST_STALE)
    assert heard(source, 'linux', LEAST_STALE + 0.1) and source.platform == 'linux'
    assert not heard(source, 'board', LEAST_STALE + 0.2)


def test_a_platform_node_that_was_started_anew_counts_at_once() -> None:
    source = LoadSource()
    heard(source, 'board', 100.0)
    assert source.takes('board', 'b', 0.1, PERIOD, 100.1)


def test_what_is_out_of_order_does_not_count() -> None:
    source = LoadSource()
    heard(source, 'board', 5.0)
    assert not source.takes('board', 'a', 4.9, PERIOD, 5.1)


def test_one_sample_from_the_future_changes_nothing() -> None:
    source = LoadSource()
    heard(source, 'board', 0.0)
    for sampled in (1e18, math.inf, math.nan):
        assert not source.takes('board', 'a', sampled, PERIOD, 0.05)
        assert heard(source, 'board', 0.1)


def test_a_first_sample_from_the_future_is_forgotten_when_it_is_stale() -> None:
    source = LoadSource()
    assert source.takes('board', 'a', 1e18, 1e18, 0.0)
    assert not heard(source, 'board', 0.1)
    assert heard(source, 'board', LONGEST_STALE + 0.1)
    assert heard(source, 'board', LONGEST_STALE + 0.2)
