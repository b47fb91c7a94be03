# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is done about a single late frame."""

from __future__ import annotations

import numpy as np

from dynamic_dnn_ros.management.application_level import ApplicationLevel, Reaction
from dynamic_dnn_ros.management.assessment import Demand
from dynamic_dnn_ros.management.estimator import SlowDownFilter
from dynamic_dnn_ros.management.tables import application_table
from dynamic_dnn_ros.management.targets import Objective, Target
from support.applications import application

TABLE = application_table(application())
HIGHEST = TABLE.nearest_row({})


def demand(**limits: float) -> Demand:
    slow_down = SlowDownFilter()
    for _ in range(50):
        slow_down.update(1.0, 0.02)
    target = Target('/a', objective=Objective.MAXIMUM_ACCURACY, **limits)  # type: ignore[arg-type]
    shares = np.zeros((len(TABLE.options), 0))
    usable = np.ones(len(TABLE.options), dtype=bool)
    return Demand(target, 0, slow_down, 30.0, 0.0, 0.0, usable, shares)


def react(
    level: ApplicationLevel, wish: Demand, ratio: float, now: float = 0.0
) -> Reaction | None:
    total = float(TABLE.mean[3, HIGHEST]) * ratio
    return level.react(TABLE, HIGHEST, 3, wish, ratio, total, now)


def test_moves_to_the_best_sub_network_that_would_still_do() -> None:
    assert react(ApplicationLevel(1.0), demand(latency=0.03), 3.0) == Reaction(option=1)
    assert react(ApplicationLevel(1.0), demand(latency=0.03), 1.6) == Reaction(option=2)


def test_stays_while_the_frame_is_in_time_or_explained() -> None:
    assert react(ApplicationLevel(1.0), demand(latency=0.05), 2.0) is None
    assert react(ApplicationLevel(1.0), demand(latency=0.02), 1.01) is None
    assert react(ApplicationLevel(1.0), demand(accuracy=0.8), 3.0) is None


def test_asks_the_clocks_when_no_sub_network_mends_it() -> None:
    accurate = demand(latency=0.03, accuracy=0.92)
    assert react(ApplicationLevel(1.0), accurate, 2.0) == Reaction(suspected=2.0)
    assert react(ApplicationLevel(1.0), demand(latency=0.03), 50.0) == Reaction(suspected=50.0)


def test_uses_only_what_may_be_used() -> None:
    wish = demand(latency=0.03)
    wish.usable[1] = False
    assert react(ApplicationLevel(1.0), wish, 3.0) == Reaction(option=0)


def test_needless_moves_become_rarer_until_one_was_right() -> None:
    level, wish = ApplicationLevel(1.0), demand(latency=0.03)
    moves = [now for now in np.arange(0.0, 30.0, 0.1) if react(level, wish, 2.0, now) is not None]
    assert len(moves) <= 6
    assert moves[-1] - moves[-2] > 4
    level.confirm()
    assert react(level, wish, 2.0, moves[-1] + 1.1) is not None
