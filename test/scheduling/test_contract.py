# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a scheduler is told of a frame."""

import math

import pytest

from dynamic_dnn_ros.scheduling.contract import Job, Work

THREE = Work('s1', times=((2.0, 3.0), (4.0, 6.0), (8.0, 12.0)), reached=(1.0, 0.5, 0.25))


def test_what_is_left_counts_stages_by_the_share_that_gets_there() -> None:
    assert THREE.remaining(0) == pytest.approx(2 + 4 * 0.5 + 8 * 0.25)
    # Who is at the second stage is one of the half that got there.
    assert THREE.remaining(1) == pytest.approx(4 + 8 * 0.5)
    assert THREE.remaining(2, frames=2) == 12.0
    assert THREE.remaining(3) == 0.0
    assert THREE.longest(1, frames=2) == 18.0
    assert (THREE.stages, THREE.largest_batch) == (3, 2)


def test_a_stage_that_nobody_got_to_is_no_division_by_zero() -> None:
    work = Work('s1', times=((1.0,), (2.0,)), reached=(1.0, 0.0))
    assert work.remaining(1) == 0.0
    assert work.longest(1) == 2.0


def test_slack_is_what_a_frame_can_wait_at_its_own_pace() -> None:
    job = Job('front', THREE, arrival=10.0, deadline=30.0, stage=2, pace=1.5)
    assert job.begun
    assert job.last_run == 10.0
    assert job.slack(now=12.0) == pytest.approx(30 - 12 - 1.5 * 8)
    assert math.isinf(Job('rear', THREE, arrival=0.0).slack(1e9))
