# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which stages a picture takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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


GATED = (
    Stage('stem', threshold=None, work=0.1, taken=0.0, choices=('narrow', 'wide')),
    Stage('narrow', threshold=None, work=0.4, taken=0.6, last=True),
    Stage('wide', threshold=0.5, work=0.8, taken=0.3, then='rest'),
    Stage('spare', threshold=None, work=0.9, taken=0.0),
    Stage('rest', threshold=None, work=1.0, taken=0.1),
)


class Gated(Network):
    """A gate between two branches, the scores of which are told for each picture by its sum."""

    def __init__(self, *scores: Sequence[float], wide: float = 0.1) -> None:
        self.scores = scores
        super().__init__([None, 0.9, wide, None, 0.2], GATED)
        self.prepared.largest_batch = 4

    def step(self, stage: Stage, sure: float | None) -> Step:
        def run(values: tuple[np.ndarray, ...]) -> tuple[Outputs | None, tuple[np.ndarray, ...]]:
            self.ran.append(stage.name)
            (batch,) = values
            if stage.choices:
                rows = [self.scores[int(each.sum()) % len(self.scores)] for each in batch]
                return {'scores': np.array(rows)}, values
            told = None if sure is None else {'sure': np.full(len(batch), sure)}
            return told, values

        return run


@pytest.mark.parametrize(
    ('scores', 'ran', 'work', 'undecided'),
    [
        ((2.0, 1.0), ['stem', 'narrow'], 0.4, 0),
        ((1.0, 2.0), ['stem', 'wide', 'rest'], 1.0, 0),
        ((3.0, math.nan), ['stem', 'wide', 'rest'], 1.0, 1),
        ((math.inf, 0.0), ['stem', 'wide', 'rest'], 1.0, 1),
    ],
)
def test_a_gate_picks_the_stage_that_runs_next(
    scores: tuple[float, float], ran: list[str], work: float, undecided: int
) -> None:
    network = Gated(scores)
    path = follow(network.prepared, PICTURE, Told())
    assert network.ran == ran, 'the other branch is not run'
    assert (path.stage, path.work, path.undecided) == (ran[-1], work, undecided)


def test_an_exit_behind_a_gate() -> None:
    path = follow(Gated((0.0, 1.0), wide=0.6).prepared, PICTURE, Told())
    assert (path.stage, path.work) == ('wide', 0.8)


def test_a_whole_run_takes_the_largest_path_whatever_a_gate_says() -> None:
    network = Gated((1.0, 0.0))
    assert network.prepared.run(PICTURE)['sure'] == [0.2]
    assert network.ran == ['stem', 'wide', 'rest']


def test_a_batch_splits_at_a_gate() -> None:
    network = Gated((1.0, 0.0), (0.0, 1.0))
    pictures = [PICTURE.copy() for _ in range(3)]
    pictures[1][0, 0, 0] = 1
    ways = [network.prepared.begin(each) for each in pictures]
    assert network.prepared.advance_together(ways) == [None] * 3
    assert network.ran == ['stem'] and [each.stage for each in ways] == [1, 2, 1]
    easy = [ways[0], ways[2]]
    answers = network.prepared.advance_together(easy)
    assert [None if each is None else float(each['sure'][0]) for each in answers] == [0.9, 0.9]
    assert network.ran == ['stem', 'narrow'] and all(each.done for each in easy)
    assert not ways[1].done


def test_scores_that_do_not_fit_the_choices() -> None:
    said = "gate after stage 'stem' of sub-network 's0' gives shape .1, 3., and it chooses of 2"
    with pytest.raises(EngineError, match=said):
        Gated((1.0, 0.0, 0.0)).prepared.run(PICTURE)


def test_work_is_the_sum_of_the_costs_of_the_stages_that_were_taken() -> None:
    costs = (0.3, 0.0, 0.5, 0.0, 0.2)
    for scores, work in (((1.0, 0.0), 0.3), ((0.0, 1.0), 1.0)):
        network = Gated(scores)
        entry = network.prepared.sub_network
        stages = tuple(replace(stage, cost=cost) for stage, cost in zip(GATED, costs))
        network.prepared.sub_network = replace(entry, stages=stages)
        assert follow(network.prepared, PICTURE, Told()).work == pytest.approx(work)


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
