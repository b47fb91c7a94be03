# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How hard a scene is, learnt from the paths of its pictures: how fast, how steady, of whom."""

from __future__ import annotations

from collections.abc import Iterator
import random

import pytest

from dynamic_dnn_ros.management.difficulty import DOUBT, STEP, UNSEEN, Difficulty
from dynamic_dnn_ros.management.observations import StageShare
from dynamic_dnn_ros.management.paths import Paths

EAGER = Paths([StageShare('first', 0.25, 0.9), StageShare('last', 1.0, 0.1)])
CAREFUL = Paths([StageShare('first', 0.25, 0.6), StageShare('last', 1.0, 0.4)])


def pictures(paths: Paths, difficulty: float, count: int, seed: int = 1) -> Iterator[str]:
    """Return the stages after which pictures of a scene leave."""
    draw = random.Random(seed)
    for _ in range(count):
        yield paths.names[paths.of_hardness(draw.random() ** (1 / difficulty))]


def observe(scene: Difficulty, paths: Paths, stage: str) -> bool:
    between = paths.between(stage)
    assert between is not None
    return scene.observe(*between)


def learnt(paths: Paths, difficulty: float, count: int = 300, seed: int = 1) -> Difficulty:
    """Return what is known after some pictures of a scene."""
    scene = Difficulty()
    for stage in pictures(paths, difficulty, count, seed):
        observe(scene, paths, stage)
    return scene


def test_before_any_frame_a_scene_is_that_of_the_calibration() -> None:
    assert Difficulty().estimate == pytest.approx(1.0)
    assert Difficulty().in_use == 1.0


@pytest.mark.parametrize('difficulty', [0.2, 1.0, 3.0])
def test_what_one_sub_network_teaches_tells_the_shares_of_another(difficulty: float) -> None:
    scenes = [learnt(CAREFUL, difficulty, seed=seed) for seed in range(5)]
    shares = sorted(EAGER.shares(scene.estimate)[0] for scene in scenes)
    assert shares[2] == pytest.approx(EAGER.shares(difficulty)[0], abs=0.06)


def test_one_hard_picture_of_an_easy_scene_changes_nothing_and_three_do() -> None:
    scene = learnt(EAGER, 0.1)
    before = scene.in_use
    assert before < 0.3
    assert not observe(scene, EAGER, 'last')
    assert scene.in_use == before
    told = [observe(scene, EAGER, 'last') for _ in range(2)]
    assert any(told)
    assert scene.in_use > 1.0


def test_an_easier_scene_is_believed_once_it_is_sure() -> None:
    scene = learnt(EAGER, 6.0)
    assert scene.in_use > 3.0
    for _ in range(3):
        observe(scene, EAGER, 'first')
    assert scene.in_use > 1.0, 'three easy pictures are nothing rare in such a scene'
    for _ in range(40):
        observe(scene, EAGER, 'first')
    assert scene.in_use < 1.0


def test_so_many_easy_pictures_as_the_quantile_asks_for_are_enough() -> None:
    """After a hard scene, 20 easy pictures show that fewer than 1 in 20 will be hard: 3.3 s."""
    scene = learnt(EAGER, 6.0)
    count = 0
    while EAGER.left[0] ** (scene.in_use * DOUBT) < 0.95:
        observe(scene, EAGER, 'first')
        count += 1
    assert 10 <= count <= 30


def test_what_pictures_may_be_counts_by_how_likely_it_is() -> None:
    scene = learnt(EAGER, 6.0)
    for _ in range(10):
        observe(scene, EAGER, 'first')
    assert scene.mean > 1.5 * scene.estimate, 'a hard scene is not out of the question yet'


@pytest.mark.parametrize('difficulty', [0.3, 1.0, 3.0])
def test_in_a_scene_that_stays_plans_are_seldom_moved(difficulty: float) -> None:
    scene = learnt(EAGER, difficulty)
    moved = sum(observe(scene, EAGER, s) for s in pictures(EAGER, difficulty, 1000, seed=2))
    assert moved <= 30
    assert scene.estimate / STEP**2 < scene.in_use < scene.estimate * STEP**2


def test_a_path_that_cannot_be_leaves_what_is_known() -> None:
    scene = learnt(EAGER, 1.0)
    before = scene.estimate
    for _ in range(3):
        scene.observe(0.5, 0.5)
    assert scene.estimate == pytest.approx(before, rel=0.05)


def test_after_long_without_a_path_the_calibration_is_believed_again() -> None:
    scene = learnt(EAGER, 6.0)
    told = [scene.pass_over() for _ in range(UNSEEN)]
    assert told == [False] * (UNSEEN - 1) + [True]
    assert (scene.in_use, scene.estimate) == (1.0, pytest.approx(1.0))
    assert not scene.pass_over()
