# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What other load took of a board in a recorded run."""

from __future__ import annotations

from collections.abc import Sequence
import math

import pytest

from dynamic_dnn_ros.management.observations import DomainLoad, Load
from dynamic_dnn_ros.simulation.recorded_load import other_load

PERIOD = 0.1
LOW, HIGH = 5e8, 1e9


def taken(told: Sequence[tuple[float, float, float]]) -> tuple[list[float], list[float]]:
    """Return what others took of a domain by loads of (time, Hz, share of the time)."""
    loads = [
        (at, Load('board', 'boot', PERIOD, (DomainLoad('gpu', (), 0.0, 0.0, clock, 0.0, share),)))
        for at, clock, share in told
    ]
    return other_load(loads).get('gpu', ([], []))


def test_what_others_took_before_a_clock_rose_is_no_more_for_that() -> None:
    """A load right after a setting tells of the time before it, and names the new clock."""
    told = [(at, LOW, 0.4) for at in (0.0, 0.1, 0.2)]
    told += [(0.203, HIGH, 0.4), (0.3, HIGH, 0.2), (0.4, HIGH, 0.2)]
    times, cycles = taken(told)
    assert times == [0.0, 0.1, 0.2, 0.203, 0.3, 0.4]
    assert cycles == pytest.approx([0.4 * LOW] * 6, rel=0.02)


def test_what_others_took_before_a_clock_fell_is_no_less_for_that() -> None:
    _, cycles = taken([(0.0, HIGH, 0.2), (0.1, HIGH, 0.2), (0.2, LOW, 0.2), (0.3, LOW, 0.4)])
    assert cycles == pytest.approx([0.2 * HIGH] * 4)


def test_the_time_for_which_each_clock_held_counts() -> None:
    _, cycles = taken([(0.0, LOW, 0.3), (0.15, HIGH, 0.3), (0.2, HIGH, 0.3)])
    assert cycles[-1] == pytest.approx(0.3 * (LOW + HIGH) / 2)


def test_nothing_is_known_where_the_clock_is_not() -> None:
    told = [(0.0, LOW, 0.4), (0.1, math.nan, 0.4), (0.2, HIGH, 0.4), (0.3, HIGH, math.nan)]
    times, cycles = taken(told)
    assert times == [0.0, 0.2]
    assert cycles == pytest.approx([0.4 * LOW, 0.4 * HIGH])
