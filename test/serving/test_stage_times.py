# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stages take: estimated first, then learnt."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.engines.contract import OutOfMemoryError, Outputs, PreparedSubNetwork
from dynamic_dnn_ros.engines.staged import stages_of
from dynamic_dnn_ros.pictures.input import Picture
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving import stage_times
from dynamic_dnn_ros.serving.prepared_set import Key
from dynamic_dnn_ros.serving.stage_times import StageTimes

STAGES = (
    Stage('early', '', 0.8, 0.2, 0.5),
    Stage('late', '', 0.8, 0.5, 0.3),
    Stage('last', '', None, 1.0, 0.2),
)


class Prepared(PreparedSubNetwork):
    def __init__(self, name: str = 's0', stages: tuple[Stage, ...] = (), batch: int = 1) -> None:
        super().__init__(
            SubNetwork(name, {}, Size(8, 8), 0.5, 5_000_000, 1, 1, stages=stages), 'cpu'
        )
        if stages:
            self.stages = stages_of(self.sub_network)
        self.largest_batch = batch

    def run(self, picture: Picture) -> Outputs:
        raise NotImplementedError


def known(latency: float = 0.1, *multiples: float) -> StageTimes:
    return StageTimes('front', lambda entry, processor: latency, lambda *_: multiples)


def flat(rows: tuple[tuple[float, ...], ...]) -> list[float]:
    return [time for row in rows for time in row]


def test_begins_with_the_latency_of_the_whole_by_the_work_of_each_stage() -> None:
    work = known().work(Prepared(stages=STAGES))
    assert flat(work.times) == pytest.approx([0.02, 0.03, 0.05])
    assert work.reached == pytest.approx((1.0, 0.5, 0.2))
    assert work.key == ('front', 's0', 'cpu')
    assert work.remaining(0) == pytest.approx(0.02 + 0.5 * 0.03 + 0.2 * 0.05)


def test_what_is_left_behind_a_gate_is_that_of_one_branch() -> None:
    gated = (
        Stage('stem', work=0.2, choices=('narrow', 'wide')),
        Stage('narrow', work=0.4, taken=0.75, last=True),
        Stage('wide', work=1.0, taken=0.25),
    )
    work = known().work(Prepared(stages=gated))
    assert flat(work.times) == pytest.approx([0.02, 0.02, 0.08])
    assert work.remaining(0) == pytest.approx(0.02 + 0.75 * 0.02 + 0.25 * 0.08)
    assert work.remaining(1) == pytest.approx(0.02)
    assert work.longest(0) == pytest.approx(0.1) and work.longest(1) == pytest.approx(0.02)


def test_guesses_by_multiply_adds_until_it_is_measured() -> None:
    times, prepared = StageTimes(), Prepared()
    assert flat(times.work(prepared).times) == [0.001]
    times.took(prepared, 0, 1, 0.4)
    assert flat(times.work(prepared).times) == [0.4], 'a guess counts for nothing'


def test_batches_begin_with_the_multiples_that_are_known() -> None:
    prepared = Prepared(batch=4)
    assert flat(known(0.1, 1.0, 1.5).work(prepared).times) == pytest.approx([0.1, 0.15, 0.3, 0.4])
    assert flat(known().work(Prepared(batch=2)).times) == pytest.approx([0.1, 0.2])


def test_learns_means_and_says_them_once_they_depart() -> None:
    times, prepared = known(0.1, 1.0, 1.5), Prepared(batch=2)
    first = times.work(prepared)
    times.took(prepared, 0, 1, 0.101)
    assert times.work(prepared) is first, 'frames of one work run together'
    for _ in range(60):
        times.took(prepared, 0, 1, 0.2)
    assert flat(times.work(prepared).times) == pytest.approx([0.2, 0.3], rel=0.06)
    for _ in range(60):
        times.took(prepared, 0, 2, 0.25)
    assert flat(times.work(prepared).times) == pytest.approx([0.2, 0.25], rel=0.06)
    times.took(prepared, 0, 3, 9.0)
    times.took(prepared, 1, 1, 9.0)
    assert flat(times.work(prepared).times) == pytest.approx([0.2, 0.25], rel=0.06)


def test_times_that_are_few_count_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nearly all frames are given up, one a second is left to learn from."""
    now = 100.0
    monkeypatch.setattr(stage_times, 'time', SimpleNamespace(monotonic=lambda: now))
    times, prepared = known(0.1), Prepared()
    for expected in (0.09, 0.07, 0.06):
        times.took(prepared, 0, 1, 0.05)
        assert times._means[Key('s0', 'cpu')][0, 1] == pytest.approx(expected)
        now += 1.0


def test_sub_networks_and_processors_are_apart() -> None:
    times, one, other, there = known(), Prepared(), Prepared('s1'), Prepared()
    there.processor = 'gpu'
    works = {id(times.work(each)) for each in (one, other, there)}
    assert len(works) == 3 and times.work(Prepared()) is times.work(one)


def test_a_batch_that_fails_is_halved(caplog: pytest.LogCaptureFixture) -> None:
    times, prepared = known(), Prepared(batch=8)
    assert times.work(prepared).largest_batch == 8
    with caplog.at_level(logging.WARNING):
        times.halve(prepared, 6, OutOfMemoryError('no memory.'))
    assert times.work(prepared).largest_batch == 3
    times.halve(prepared, 2, OutOfMemoryError('no memory.'))
    assert times.work(prepared).largest_batch == 1
    assert 'At most 3 run together from now on.' in caplog.text
