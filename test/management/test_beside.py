# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What other programs take of the power, at which clock of the CPU."""

from __future__ import annotations

import math

import pytest

from dynamic_dnn_ros.management.beside import Beside, OtherPrograms
from dynamic_dnn_ros.management.observations import DomainLoad, Load

OWN = 5.0
"""Watts that are predicted of our own plan."""


class Board:
    """Has other programs on its CPU; what they take follows their kind."""

    def __init__(self, polls: bool) -> None:
        self.polls = polls
        self.others = OtherPrograms()
        self.now = 0.0

    def run(self, clock: float, seconds: float = 5.0, share: float = 0.35) -> Beside | None:
        """Run at a clock, Hz; a share is that at 1 GHz, of work that has to be done."""
        for _ in range(round(seconds / 0.5)):
            busy = share if self.polls else share * 1e9 / clock
            domain = DomainLoad('cpu', (), 5e8, 2e9, clock, 0.1, busy)
            watts = OWN + 3.0 * busy * clock / 1e9
            self.now += 0.5
            load = Load('board', 'boot', 0.5, (domain,), power=watts, monotonic_time=self.now)
            self.others.observe(load, OWN, True, self.now)
        return self.others.power


def test_before_a_clock_has_changed_something_between_is_supposed() -> None:
    found = Board(True).run(1e9)
    assert found is not None and found.exponent == 0.5
    assert found.watts == pytest.approx(3.0 * 0.35, rel=0.1)


def test_programs_that_poll_take_less_at_a_lower_clock() -> None:
    board = Board(True)
    for clock in (2e9, 1e9, 1.5e9, 1e9):
        found = board.run(clock)
    assert found is not None and found.exponent > 0.9
    # It stays the same thing until it changes, so that nothing is decided anew for it.
    assert board.run(1e9) is found
    again = board.run(2e9, 10.0)
    assert again is not None
    assert again.watts * (1e9 / again.clock) == pytest.approx(3.0 * 0.35, rel=0.1)


def test_work_that_has_to_be_done_takes_the_same_at_any_clock() -> None:
    board = Board(False)
    for clock in (2e9, 1e9, 2e9):
        found = board.run(clock)
    assert found is None


def test_a_load_that_jumps_with_the_clock_says_nothing() -> None:
    board = Board(True)
    board.run(1e9, 1.0)
    for number in range(8):
        found = board.run(2e9 if number % 2 else 1e9, 0.5, 0.2 + 0.05 * number)
    assert found is not None and found.exponent == 0.5


@pytest.mark.parametrize(
    'domain',
    [
        DomainLoad('cpu', (), 5e8, 2e9, 1e9, 0.1, 0.01),
        DomainLoad('cpu', (), 5e8, 2e9, 1e9, 0.1, math.nan),
        DomainLoad('cpu', (), 5e8, 2e9, math.nan, 0.1, 0.3),
        DomainLoad('gpu', (), 5e8, 2e9, 1e9, 0.1, 0.3),
    ],
)
def test_where_nobody_else_is_or_nobody_knows_nothing_is_counted(domain: DomainLoad) -> None:
    board = Board(True)
    assert board.run(1e9) is not None
    board.others.observe(Load('board', 'boot', 0.5, (domain,), power=9.0), OWN, True, 9.0)
    assert board.others.power is None


def test_power_that_is_not_known_counts_for_nothing() -> None:
    board = Board(True)
    domain = DomainLoad('cpu', (), 5e8, 2e9, 1e9, 0.1, 0.3)
    board.others.observe(Load('board', 'boot', 0.5, (domain,)), OWN, True, 1.0)
    board.others.observe(Load('board', 'boot', 0.5, (domain,), power=9.0), math.nan, True, 1.5)
    assert board.others.power is None
