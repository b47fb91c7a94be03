# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dynamic_dnn_ros.training.links.quality import Quality


def test_steps_as_good_as_whole_ones_leave_the_ratio():
    quality = Quality(most=32.0, tolerance=0.1)
    for _ in range(5):
        quality.judge(before=2.0, compressed=1.9, whole=1.9)
    assert quality.ratio == 32.0


def test_the_ratio_falls_where_the_loss_departs_and_rises_again():
    quality = Quality(most=32.0, tolerance=0.1)
    quality.judge(before=2.0, compressed=1.95, whole=1.9)
    assert quality.ratio == 16.0
    quality.judge(before=2.0, compressed=1.95, whole=1.9)
    assert quality.ratio == 8.0
    quality.judge(before=2.0, compressed=1.9, whole=1.9)
    assert quality.ratio == 16.0


def test_the_ratio_ends_at_nothing_left_out():
    quality = Quality(most=4.0, tolerance=0.1)
    for _ in range(5):
        quality.judge(before=2.0, compressed=2.0, whole=1.9)
    assert quality.ratio == 1.0


def test_where_whole_steps_do_not_help_either_nothing_is_decided():
    quality = Quality(most=32.0, tolerance=0.1)
    quality.judge(before=2.0, compressed=2.2, whole=2.1)
    assert quality.ratio == 32.0
    assert quality.share is None
