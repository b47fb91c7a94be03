# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What several pictures together take, of sub-networks whose clock is moved by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dynamic_dnn_ros.engines.contract import Outputs, Picture, PreparedSubNetwork
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.profiling.batches import batch_latency
from support.separate_models import entry

SECONDS = {1: 0.010, 2: 0.018, 4: 0.030}


class Timed(PreparedSubNetwork):
    """One that moves its clock by what so many pictures take, and by the drift of its computer."""

    def __init__(self, largest: int, drift: float = 1.0) -> None:
        super().__init__(entry('s', 'm', Size(8, 8)), 'cpu')
        self.largest_batch = largest
        self.now = 0.0
        self.runs: list[int] = []
        self.drift = drift
        self.slow = 1.0

    def clock(self) -> float:
        return self.now

    def run(self, picture: Picture) -> Outputs:
        return self._run_together([picture])

    def _run_together(self, pictures: Sequence[Picture]) -> Outputs:
        self.runs.append(len(pictures))
        self.now += self.slow * SECONDS[len(pictures)]
        if len(pictures) == max(SECONDS):
            self.slow *= self.drift
        return {}


def test_multiples_are_of_one_picture_and_those_between_are_interpolated() -> None:
    prepared = Timed(largest=8)
    found = batch_latency(prepared, (1, 2, 4), prepared.clock)
    assert found == pytest.approx([1.0, 1.8, 2.4, 3.0])


def test_a_computer_that_becomes_slower_changes_no_multiple() -> None:
    prepared = Timed(largest=8, drift=1.2)
    found = batch_latency(prepared, (2, 4), prepared.clock)
    assert found == pytest.approx([1.0, 1.8, 2.4, 3.0])


@pytest.mark.parametrize(
    ('largest', 'expected'),
    [(1, [1.0, 2.0, 3.0, 4.0]), (2, [1.0, 1.8, 2.7, 3.6])],
)
def test_what_takes_fewer_takes_them_one_batch_after_the_other(
    largest: int, expected: list[float]
) -> None:
    prepared = Timed(largest)
    assert batch_latency(prepared, (1, 2, 4), prepared.clock) == pytest.approx(expected)
    assert max(prepared.runs) == largest


def test_a_slow_one_is_given_up_on_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = Timed(largest=4)
    prepared.slow = 100.0
    batch_latency(prepared, (4,), prepared.clock)
    assert prepared.runs == [4, *([1, 4] * 5)]
