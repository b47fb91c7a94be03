# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.management.baselines.e4 import E4, RECENT, _descent
from dynamic_dnn_ros.management.targets import Objective, Target
from support.applications import (
    GPU,
    STAGES,
    application,
    empty_points,
    operating_points,
    served_frame,
)
from support.loads import gpu_load
from support.scenarios import FRONT, REAR, mapping, simulated

INSTANCE = f'instance of {FRONT}'


def asked(latency: float = 0.03, name: str = FRONT, **fields: Any) -> Target:
    return Target(name, latency=latency, **fields)


def made(*targets: Target, **fields: Any) -> E4:
    decider = E4()
    decider.observe_load(gpu_load(), 0.0)
    for target in targets:
        decider.add_application(application(target.application, **fields), 0.0)
        decider.set_target(target, 1)
    return decider


def see(decider: E4, stage: str, frames: int = RECENT, slow: float = 1.0) -> None:
    """Serve s2 at the highest clock: pictures that all leave after one stage."""
    work = {name: work for name, work, _ in STAGES}[stage]
    for index in range(frames):
        # Half of them a little slower, half a little faster, as frames are.
        latency = 0.014 * slow * work * (1 + 0.01 * (-1) ** index)
        status = served_frame(FRONT, INSTANCE, 's2', latency, received=index)
        status = replace(status, work=work, exit_stage=stage)
        assert decider.observe(status, 0.1 * index)


def clock(decider: E4) -> float:
    clocks = decider.pick(10.0)[1]
    assert clocks is not None
    return clocks['gpu']


def test_clocks_follow_where_pictures_left() -> None:
    decider = made(asked(0.02, accuracy=0.9), stages={'s2': STAGES, 's3': STAGES})
    see(decider, 'first')
    easy = clock(decider)
    see(decider, 'last')
    hard = clock(decider)
    # The short path takes 20 ms at 15 + 85 % of the highest clock over 3.9, the long one 18.6.
    assert easy == pytest.approx(GPU[1])
    assert hard == pytest.approx(GPU[3])


def test_few_late_frames_are_allowed_and_no_more() -> None:
    def after(hard: int) -> float:
        decider = made(asked(0.02, accuracy=0.9), stages={'s2': STAGES})
        see(decider, 'first', RECENT - hard)
        see(decider, 'last', hard)
        return clock(decider)

    assert after(1) == pytest.approx(GPU[1])
    assert after(2) == pytest.approx(GPU[3])


def test_the_sub_network_is_chosen_with_the_clocks() -> None:
    decider = made(asked(0.02, objective=Objective.MAXIMUM_ACCURACY), stages={'s3': STAGES})
    # 22 ms at the highest clock; 10 % of the calibration pictures take that, 5 % may.
    assert decider.pick(0.0)[0] == {FRONT: ('s2', 'gpu')}
    easier = tuple(each._replace(taken=t) for each, t in zip(STAGES, (0.99, 0.01)))
    decider = made(asked(0.02, objective=Objective.MAXIMUM_ACCURACY), stages={'s3': easier})
    assert decider.pick(0.0)[0] == {FRONT: ('s3', 'gpu')}


def test_what_is_known_of_a_scene_gets_old_without_paths() -> None:
    decider = made(asked(0.02, accuracy=0.9), stages={'s2': STAGES})
    see(decider, 'last')
    for index in range(RECENT):
        decider.observe(served_frame(FRONT, INSTANCE, 's3', 0.022), 5.0 + index)
    assert not decider._scenes[FRONT].hardness


def test_a_slower_board_gets_higher_clocks() -> None:
    decider = made(asked(0.03, accuracy=0.9), stages={'s2': STAGES})
    see(decider, 'last')
    usual = clock(decider)
    see(decider, 'last', slow=1.6)
    assert clock(decider) > usual


def test_two_applications_share_the_higher_clocks() -> None:
    alone = made(asked(0.05, accuracy=0.9))
    both = made(asked(0.05, accuracy=0.9), asked(0.015, REAR, accuracy=0.9))
    assert clock(both) > clock(alone)


def test_the_descent_ends_where_no_domain_alone_improves() -> None:
    rows = np.array([(c, g) for c in (1, 2, 3) for g in (1, 2, 3)])
    cost = np.array([5.0, 4.0, 9.0, 3.0, 2.0, 9.0, 9.0, 9.0, 1.0])
    assert _descent(rows, cost, 0) == 4
    assert _descent(rows, cost, 5) == 8
    assert _descent(np.zeros((1, 0), np.int64), np.zeros(1), 0) == 0


@pytest.mark.filterwarnings('error')
def test_without_figures_of_power_or_without_a_profile_it_still_answers() -> None:
    decider = made(asked(0.03, accuracy=0.9), operating_points=operating_points(power=False))
    assert clock(decider) == pytest.approx(GPU[2])
    nothing = made(asked(), operating_points=empty_points())
    assert nothing.pick(0.0) == ({FRONT: ('s3', 'gpu')}, None)
    assert E4().pick(0.0) == ({}, None)


def test_in_simulation_it_saves_against_a_fixed_network_and_keeps_the_target() -> None:
    ours, fixed = (simulated(mapping(), name) for name in ('e4', 'best_fixed'))
    assert ours.energy[ours.total_rail] < fixed.energy[fixed.total_rail]
    frames = [f for f in ours.applications[FRONT].frames if f.time > 5.0]
    assert sum(f.latency > 0.075 for f in frames) <= 0.05 * len(frames)
