# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether late frames prove predictions good."""

from __future__ import annotations

from collections.abc import Iterable
import math

import pytest

from dynamic_dnn_ros.management.lateness import IN_A_ROW, Lateness, Trust
from dynamic_dnn_ros.management.targets import Target

LIMIT = 0.1
TARGET = Target('/a', latency=LIMIT, latency_quantile=0.95)
HORIZON = 80
"""Frames of which that quantile lets four be late."""


def seen(late: Iterable[bool], lateness: Lateness | None = None) -> Lateness:
    found = lateness or Lateness()
    for each in late:
        found.observe(TARGET, 2 * LIMIT if each else 0.5 * LIMIT)
    return found


def some(count: int, every: int) -> list[bool]:
    return [number % every == every - 1 for number in range(count)]


def test_nothing_is_proven_by_few_frames() -> None:
    assert Lateness().trust is not Trust.PROVEN
    assert seen([False] * (HORIZON // 2 - 1)).trust is not Trust.PROVEN
    assert seen([False] * (HORIZON // 2)).trust is Trust.PROVEN


def test_as_many_late_frames_as_may_be_prove_nothing() -> None:
    assert seen(some(10 * HORIZON, 20)).trust is not Trust.PROVEN
    assert seen(some(10 * HORIZON, 100)).trust is Trust.PROVEN


def test_more_late_frames_refute_it_before_the_quantile_is_used_up() -> None:
    lateness = seen([False] * HORIZON)
    count = 0
    while lateness.trust is Trust.PROVEN:
        seen([True, False], lateness)
        count += 1
    assert 1 < count < 0.05 * HORIZON


def test_late_frames_in_a_row_refute_it_at_once() -> None:
    lateness = seen([*[False] * HORIZON, *[True] * IN_A_ROW])
    assert lateness.trust is Trust.REFUTED


def test_what_was_refuted_has_to_be_proven_for_longer() -> None:
    lateness = seen([*[False] * HORIZON, True, True])
    seen([False] * (HORIZON - 1), lateness)
    assert lateness.trust is not Trust.PROVEN
    seen([False], lateness)
    assert lateness.trust is Trust.PROVEN


def test_a_board_that_has_changed_proves_nothing_at_first() -> None:
    lateness = seen([False] * HORIZON)
    lateness.begin_anew()
    assert lateness.trust is not Trust.PROVEN
    assert seen([False] * (HORIZON // 2), lateness).trust is Trust.PROVEN


@pytest.mark.parametrize(
    'other',
    [
        Target('/a', latency=0.9 * LIMIT, latency_quantile=0.95),
        Target('/a', latency=LIMIT, latency_quantile=0.9),
        Target('/a', accuracy=0.5),
        None,
    ],
)
def test_another_target_begins_anew(other: Target | None) -> None:
    lateness = seen([False] * HORIZON)
    lateness.observe(other, 0.5 * LIMIT)
    assert lateness.trust is not Trust.PROVEN
    assert seen([False], lateness).trust is not Trust.PROVEN


def test_the_same_target_sent_again_does_not() -> None:
    lateness = seen([False] * HORIZON)
    lateness.observe(Target('/a', latency=LIMIT, latency_quantile=0.95, stamp=5), 0.5 * LIMIT)
    assert lateness.trust is Trust.PROVEN


@pytest.mark.parametrize('quantile', [0.98, 0.999])
def test_a_quantile_that_few_frames_cannot_tell_is_never_proven(quantile: float) -> None:
    lateness, target = Lateness(), Target('/a', latency=LIMIT, latency_quantile=quantile)
    for _ in range(5000):
        lateness.observe(target, 0.5 * LIMIT)
    assert lateness.trust is not Trust.PROVEN


def test_a_latency_that_is_no_number_is_late() -> None:
    lateness = seen([False] * HORIZON)
    for _ in range(IN_A_ROW):
        lateness.observe(TARGET, math.nan)
    assert lateness.trust is not Trust.PROVEN
