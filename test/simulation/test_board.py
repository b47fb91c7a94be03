# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The board frame by frame: clocks in the middle of a frame, sharing, energy, heat."""

from __future__ import annotations

import pytest

from dynamic_dnn_ros.management.decisions import DomainFrequency
from dynamic_dnn_ros.platforms.board_model import NetworkCost, load_board
from dynamic_dnn_ros.simulation.board import BoardInTime, FrameInWork

COST = NetworkCost(multiply_adds=400_000_000, layers=60, parameters=6_000_000)


@pytest.fixture
def board() -> BoardInTime:
    return BoardInTime(load_board('xavier_nx_simulated'))


def fixed(board: BoardInTime, gpu: float) -> None:
    """Pin all clocks."""
    limits = {row.name: row.available for row in board.board.limits()}
    clocks = {'cpu': limits['cpu'][-1], 'gpu': gpu, 'memory': limits['memory'][-1]}
    board.apply([DomainFrequency(name, f, f) for name, f in clocks.items()])


def finish(board: BoardInTime, frame: FrameInWork) -> float:
    """Let time pass until a frame is done; return when."""
    while True:
        event = board.next_event()
        if frame.finish < event:
            board.advance(frame.finish)
            board.end(frame)
            return board.now
        board.advance(event)
        board.happen()


def test_a_frame_alone_takes_what_the_model_says(board: BoardInTime) -> None:
    fixed(board, 599.25e6)
    frame = FrameInWork(COST, 'gpu', 1.2)
    board.begin(frame)
    clocks = dict(zip(board.domains, board.granted))
    assert clocks['gpu'] == 599.25e6
    assert finish(board, frame) == pytest.approx(1.2 * board.board.latency(COST, 'gpu', clocks))


def test_a_clock_that_changes_takes_effect_in_the_middle_of_a_frame(board: BoardInTime) -> None:
    fixed(board, 1109.25e6)
    fast = board.work(COST, 'gpu').latency
    frame = FrameInWork(COST, 'gpu', 1.0)
    board.begin(frame)
    board.advance(fast / 4)
    fixed(board, 510e6)
    slow = board.work(COST, 'gpu').latency
    assert slow > 1.2 * fast
    assert finish(board, frame) == pytest.approx(fast / 4 + 0.75 * slow)


def test_energy_is_that_of_the_model(board: BoardInTime) -> None:
    fixed(board, 803.25e6)
    clocks = dict(zip(board.domains, board.granted))
    frame = FrameInWork(COST, 'gpu', 1.0)
    board.begin(frame)
    end = finish(board, frame)
    board.advance(0.2)
    parts = board.board.parts(COST, 'gpu', clocks)
    activity = {
        name: seconds / parts.total / board.board.units(name)
        for name, seconds in parts.activity().items()
    }
    busy = board.board.power(clocks, activity)
    idle = board.board.power(clocks, {})
    for index, rail in enumerate(board.rails):
        assert board.energy[index] == pytest.approx(busy[rail] * end + idle[rail] * (0.2 - end))


def test_two_frames_on_one_processor_hold_each_other_up(board: BoardInTime) -> None:
    fixed(board, 1109.25e6)
    alone = board.work(COST, 'gpu')
    frames = [FrameInWork(COST, 'gpu', 1.0) for _ in range(2)]
    for frame in frames:
        board.begin(frame)
    held = board.board.contention.hold_up(alone.parts, alone.parts)
    assert held > 0
    assert frames[0].finish == pytest.approx(alone.latency * (1 + held))
    assert frames[1].finish == frames[0].finish


def test_other_load_slows_frames_down_and_lags_behind_at_low_clocks(board: BoardInTime) -> None:
    fixed(board, 1109.25e6)
    frame = FrameInWork(COST, 'gpu', 1.0)
    board.begin(frame)
    before = frame.finish
    board.set_foreign({'gpu': 0.3, 'cpu': 0.1})
    assert frame.finish > before
    board.advance(0.02)
    board.end(frame)
    assert board.foreign_late == 0.0
    fixed(board, 204e6)  # less than the 333 million cycles a second that it needs
    while board.now < 1.0:
        board.advance(min(board.next_event(), 1.0))
        board.happen()
    assert board.foreign_late > 0.5
    assert board.foreign_time == pytest.approx(1.0)


def test_programs_that_poll_keep_cores_busy_at_every_clock(board: BoardInTime) -> None:
    cpu = board.domains.index('cpu')
    for polling, settles_at in (({}, 0), ({'cpu': 0.35}, -1)):
        board.set_foreign({} if polling else {'cpu': 0.01}, polling)
        end = board.now + 1.0
        while board.now < end:
            board.advance(min(board.next_event(), end))
            board.happen()
        # What the governor sees is the core that is busy all the time.
        assert board.granted[cpu] == board.settable(cpu)[settles_at]
    takes = []
    for clock in (board.settable(cpu)[0], board.settable(cpu)[-1]):
        board.apply([DomainFrequency('cpu', clock, clock)])
        assert board.demand[cpu] == 0.35
        with_it = sum(board.power)
        board.set_foreign({})
        takes.append(with_it - sum(board.power))
        board.set_foreign({}, {'cpu': 0.35})
    assert takes[1] > 1.2 * takes[0] > 0


def test_governors_rule_where_nothing_is_set(board: BoardInTime) -> None:
    gpu = board.domains.index('gpu')
    lowest = board.granted[gpu]
    for _ in range(60):  # frames without a pause
        frame = FrameInWork(COST, 'gpu', 1.0)
        board.begin(frame)
        finish(board, frame)
    busy = board.granted[gpu]
    assert busy > lowest
    while board.now < 20.0:
        board.advance(board.next_event())
        board.happen()
    assert board.granted[gpu] == lowest


def test_heat_takes_clocks_away_and_gives_them_back(board: BoardInTime) -> None:
    fixed(board, 1109.25e6)
    board.set_cooling(ambient=90.0)
    gpu = board.domains.index('gpu')
    board.temperature = 90.0
    while board.now < 3.0:
        board.advance(board.next_event())
        board.happen()
    assert board.limit(gpu) < 1109.25e6
    assert board.granted[gpu] == board.limit(gpu)
    board.set_cooling(ambient=10.0)
    board.temperature = 10.0
    while board.now < 30.0:
        board.advance(board.next_event())
        board.happen()
    assert board.granted[gpu] == 1109.25e6


def test_a_power_mode_limits_what_is_granted(board: BoardInTime) -> None:
    fixed(board, 1109.25e6)
    board.set_power_mode(load_board('xavier_nx_simulated', '10W_DESKTOP'))
    gpu = board.domains.index('gpu')
    assert board.granted[gpu] == 510e6
    assert board.offered(gpu)[-1] == 510e6
