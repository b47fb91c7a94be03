# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Two event loops that are compared serve the same frames."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest


def test_the_same_frames_at_the_same_times(benchmark: Callable[[str], ModuleType]) -> None:
    pytest.importorskip('simpy')
    loops = benchmark('event_loops')
    ours, theirs = loops.heap(30.0), loops.simpy(30.0)
    assert len(ours) == pytest.approx(len(loops.PHASES) * loops.RATE * 30.0, abs=2)
    assert [worker for _, worker in ours] == [worker for _, worker in theirs]
    for (own, _), (other, _) in zip(ours, theirs):
        assert own == pytest.approx(other, abs=1e-9)
