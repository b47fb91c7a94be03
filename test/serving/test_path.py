# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which stages a picture takes."""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.engines.contract import EngineError, Execution, Outputs, PreparedSubNetwork
from dynamic_dnn_ros.engines.staged import StagedSubNetwork, Step
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.path import follow
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.tasks.contract import DECIDING_LIMITS, Limits

SIZE = Size(8, 8)
PICTURE = np.zeros((8, 8, 3), np.uint8)
STAGES = (
    Stage('stem', threshold=None, work=0.1, taken=0.0),
    Stage('early', threshold=0.8, work=0.3, taken=0.5),
    Stage('late', threshold=0.8, work=0.6, taken=0.3),
    Stage('last', threshold=None, work=1.0, taken=0.2),
)


class Told(Classification):
    """A task that finds its confidence in the outputs."""

    def confidence(self, outputs: Outputs, index: int, size: Size, limits: Limits) -> float:
        assert size == SIZE and limits is DECIDING_LIMITS
        return float(outputs['sure'][index])


class Network:
    """Stages that are as sure as they are told, and count how often they run."""

    def __init__(self, sure: Sequence[float | None], stages: Sequence[Stage] = STAGES) -> None:
        self.ran: list[str] = []
        entry = SubNetwork('s0', {}, SIZE, 0.5, 1, 1, 1, stages=tuple(stages))
        steps = [self.step(stage, value) for stage, value in zip(stages, sure)]
        self.prepared = StagedSubNetwork(entry, 'cpu', steps, 7, 'nothing')

    def step(self, stage: Stage, sure: float | None) -> Step:
        def run(value: object) -> tuple[Outputs | None, object]:
            self.ran.append(stage.name)
            return None if sure is None else {'sure': np.array([sure])}, value

        return run


def test_leaves_at_the_first_exit_that_is_sure_enough() -> None:
    network = Network([None, 0.3, 0.8, 0.9])
    path = follow(network.prepared, PICTURE, Told())
    assert (path.stage, path.work, path.undecided) == ('late', 0.6, 0)
    assert path.outputs['sure'] == [0.8]
    assert network.ran == ['stem', 'early', 'late'], 'what is not needed is not run'


def test_takes_every_head_and_leaves_at_the_last() -> None:
    network = Network([None, 0.0, 0.79, 0.1])
    path = follow(network.prepared, PICTURE, Told())
    assert (path.stage, path.work, path.undecided) == ('last', 1.0, 0)
    assert path.outputs['sure'] == [0.1], 'the last answer is taken, however sure it is'
    assert network.ran == ['stem', 'early', 'late', 'last']


@pytest.mark.parametrize(
    ('sure', 'stage', 'undecided'),
    [
        ([None, math.nan, 0.9, 0.1], 'late', 1),
        ([None, math.nan, math.nan, 0.1], 'last', 2),
        ([None, 0.9, math.nan, 0.1], 'early', 0),
        ([None, 0.1, 0.1, math.nan], 'last', 0),
    ],
)
def test_a_confidence_that_is_no_number_goes_on_and_is_counted(
    sure: list[float | None], stage: str, undecided: int
) -> None:
    path = follow(Network(sure).prepared, PICTURE, Told())
    assert (path.stage, path.undecided) == (stage, undecided)


@pytest.mark.parametrize(('threshold', 'stage'), [(0.0, 'first'), (1.0, 'last')])
def test_thresholds_at_their_ends(threshold: float, stage: str) -> None:
    stages = (Stage('first', '', threshold, 0.5, 0.5), Stage('last', '', None, 1.0, 0.5))
    path = follow(Network([0.0, 0.5], stages).prepared, PICTURE, Told())
    assert path.stage == stage


class Whole(PreparedSubNetwork):
    """One piece, that is never begun."""

    def run(self, picture: np.ndarray) -> Outputs:
        return {'sure': np.array([0.1])}

    def begin(self, picture: np.ndarray) -> Execution:
        raise AssertionError('one piece runs in one call')


def test_one_piece_runs_in_one_call() -> None:
    path = follow(Whole(SubNetwork('s0', {}, SIZE, 0.5, 1, 1, 1), 'cpu'), PICTURE, Told())
    assert (path.stage, path.work, path.undecided) == ('', 1.0, 0)
    assert path.outputs['sure'] == [0.1]


def test_a_stage_that_fails_is_named() -> None:
    network = Network([None, 0.3, 0.8, 0.9])

    def fail(value: object) -> tuple[Outputs | None, object]:
        raise RuntimeError('no such tensor')

    network.prepared._steps = (network.step(STAGES[0], None), fail)
    with pytest.raises(EngineError, match="nothing failed on stage 'early' of sub-network 's0'"):
        follow(network.prepared, PICTURE, Told())


def test_a_picture_of_another_shape() -> None:
    with pytest.raises(EngineError, match=r"'s0' takes pictures of shape \(8, 8, 3\), not \(8, 9"):
        follow(Network([None, 0.3, 0.8, 0.9]).prepared, np.zeros((8, 9, 3), np.uint8), Told())


def test_what_is_closed_does_not_begin() -> None:
    network = Network([None, 0.3, 0.8, 0.9])
    execution = network.prepared.begin(PICTURE)
    assert network.prepared.memory == 7
    network.prepared.close()
    assert network.prepared.memory == 0
    with pytest.raises(EngineError, match="'s0' is closed"):
        follow(network.prepared, PICTURE, Told())
    while not execution.done:
        outputs = execution.advance()
    assert outputs is not None, 'what was begun ends as it would have'
    with pytest.raises(EngineError, match="'s0' has run all of its stages"):
        execution.advance()
