# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import time

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.engines.contract import Outputs, PreparedSubNetwork
from dynamic_dnn_ros.engines.staged import StagedSubNetwork
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.pacing import (
    LARGEST_SLOW_DOWN,
    BoardState,
    BoardWork,
    Overruns,
    PacedFrame,
    PacedLender,
    Pacer,
)

SUB_NETWORK = SubNetwork('s0', {}, Size(32, 32), 0.5, 1, 1, 1)


def board(sub_network: SubNetwork, processor: str, frequencies: Mapping[str, float]) -> BoardWork:
    latency = 0.05 * 1e9 / frequencies[processor]
    return BoardWork(latency, {processor: latency, 'cpu': 0.5 * latency})


def test_holds_a_frame_until_the_board_would_be_done() -> None:
    pacer = Pacer(board, lambda: 2.0)
    pacer.update(BoardState({'gpu': 0.5e9}, slow_down=1.5))
    started = time.monotonic()
    paced = pacer.pace(started, SUB_NETWORK, 'gpu')
    # 0.05 s, at half the clock, twice by jitter, half as much again by the slow-down
    assert time.monotonic() - started >= 0.05 * 2 * 2 * 1.5
    # Waiting for others keeps nothing busy; jitter is work.
    assert paced.busy == pytest.approx({'gpu': 0.2, 'cpu': 0.1})


def test_flags_a_frame_that_this_machine_was_too_slow_for() -> None:
    pacer = Pacer(board, lambda: 1.0)
    pacer.update(BoardState({'gpu': 1e9}))
    before = time.monotonic()
    paced = pacer.pace(before - 0.1, SUB_NETWORK, 'gpu')
    assert paced.overrun
    assert paced.busy['gpu'] == pytest.approx(0.05)


def test_frame_before_the_board_is_known_is_flagged() -> None:
    paced = Pacer(board, lambda: 1.0).pace(time.monotonic(), SUB_NETWORK, 'gpu')
    assert paced.overrun and not paced.busy


@pytest.mark.parametrize(
    ('slow_down', 'held'), [(1e3, LARGEST_SLOW_DOWN), (-1.0, 1.0), (np.nan, 1.0)]
)
def test_a_slow_down_that_makes_no_sense_is_bounded(slow_down: float, held: float) -> None:
    pacer = Pacer(board, lambda: 1.0)
    pacer.update(BoardState({'gpu': 50e9}, slow_down))
    started = time.monotonic()
    pacer.pace(started, SUB_NETWORK, 'gpu')
    assert 0.001 * held <= time.monotonic() - started < 0.001 * held + 0.2


@pytest.mark.parametrize('hertz', [0.0, np.nan, np.inf, -1e9, 1e-300])
def test_clocks_that_make_no_sense_hold_no_frame_back(hertz: float) -> None:
    pacer = Pacer(board, lambda: 1.0)
    pacer.update(BoardState({'gpu': hertz}))
    started = time.monotonic()
    assert pacer.pace(started, SUB_NETWORK, 'gpu').overrun
    assert time.monotonic() - started < 0.2


class Prepared(PreparedSubNetwork):
    def run(self, picture: np.ndarray) -> Outputs:
        return {'logits': np.zeros((1, 2), np.float32)}


class OneLender:
    """An exchange that always lends the same."""

    def __init__(self) -> None:
        self.prepared: PreparedSubNetwork = Prepared(SUB_NETWORK, 'cpu')

    @property
    def serving(self) -> PreparedSubNetwork:
        return self.prepared

    @contextmanager
    def lease(self) -> Iterator[PreparedSubNetwork]:
        yield self.prepared


class Watched(Pacer):
    """A pacer that says from when on frames were counted."""

    def pace(self, started: float, sub_network: SubNetwork, processor: str) -> PacedFrame:
        self.started = started
        return super().pace(started, sub_network, processor)


def test_lends_sub_networks_that_take_as_long_as_on_the_board() -> None:
    pacer = Watched(board, lambda: 1.0)
    pacer.update(BoardState({'gpu': 1e9}))
    lender = PacedLender(OneLender(), lambda: (pacer, 'gpu'))
    begun = time.monotonic()
    with lender.lease() as prepared:
        lent = time.monotonic()
        outputs = prepared.run(np.zeros((32, 32, 3), np.uint8))
    assert begun <= pacer.started <= lent, "preprocessing counts as the board's"
    assert time.monotonic() - begun >= 0.05
    assert prepared.processor == 'gpu' and outputs['logits'].shape == (1, 2)
    assert isinstance(prepared.remarks, PacedFrame)
    assert prepared.remarks.busy['gpu'] == pytest.approx(0.05)


def test_lends_what_there_is_while_no_board_is_simulated() -> None:
    lender = OneLender()
    with PacedLender(lender, lambda: None).lease() as prepared:
        assert prepared is lender.prepared and prepared.remarks is None


def test_who_waited_for_a_frame_that_was_too_slow_is_no_figure_either() -> None:
    overruns = Overruns()
    assert not overruns.tell(PacedFrame(False, {}, 1.0), 0.9)
    assert overruns.tell(PacedFrame(True, {}, 2.0), 1.1)
    assert overruns.tell(PacedFrame(False, {}, 3.0), 1.9), 'it came while the last one was in work'
    assert not overruns.tell(PacedFrame(False, {}, 4.0), 2.1)


STAGED = SubNetwork(
    's0',
    {},
    Size(32, 32),
    0.5,
    1,
    1,
    1,
    stages=(Stage('first', '', 0.5, 0.4, 0.5), Stage('last', '', None, 1.0, 0.5)),
)


def staged_lender() -> OneLender:
    def step(value: object) -> tuple[Outputs, object]:
        return {'logits': np.zeros((1, 2), np.float32)}, value

    lender = OneLender()
    lender.prepared = StagedSubNetwork(STAGED, 'cpu', [step, step], 0, 'nothing')
    return lender


def test_each_stage_takes_its_share_of_the_time_on_the_board() -> None:
    drawn: list[float] = []

    def jitter() -> float:
        drawn.append(1.0)
        return 1.0

    pacer = Pacer(board, jitter)
    pacer.update(BoardState({'gpu': 1e9}))
    with PacedLender(staged_lender(), lambda: (pacer, 'gpu')).lease() as prepared:
        begun = time.monotonic()
        execution = prepared.begin(np.zeros((32, 32, 3), np.uint8))
        assert len(prepared.stages) == 2 and execution.advance() is not None
        first = time.monotonic() - begun
        assert isinstance(prepared.remarks, PacedFrame) and not execution.done
        assert prepared.remarks.busy == pytest.approx({'gpu': 0.02, 'cpu': 0.01})
        execution.advance()
        assert execution.done
    assert 0.0199 <= first < 0.05 <= time.monotonic() - begun + 1e-3
    assert prepared.remarks.busy == pytest.approx({'gpu': 0.05, 'cpu': 0.025})
    assert len(drawn) == 1, 'a frame departs from the model once'


def test_what_is_parked_is_not_the_boards_time() -> None:
    pacer = Pacer(board, lambda: 1.0)
    pacer.update(BoardState({'gpu': 1e9}))
    with PacedLender(staged_lender(), lambda: (pacer, 'gpu')).lease() as prepared:
        begun = time.monotonic()
        execution = prepared.begin(np.zeros((32, 32, 3), np.uint8))
        execution.advance()
        stopped = time.monotonic()
        time.sleep(0.06)
        parked = time.monotonic() - stopped
        execution.resume(parked)
        execution.advance()
    assert time.monotonic() - begun - parked >= 0.049
    assert isinstance(prepared.remarks, PacedFrame)
    assert prepared.remarks.busy['gpu'] == pytest.approx(0.05)


def test_shows_what_it_would_lend() -> None:
    lender, pacer = OneLender(), Pacer(board, lambda: 1.0)
    assert PacedLender(lender, lambda: None).serving is lender.serving
    shown = PacedLender(lender, lambda: (pacer, 'gpu')).serving
    assert (shown.sub_network, shown.processor) == (SUB_NETWORK, 'gpu')


def test_one_piece_begins_as_it_runs() -> None:
    pacer = Pacer(board, lambda: 1.0)
    pacer.update(BoardState({'gpu': 1e9}))
    begun = time.monotonic()
    with PacedLender(OneLender(), lambda: (pacer, 'gpu')).lease() as prepared:
        assert prepared.begin(np.zeros((32, 32, 3), np.uint8)).advance() is not None
    assert time.monotonic() - begun >= 0.05
