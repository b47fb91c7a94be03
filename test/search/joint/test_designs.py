# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.search.joint.board_costs import BoardCosts
from dynamic_dnn_ros.search.joint.designs import Designer
from dynamic_dnn_ros.search.joint.genome import Choice
from support.joint import HEAD, backbone

BOARD = load_board('xavier_nx_simulated')
COSTS = BoardCosts(BOARD)
HIGHEST = tuple(count - 1 for count in COSTS.steps)
BACKBONE = backbone()
PROMISES = (0.005, 0.02)


def test_a_picture_pays_for_the_heads_that_it_passes():
    cost = BACKBONE.cost((0, 2))
    assert cost.layers == 4 * 12 + 2 * HEAD.layers
    assert BACKBONE.cost((0, 2), after=0).layers == 12 + HEAD.layers
    assert BACKBONE.measured_works((0, 2)) == pytest.approx(
        ((1.05) / 4.1, (3.1) / 4.1, 1.0), rel=1e-6
    )


def test_works_are_those_measured_or_those_of_the_board():
    measured, modelled = (
        Designer(COSTS, PROMISES, measured=flag).works(BACKBONE, (0, 1)) for flag in (True, False)
    )
    assert measured[-1] == modelled[-1] == 1.0
    # What a board takes whatever the network is, it takes for the first stage.
    assert modelled[0] > measured[0]


def test_energy_is_that_of_the_mean_picture_at_the_clocks():
    design = Designer(COSTS, PROMISES).design(BACKBONE, Choice((0, 1), 1, HIGHEST))
    assert design.setting == {row.name: row.available[-1] for row in BOARD.limits()}
    whole = COSTS.at(BACKBONE.cost((0, 1)), 1.0, design.setting)
    assert design.spent.energy == pytest.approx(design.work * whole.energy)
    assert design.spent.time == pytest.approx(design.work * whole.time)
    assert 0.3 < design.work < 0.8
    assert design.latency <= whole.time


def test_a_camera_pays_for_the_idle_board_too():
    choice = Choice((0,), 0, HIGHEST)
    alone = Designer(COSTS, PROMISES).design(BACKBONE, choice)
    waiting = Designer(BoardCosts(BOARD, rate=5.0), PROMISES).design(BACKBONE, choice)
    idle = BOARD.power(alone.setting, {})[BOARD.total_power_rail]
    assert waiting.spent.energy == pytest.approx(
        alone.spent.energy + idle * (0.2 - alone.spent.time)
    )


def test_governors_choose_high_clocks_for_pictures_one_after_the_other():
    designer = Designer(COSTS, PROMISES)
    governed = designer.governed(BACKBONE, (0,), 0)
    highest = designer.design(BACKBONE, Choice((0,), 0, HIGHEST))
    lowest = designer.design(BACKBONE, Choice((0,), 0, (0,) * len(HIGHEST)))
    assert governed.setting is None
    assert highest.spent.time <= governed.spent.time < 0.5 * lowest.spent.time


def test_governors_lower_the_clocks_for_a_slow_camera():
    slow = Designer(BoardCosts(BOARD, rate=2.0), PROMISES).governed(BACKBONE, (0,), 0)
    fast = Designer(COSTS, PROMISES).governed(BACKBONE, (0,), 0)
    assert slow.spent.time > fast.spent.time


def test_the_oracle_takes_less_and_loses_nothing():
    choice = Choice((0, 1), 0, HIGHEST)
    bound = Designer(COSTS, PROMISES, oracle=True).design(BACKBONE, choice)
    real = Designer(COSTS, PROMISES).design(BACKBONE, choice)
    assert bound.spent.energy < real.spent.energy
    assert bound.accuracy >= BACKBONE.answers.accuracy
