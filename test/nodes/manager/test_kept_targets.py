# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Targets outlive a crash of the manager for a moment, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
import time

import pytest

from dynamic_dnn_ros.management.targets import LateFrames, Objective, Target
from dynamic_dnn_ros.nodes.manager.kept_targets import LONGEST_GAP, KeptTargets, path_of

TARGETS = [
    Target('/front/inference_node', latency=0.03, sender='planner', stamp=2**60),
    Target(
        '/rear/inference_node',
        accuracy=0.8,
        latency=0.2,
        priority=2,
        objective=Objective.MAXIMUM_ACCURACY,
        late_frames=LateFrames.DROP,
        stamp=7,
    ),
]


def test_what_a_crash_left_is_found_for_a_moment(tmp_path: Path) -> None:
    path = path_of(tmp_path, 3, '/dynamic_dnn')
    assert path != path_of(tmp_path, 4, '/dynamic_dnn') != path_of(tmp_path, 4, '/other')
    assert KeptTargets(path).left_behind() == []
    kept = KeptTargets(path)
    kept.keep(TARGETS)
    assert KeptTargets(path).left_behind() == TARGETS
    old = time.time() - LONGEST_GAP - 1
    os.utime(path, (old, old))
    assert KeptTargets(path).left_behind() == []
    kept.keep(TARGETS)  # The manager lives, and says so.
    assert KeptTargets(path).left_behind() == TARGETS
    kept.forget()
    assert KeptTargets(path).left_behind() == []


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'[' * 100_000,
        b'{"a": 1}',
        b'[1]',
        b'[{}]',
        b'[{"application": "/a", "latency": -1.0, "objective": 0, "late_frames": 0}]',
        b'[{"application": "/a", "objective": 9, "late_frames": 0}]',
        b'[{"application": "/a", "latency": "x", "objective": 0, "late_frames": 0}]',
    ],
)
def test_a_file_that_is_none_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    path = path_of(tmp_path, 3, '/dynamic_dnn')
    path.write_bytes(content)
    assert KeptTargets(path).left_behind() == []


def test_a_file_that_others_could_write_is_not_trusted(tmp_path: Path) -> None:
    path = path_of(tmp_path, 3, '/dynamic_dnn')
    KeptTargets(path).keep(TARGETS)
    path.chmod(0o666)
    assert KeptTargets(path).left_behind() == []
    path.unlink()
    other = tmp_path / 'other.json'
    KeptTargets(other).keep(TARGETS)
    path.symlink_to(other)
    assert KeptTargets(path).left_behind() == []
