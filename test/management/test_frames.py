# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which frames tell something of an operating point, and what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.management.assessment import ResourceSettings
from dynamic_dnn_ros.management.frames import Frames
from dynamic_dnn_ros.management.learning import DISTURBED, PAUSE
from dynamic_dnn_ros.management.measurements import ENOUGH
from dynamic_dnn_ros.management.observations import Application, StageShare, Status
from dynamic_dnn_ros.management.planning import Planner
from dynamic_dnn_ros.management.platform_view import PlatformView
from dynamic_dnn_ros.management.power_budget import PowerBudget
from dynamic_dnn_ros.management.records import ApplicationRecord, Registry
from dynamic_dnn_ros.management.targets import Objective, Target, TargetStore
from support.applications import GPU, STAGES, application, served_frame

FRONT = '/front/inference_node'
HIGHEST = {'gpu': GPU[-1]}
PROFILED = 0.022
"""Mean latency of s3 at the highest clock, s."""


def frames(
    presented: Application | None = None, **limits: Any
) -> tuple[Frames, ApplicationRecord]:
    """Return what learns from the frames of one application with a target, which serves s3."""
    registry, targets = Registry(1.0), TargetStore()
    record, _ = registry.add(presented or application(FRONT, stages={'s3': STAGES}), 0.0)
    assert record is not None
    record.learnt.meet(1.0)
    targets.set(Target(FRONT, **limits), 1)
    objective = Objective.MAXIMUM_ACCURACY
    planner = Planner(ResourceSettings(), objective, targets, PlatformView(), PowerBudget())
    return Frames(targets, planner), record


def frame(latency: float, sub_network: str = 's3', **fields: Any) -> Status:
    return served_frame(FRONT, 'one', sub_network, latency, **fields)


def serve(
    subject: Frames, record: ApplicationRecord, count: int, latency: float = PROFILED
) -> list[bool]:
    return [subject.served(record, frame(latency), HIGHEST, False, 0.0) for _ in range(count)]


def test_the_first_frame_of_a_sub_network_and_those_of_clocks_that_change_say_nothing() -> None:
    subject, record = frames(latency=0.05)
    serve(subject, record, 1)
    assert record.learnt.slow_down.observations == 0
    serve(subject, record, 3)
    assert record.learnt.slow_down.observations == 3
    subject.served(record, frame(PROFILED), HIGHEST, True, 0.0)
    subject.served(record, frame(0.004, 's0'), HIGHEST, False, 0.0)
    assert record.learnt.slow_down.observations == 3
    subject.served(record, frame(0.004, 's0'), HIGHEST, False, 0.0)
    assert record.learnt.slow_down.observations == 4


def test_neither_an_overrun_counts_nor_the_frame_behind_it() -> None:
    subject, record = frames(latency=0.05)
    serve(subject, record, 2)
    subject.served(record, frame(1.0, overrun=True), HIGHEST, False, 0.0)
    serve(subject, record, 1, latency=0.5)
    assert (record.learnt.slow_down.observations, record.learnt.measurements.frames) == (1, 2)
    serve(subject, record, 1)
    assert record.learnt.slow_down.observations == 2


def test_frames_that_became_slower_are_disturbed_until_those_behind_them_are_through() -> None:
    subject, record = frames(latency=0.05)
    serve(subject, record, 41)
    assert not record.learnt.is_disturbed
    serve(subject, record, 3, latency=0.04)
    assert record.learnt.slow_down.mean > 1.5
    assert record.learnt.is_disturbed
    serve(subject, record, DISTURBED - 2, latency=0.04)
    assert record.learnt.is_disturbed
    serve(subject, record, 2, latency=0.04)
    assert not record.learnt.is_disturbed


def test_a_single_late_frame_disturbs_those_behind_it_too() -> None:
    subject, record = frames(latency=0.05)
    serve(subject, record, 41)
    record.learnt.suspect(3.0)
    assert record.learnt.is_disturbed
    serve(subject, record, DISTURBED)
    assert not record.learnt.is_disturbed


def test_the_first_frame_after_a_pause_wakes_the_processor_up_and_says_nothing() -> None:
    subject, record = frames(latency=0.05)
    for index in range(6):
        subject.served(record, frame(PROFILED), HIGHEST, False, index / 10)
    before = record.learnt.slow_down.observations
    late = 0.5 + 1.1 * PAUSE
    subject.served(record, frame(0.4), HIGHEST, False, late)
    assert record.learnt.slow_down.observations == before
    assert record.learnt.slow_down.mean == pytest.approx(1.0)
    subject.served(record, frame(PROFILED), HIGHEST, False, late + 0.1)
    assert record.learnt.slow_down.observations == before + 1


def test_a_frame_now_and_then_is_no_pause() -> None:
    """Of a camera that sends one every 3 s each frame tells something."""
    subject, record = frames(latency=0.5)
    for index in range(20):
        status = replace(frame(PROFILED), received=index + 1, served=index + 1)
        subject.served(record, status, HIGHEST, False, 3.0 * index)
        record.learnt.measurements.count(status, 3.0 * index)
    assert record.learnt.slow_down.observations > 10


def test_a_frame_before_the_first_plan_says_nothing_of_the_slow_down() -> None:
    """It may have waited for a neighbour that the manager does not know yet."""
    targets, registry = TargetStore(), Registry(1.0)
    record, _ = registry.add(application(FRONT), 0.0)
    assert record is not None
    objective = Objective.MAXIMUM_ACCURACY
    planner = Planner(ResourceSettings(), objective, targets, PlatformView(), PowerBudget())
    serve(Frames(targets, planner), record, ENOUGH)
    assert record.learnt.slow_down.observations == 0
    assert record.learnt.measurements.frames == ENOUGH


def test_clocks_and_neighbours_are_no_slow_down() -> None:
    subject, record = frames(latency=0.5)
    record.learnt.meet(1.5)
    low = {'gpu': GPU[2]}
    assert record.table is not None
    slower = float(record.table.mean[3, record.table.nearest_row(low)]) * 1.5
    for _ in range(ENOUGH):
        subject.served(record, frame(slower), low, False, 0.0)
    assert record.learnt.slow_down.mean == pytest.approx(1.0)


@pytest.mark.parametrize('known', [True, False])
def test_what_a_batch_takes_is_no_slow_down_and_counts_as_waiting(known: bool) -> None:
    presented = application(FRONT)
    if known:
        points = presented.operating_points
        table = np.tile([1.0, 1.4, 1.8], (len(points.sub_networks), 1))
        presented = replace(presented, operating_points=replace(points, batch_latency=table))
    subject, record = frames(presented, latency=0.5)
    for _ in range(ENOUGH):
        serve(subject, record, 1)
        batched = frame(1.8 * PROFILED, batch=3)
        subject.served(record, batched, HIGHEST, False, 0.0)
    assert record.learnt.slow_down.mean == pytest.approx(1.0, abs=0.02)
    waited = record.learnt.measurements.waiting(0.9)
    assert waited == pytest.approx(0.8 * PROFILED if known else 0.0, rel=0.05)
    # Three together take 1.8 times as long: 0.6 each. Every other frame ran alone.
    assert record.learnt.occupancy == pytest.approx(0.8 if known else 1.0, abs=0.1)
    for _ in range(3 * ENOUGH):
        serve(subject, record, 1)
    assert record.learnt.occupancy > 0.9


def test_a_late_frame_is_answered_at_once_and_not_while_a_switch_is_on_its_way() -> None:
    subject, record = frames(latency=0.035, objective=Objective.MAXIMUM_ACCURACY)
    assert not any(serve(subject, record, 40))
    assert serve(subject, record, 1, latency=2 * PROFILED) == [True]
    assert record.assignment.desired == ('s2', 'gpu')
    # It serves s3 still: nothing more to be done by itself.
    assert serve(subject, record, 1, latency=PROFILED) == [False]


def test_hard_pictures_are_no_slow_board_and_easy_ones_no_fast_one() -> None:
    subject, record = frames(latency=0.05)
    for index in range(200):
        stage = STAGES[0] if index < 100 else STAGES[1]
        one = frame(PROFILED * stage.work, work=stage.work, exit_stage=stage.name)
        subject.served(record, one, HIGHEST, False, 0.0)
    assert record.learnt.slow_down.mean == pytest.approx(1.0, abs=1e-6)
    assert record.learnt.slow_down.dispersion < 0.02


def test_a_slow_board_is_found_out_by_easy_pictures_too() -> None:
    subject, record = frames(latency=0.05)
    first = STAGES[0]
    slow = frame(1.4 * PROFILED * first.work, work=first.work, exit_stage=first.name)
    for _ in range(ENOUGH):
        subject.served(record, slow, HIGHEST, False, 0.0)
    assert record.learnt.slow_down.mean == pytest.approx(1.4, abs=0.02)


def test_a_scene_that_turns_hard_is_answered_within_three_frames() -> None:
    subject, record = frames(latency=0.05)

    def told(stage: int, count: int) -> list[bool]:
        one = STAGES[stage]
        picture = frame(PROFILED * one.work, work=one.work, exit_stage=one.name)
        return [subject.served(record, picture, HIGHEST, False, 0.0) for _ in range(count)]

    easy = told(0, 100)
    assert record.learnt.scene.in_use < 0.5
    assert sum(easy) < 6
    assert any(told(1, 3))
    assert record.learnt.scene.in_use > 1.0


def test_what_frames_of_one_piece_do_not_tell_is_not_learnt() -> None:
    subject, record = frames(latency=0.05)
    serve(subject, record, 50)
    assert record.learnt.scene.in_use == 1.0


def test_preprocessing_is_that_of_every_path() -> None:
    subject, record = frames(latency=0.05)
    preprocessing = 0.006
    for index in range(100):
        stage = STAGES[index % 2]
        inference = (PROFILED - preprocessing) * stage.work
        one = replace(
            frame(inference, work=stage.work, exit_stage=stage.name),
            preprocessing=preprocessing,
            total=preprocessing + inference,
        )
        subject.served(record, one, HIGHEST, False, 0.0)
    assert record.learnt.slow_down.mean == pytest.approx(1.0, abs=1e-6)
    assert record.learnt.preprocessing == pytest.approx(preprocessing)
    seen, table = record.seen(0.95), record.table
    assert seen is not None and table is not None
    work = record.paths['s3'].mean_work(record.learnt.scene.in_use)
    row = table.nearest_row(HIGHEST)
    expected = preprocessing + (PROFILED - preprocessing) * work
    assert seen.mean[3, row] == pytest.approx(expected)


def test_paths_that_meet_again_are_learnt_by_what_frames_took() -> None:
    stages = (StageShare('gate', 0.1, 0.0), StageShare('rest', 0.6, 1.0))
    subject, record = frames(application(FRONT, stages={'s3': stages}), latency=0.05)
    table = record.table
    assert table is not None
    row, option = table.nearest_row(HIGHEST), table.option('s3', 'gpu')
    assert option is not None
    for work in [0.25, 0.3, 0.35] * 30:
        one = frame(PROFILED * work, work=work, exit_stage='rest')
        subject.served(record, one, HIGHEST, False, 0.0)
    assert record.learnt.slow_down.mean == pytest.approx(1.0, abs=1e-6)
    seen = record.seen(0.95)
    assert seen is not None
    assert seen.mean[option, row] == pytest.approx(0.3 * table.mean[option, row], rel=0.05)
    assert seen.p95[option, row] == pytest.approx(0.35 * table.p95[option, row], rel=0.05)
