# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""On a computer that others keep busy, changes do not follow each other faster than the dwell."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
import random

import pytest

from dynamic_dnn_ros.management.assessment import ResourceSettings
from dynamic_dnn_ros.management.decisions import SwitchReason
from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.observations import DomainLoad, Load
from dynamic_dnn_ros.simulation.scenario import Delays
from dynamic_dnn_ros.simulation.table_board import TableBoard
from support.applications import GPU, application, operating_points
from support.table_loop import TableLoop, with_camera

FRONT = '/front/inference_node'
SUB_NETWORKS = {f's{i}': (0.010 + 0.004 * i, 0.80 + 0.015 * i) for i in range(8)}
DWELL = ResourceSettings().dwell
UNTIL = 60.0


class BusyBoard(TableBoard):
    """
    A board whose samples are late at times, and whose frames take up to 2.5 times as long.

    :param seed: of what happens when
    """

    def __init__(self, seed: int) -> None:
        one = application(
            FRONT,
            operating_points=operating_points((), SUB_NETWORKS),
            accuracies={name: accuracy for name, (_, accuracy) in SUB_NETWORKS.items()},
            sub_network='s7',
        )
        draw = random.Random(seed)
        factors = [draw.choice([1.0, 1.3, 1.8, 2.5]) for _ in range(int(UNTIL / 1.3) + 1)]
        super().__init__({FRONT: one}, 0.25, lambda _, now: factors[int(now / 1.3)], seed=seed)
        self.application = one
        self.draw = draw

    def sample(self, now: float, manager: str) -> Load:
        # A virtual machine has processors, but no clocks that anybody knows.
        unknown = DomainLoad('cpu', (), float('nan'), float('nan'), float('nan'))
        return replace(super().sample(now, manager), domains=(unknown,))

    def delay(self, now: float) -> float | None:
        return None if self.draw.random() < 0.6 else 0.0


@pytest.mark.parametrize('preparation', [0.0, 3.0])
@pytest.mark.parametrize('seed', range(4))
def test_without_a_target_changes_keep_to_the_dwell(seed: int, preparation: float) -> None:
    board = BusyBoard(seed)
    camera = with_camera(board.application, 20.0)
    loop = TableLoop(Manager('me'), board, [camera], delays=Delays(0.0, preparation))
    loop.run(UNTIL)
    decided = [(at, switch) for at, switch in loop.record.switches if not switch.again]
    assert len(decided) > 2, 'nothing was to be held back'
    for (at, one), (then, other) in pairwise(decided):
        assert one.sub_network != other.sub_network
        # What is on its way is not overtaken, and has its time once it serves.
        assert then - at >= DWELL + preparation - 1e-6
        assert other.reason is SwitchReason.MEASUREMENT
    assert len(loop.record.switches) <= len(decided) * (1 if not preparation else 3)


def test_other_load_that_comes_and_goes_makes_changes_rarer() -> None:
    one = application(
        FRONT,
        operating_points=operating_points(sub_networks=SUB_NETWORKS),
        accuracies={name: accuracy for name, (_, accuracy) in SUB_NETWORKS.items()},
        sub_network='s7',
    )
    board = TableBoard(
        {FRONT: one}, 0.03, None, lambda now: {'gpu': 0.55 * GPU[-1]} if now % 7 < 1 else {}
    )
    loop = TableLoop(Manager('me'), board, [with_camera(one, 20.0)])
    loop.run(120.0)
    times = [at for at, switch in loop.record.switches if not switch.again]
    assert sum(at < 30.0 for at in times) >= 2
    assert sum(at >= 60.0 for at in times) <= 4
