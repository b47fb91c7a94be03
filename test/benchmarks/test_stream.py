# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

Import = Callable[[str], ModuleType]


class Scripted:
    """A node that serves so many frames a second, and a camera that keeps up to a rate."""

    def __init__(self, stream: ModuleType, capacity: float, camera: float = 10_000.0) -> None:
        self.stream_suite = stream
        self.capacity = capacity
        self.camera = camera
        self.asked: list[float] = []

    def stream(self, seconds: float, rate: float) -> object:
        self.asked.append(rate)
        kept = min(rate, self.camera)
        published = 1000
        served = round(published * min(1.0, self.capacity / kept))
        return self.stream_suite.Segment(published, kept, published, served, [], [], [], 0.0)


@pytest.fixture
def stream(benchmark: Import, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    suite = benchmark('suites.stream')
    monkeypatch.setattr(suite.time, 'sleep', lambda seconds: None)
    return suite


@pytest.mark.parametrize('capacity', [25.0, 120.0, 400.0])
def test_finds_the_highest_rate_with_few_losses(stream: ModuleType, capacity: float) -> None:
    session = Scripted(stream, capacity)
    found = stream._highest_rate(session)
    limit = capacity / (1.0 - stream.HIGHEST_LOSS)
    assert limit / stream.SEARCH_STEP < found <= limit * 1.001
    assert len(session.asked) < 10


def test_a_camera_that_is_too_slow_ends_the_search(stream: ModuleType) -> None:
    found = stream._highest_rate(Scripted(stream, 400.0, camera=60.0))
    assert found <= 60.0


def test_nothing_is_served(stream: ModuleType) -> None:
    assert stream._highest_rate(Scripted(stream, 0.0)) == 0.0


def test_the_best_and_the_worst_run_are_dropped(stream: ModuleType) -> None:
    def segment(total: float, served: int) -> object:
        return stream.Segment(100, 30.0, 100, served, [], [total], [], 0.0)

    served = (0, 98, 96, 94, 100)
    found = [segment(0.1 * (index + 1), count) for index, count in enumerate(served)]
    lost, total = stream._fixed('name', found)
    assert lost.value == pytest.approx(4.0)
    assert (total.low, total.value, total.high) == pytest.approx((0.2, 0.3, 0.4))
