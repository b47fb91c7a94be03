# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.datasets.contract import LabelledBoxes
from dynamic_dnn_ros.exits.mixtures import Answers, Judge
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.tasks.contract import Detections
from dynamic_dnn_ros.tasks.detection import Detection
from support.mixtures import LABELS, ByScorer, answers

SMALL = [True, True, False, False] * 25
LARGE = [True, False, True, True] * 25


@pytest.mark.parametrize('task', [Classification(), ByScorer()])
def test_a_mixture_is_scored_by_the_answers_that_are_taken(task):
    judge = Judge(task, LABELS, answers({'s': SMALL, 'l': LARGE}))
    taken = np.array([0, 0, 1, 1] * 25)
    assert judge.accuracy(['s', 'l'], taken) == 1.0
    assert judge.accuracy(['s', 'l'], 1 - taken) == 0.25
    assert judge.accuracy(['l'], np.zeros(100, int)) == 0.75
    assert judge.loss(['s', 'l'], taken).mean == pytest.approx(-0.25)
    assert judge.loss(['s', 'l'], np.ones(100, int)).mean == 0.0
    assert judge.loss(['s', 'l'], np.ones(100, int)).error == 0.0


def test_the_error_of_a_score_of_all_pictures_is_near_that_of_a_mean():
    generator = np.random.default_rng(1)
    right = {
        name: list(generator.uniform(size=2000) < share)
        for name, share in (('s', 0.8), ('l', 0.9))
    }
    taken = (generator.uniform(size=2000) < 0.5).astype(np.int64)
    mean = Judge(Classification(), LABELS, answers(right)).loss(['s', 'l'], taken)
    score = Judge(ByScorer(), LABELS, answers(right)).loss(['s', 'l'], taken)
    assert score.mean == pytest.approx(mean.mean)
    # Of ten groups, an estimate of an error is itself off by about a quarter.
    assert 0.4 * mean.error < score.error < 1.8 * mean.error


def test_pictures_without_anything_to_find_promise_nothing():
    class Nothing(ByScorer):
        def scorer(self, labels):
            class Empty:
                def add(self, result, truth):
                    pass

                def value(self):
                    return float('nan')

            return Empty()

    judge = Judge(Nothing(), LABELS, answers({'s': SMALL, 'l': LARGE}))
    assert not judge.loss(['s', 'l'], np.zeros(100, int)).keeps(0.9)


def test_detections_are_mixed_and_scored_by_ap():
    pytest.importorskip('faster_coco_eval')
    box, one = np.array([[10, 10, 60, 60]], np.float32), np.zeros(1, np.int64)
    found = Detections(box, np.array([0.9], np.float32), one)
    nothing = Detections(box[:0], np.zeros(0, np.float32), one[:0])
    truth = LabelledBoxes(box, one, np.zeros(1, bool))
    task = Detection.from_options({'decoder': 'labelled_boxes'})
    results = {'s': [found, nothing] * 20, 'l': [found] * 40}
    judge = Judge(task, ['cat'], Answers({}, results, [truth] * 40))
    easy_early = np.array([0, 1] * 20)
    assert judge.accuracy(['s', 'l'], easy_early) == pytest.approx(1.0)
    assert judge.loss(['s', 'l'], easy_early).keeps(0.001)
    all_early = judge.loss(['s', 'l'], np.zeros(40, int))
    assert all_early.mean == pytest.approx(0.5, abs=0.02)
    assert not all_early.keeps(0.4)
