# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Paths of pictures, timed: work of a stage is what those take that leave there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.engines.contract import Outputs, PreparedSubNetwork
from dynamic_dnn_ros.engines.staged import StagedSubNetwork, Step
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.profiling.path_times import LEAST, PathTimes
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.tasks.contract import Limits

SIZE = Size(8, 8)
PICTURE = np.zeros((8, 8, 3), np.uint8)
STAGES = (
    Stage('early', threshold=0.8, work=0.3, taken=0.5),
    Stage('late', threshold=0.8, work=0.6, taken=0.3),
    Stage('last', threshold=None, work=1.0, taken=0.2),
)
SECONDS = (1.0, 2.0, 5.0)


class Told(Classification):
    def confidence(self, outputs: Outputs, index: int, size: Size, limits: Limits) -> float:
        return float(outputs['sure'][index])


class Network:
    """Stages that take a time each; a picture leaves after the one that it is told to."""

    def __init__(self, stages: tuple[Stage, ...] = STAGES) -> None:
        self.now = 0.0
        self.leaves = 0
        entry = SubNetwork('s0', {}, SIZE, 0.5, 1, 1, 1, stages=stages)
        steps = [self.step(index) for index in range(len(stages))]
        self.prepared = StagedSubNetwork(entry, 'cpu', steps, 7, 'nothing')

    def step(self, index: int) -> Step:
        def run(value: object) -> tuple[Outputs | None, object]:
            self.now += SECONDS[index]
            return {'sure': np.array([1.0 if index >= self.leaves else 0.0])}, value

        return run


def paths_of(network: Network, leaving: list[int]) -> PathTimes:
    times = PathTimes(lambda: network.now)
    for stage in leaving:
        network.leaves = stage
        assert times.follow(network.prepared, PICTURE, Told()).stage == STAGES[stage].name
    return times


def test_works_and_shares_are_those_of_the_pictures():
    network = Network()
    times = paths_of(network, [0] * 30 + [1] * 20 + [2] * 50)
    found = times.mixtures({'s0': STAGES})['s0']
    assert found.works == pytest.approx((1 / 8, 3 / 8, 1.0))
    assert found.taken == pytest.approx((0.3, 0.2, 0.5))


def test_a_stage_that_few_pictures_leave_after_keeps_what_the_manifest_says():
    found = paths_of(Network(), [1] * (LEAST - 1) + [2] * 40).mixtures({'s0': STAGES})['s0']
    assert found.works == (0.3, 0.6, 1.0)


def test_works_of_stages_that_follow_each_other_never_fall():
    # By the manifest the first is nearly the whole; nobody leaves there.
    stages = (replace(STAGES[0], work=0.5), *STAGES[1:])
    found = paths_of(Network(stages), [1] * 30 + [2] * 30).mixtures({'s0': stages})['s0']
    assert found.works == pytest.approx((0.5, 0.5, 1.0))


def test_one_piece_is_not_timed():
    class Piece(PreparedSubNetwork):
        def run(self, picture: object) -> Outputs:
            return {'sure': np.ones(1)}

    piece = Piece(SubNetwork('s1', {}, SIZE, 0.5, 1, 1, 1), 'cpu')
    times = PathTimes()
    assert times.follow(piece, PICTURE, Told()).stage == ''
    assert times.mixtures({'s1': ()}) == {}
