# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dynamic_dnn_ros.management.baselines.probing import CHECKED, PROBES, Probing
from dynamic_dnn_ros.management.baselines.search_space import Place, SearchSpace
from dynamic_dnn_ros.management.targets import Objective, Target
from support.applications import GPU, SUB_NETWORKS, application, empty_points, served_frame
from support.loads import gpu_load
from support.scenarios import FRONT


class Listed(Probing):
    """Tries what a test lists."""

    def __init__(self, *places: Place) -> None:
        super().__init__('test')
        self._places = places

    def propose(self, space: SearchSpace) -> Place | None:
        number = len(self.tried) - 1
        return self._places[number] if number < len(self._places) else None


class Board:
    """Serves and draws power as the made-up table says, times factors, 20 frames a second."""

    def __init__(self, decider: Probing) -> None:
        self.decider, self.now, self.slow_down = decider, 0.0, 1.0
        decider.add_application(application(FRONT, sub_network='s3'), 0.0)
        self.clock, self.option, self.received = GPU[-1], 's3', 0
        self.limit = GPU[-1]

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.05
            self.received += 1
            highest, _ = SUB_NETWORKS[self.option]
            latency = self.slow_down * highest * (0.15 + 0.85 * GPU[-1] / self.clock)
            frame = served_frame(FRONT, 'x', self.option, latency, received=self.received)
            asked = self.decider.observe(frame, self.now)
            power = 3.0 + 5.0 * (self.clock / GPU[-1]) ** 2 + 10.0 * latency
            asked |= self.decider.observe_load(
                gpu_load(min(self.clock, self.limit), power, limit=self.limit), self.now
            )
            if asked or self.received % 10 == 0:
                decision = self.decider.decide(self.now)
                for switch in decision.switches:
                    self.option = switch.sub_network
                    self.decider.add_application(application(FRONT, sub_network=self.option), 0.0)
                if decision.setting:
                    self.clock = decision.setting[0].maximum


def target(latency: float = 0.03, **fields: float) -> Target:
    return Target(FRONT, latency=latency, **fields)


def searched(decider: Probing, asked: Target) -> Board:
    board = Board(decider)
    decider.set_target(asked, 1)
    board.run(60.0)
    return board


def test_the_one_of_least_power_that_keeps_the_target_is_kept() -> None:
    decider = Listed((0, 1), (1, 3), (0, 0), (2, 4))
    board = searched(decider, target(0.015))
    # The slower ones of these take less power, but 16 and 33 ms.
    assert [probe.place for probe in decider.tried] == [(0, 4), (0, 1), (1, 3), (0, 0), (2, 4)]
    assert (board.option, board.clock) == ('s0', GPU[1])
    assert not decider.searching


def test_where_none_keeps_the_target_the_one_that_is_late_by_least_is_kept() -> None:
    board = searched(Listed((1, 2), (2, 1)), target(0.001))
    assert (board.option, board.clock) == ('s0', GPU[-1])


def test_only_sub_networks_that_are_accurate_enough_are_tried() -> None:
    decider = Listed()
    searched(decider, target(0.05, accuracy=0.89))
    assert decider.space is not None
    assert decider.space.options[FRONT] == (('s2', 'gpu'), ('s3', 'gpu'))


def test_the_objective_says_which_is_best() -> None:
    places = ((1, 4), (1, 2), (0, 2))
    for objective, option, clock in (
        (Objective.MINIMUM_ENERGY, 's0', GPU[2]),
        (Objective.MAXIMUM_ACCURACY, 's1', GPU[2]),
        (Objective.MINIMUM_LATENCY, 's0', GPU[4]),
    ):
        decider = Listed(*places)
        board = searched(decider, Target(FRONT, latency=0.05, objective=objective))
        assert (board.option, board.clock) == (option, clock)


def test_another_target_or_limit_begins_anew() -> None:
    decider = Listed((0, 1))
    board = searched(decider, target(0.05))
    decider.set_target(target(0.06), 2)
    board.run(1.0)
    assert decider.searching and not decider.tried
    board.run(30.0)
    assert not decider.searching
    board.limit = GPU[2]
    board.run(1.0)
    assert decider.searching
    assert decider.space is not None and decider.space.clocks['gpu'] == GPU[:3]


def test_a_board_that_becomes_slower_is_searched_anew() -> None:
    decider = Listed((0, 1))
    board = searched(decider, target(0.05))
    board.run(CHECKED * 0.05 + 2.0)
    assert not decider.searching
    board.slow_down = 1.6
    for _ in range(40):
        board.run(0.5)
        if decider.searching:
            break
    assert decider.searching


def test_one_that_turns_out_late_gives_way_to_the_next() -> None:
    decider = Listed((0, 2), (0, 1))
    board = searched(decider, target(0.013))
    assert board.clock == GPU[1]
    # Above the target by a little, not by enough to search anew.
    board.slow_down = 1.1
    board.run(20.0)
    assert not decider.searching
    assert board.clock == GPU[2]


def test_it_ends_after_as_many_as_it_may_try() -> None:
    decider = Listed(*[(i % 4, i % 5) for i in range(100)])
    board = Board(decider)
    decider.set_target(target(0.5), 1)
    board.run(PROBES * 3.0)
    assert len(decider.tried) == PROBES and not decider.searching


def test_an_application_without_any_points_serves_on_while_clocks_are_tried() -> None:
    decider = Listed((0, 2))
    points = empty_points()
    decider.add_application(application(FRONT, sub_network='s2', operating_points=points), 0.0)
    assert decider.decide(0.0).setting is None
    decider.observe_load(gpu_load(), 0.1)
    decision = decider.decide(0.2)
    assert not decision.switches
    assert decision.setting is not None and decision.setting[0].maximum == GPU[-1]
