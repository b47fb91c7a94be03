# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""COCO's AP, by hand and against COCO's own library."""

from __future__ import annotations

import contextlib
import io
import math
import sys

import numpy as np
import pytest

from dynamic_dnn_ros.datasets.contract import LabelledBoxes
from dynamic_dnn_ros.tasks.average_precision import AveragePrecisionScorer
from dynamic_dnn_ros.tasks.contract import Detections, TaskError

LABELS = ('cat', 'dog')


def truth(*rows):
    """Write rows of left, upper, right, lower, class and, where it is one, crowd."""
    return LabelledBoxes(
        np.array([row[:4] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[4] for row in rows], np.int64),
        np.array([len(row) > 5 for row in rows], np.bool_),
    )


def found(*rows):
    """Write rows of left, upper, right, lower, score and class."""
    return Detections(
        np.array([row[:4] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[4] for row in rows], np.float32),
        np.array([row[5] for row in rows], np.int64),
    )


def score(*pairs):
    scorer = AveragePrecisionScorer(LABELS)
    for result, expected in pairs:
        scorer.add(result, expected)
    return scorer.value()


def test_all_right():
    box = (0, 0, 10, 10)
    assert score((found((*box, 0.9, 0)), truth((*box, 0)))) == pytest.approx(1)


def test_half_of_the_boxes_found():
    # Precision 1 up to recall 0.5: of 101 recalls 0, 0.01 .. 1, 51 are reached.
    value = score((found((0, 0, 9, 9, 0.9, 0)), truth((0, 0, 9, 9, 0), (20, 20, 29, 29, 0))))
    assert value == pytest.approx(51 / 101)


def test_a_wrong_box_before_a_right_one_halves_precision():
    rows = found((50, 50, 60, 60, 0.9, 0), (0, 0, 9, 9, 0.8, 0))
    assert score((rows, truth((0, 0, 9, 9, 0)))) == pytest.approx(0.5)


def test_overlap_of_0_8_is_right_up_to_0_8():
    # Intersection 80 of union 100: right for 0.50 to 0.75, and 0.80 itself: 7 of 10 overlaps.
    value = score((found((0, 0, 10, 8, 0.9, 0)), truth((0, 0, 10, 10, 0))))
    assert value == pytest.approx(0.7)


def test_labels_that_nobody_shows_do_not_count_and_others_do():
    pair = (found((0, 0, 9, 9, 0.9, 0)), truth((0, 0, 9, 9, 0), (20, 20, 29, 29, 1)))
    assert score(pair) == pytest.approx(0.5)


def test_detections_in_a_crowd_count_neither_way():
    crowd = truth((0, 0, 9, 9, 0), (50, 50, 90, 90, 0, 'crowd'))
    rows = found((52, 52, 60, 60, 0.95, 0), (60, 60, 70, 70, 0.94, 0), (0, 0, 9, 9, 0.9, 0))
    assert score((rows, crowd)) == pytest.approx(1)


def test_pictures_without_boxes():
    box = (0, 0, 9, 9)
    assert math.isnan(score((found((*box, 0.9, 0)), truth())))
    assert score((found(), truth((*box, 0)))) == 0
    # A box where there is none comes before the right one.
    pairs = (found((*box, 0.95, 0)), truth()), (found((*box, 0.9, 0)), truth((*box, 0)))
    assert score(*pairs) == pytest.approx(0.5)


def random_pictures(seed, count=12):
    generator = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        corner = generator.uniform(0, 200, (6, 2))
        boxes = np.concatenate([corner, corner + generator.uniform(5, 150, (6, 2))], axis=1)
        classes = generator.integers(0, 2, 6)
        crowd = generator.random(6) < 0.2
        truths = LabelledBoxes(boxes.astype(np.float32), classes, crowd)
        places = generator.integers(0, 6, 30)
        near = (boxes[places] + generator.normal(0, 6, (30, 4))).astype(np.float32)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        labels = np.where(generator.random(30) < 0.8, classes[places], 1 - classes[places])
        scores = generator.random(30).astype(np.float32)
        order = np.argsort(-scores)
        pairs.append((Detections(near[order], scores[order], labels[order]), truths))
    return pairs


@pytest.mark.parametrize('seed', range(3))
def test_equal_to_the_library_of_coco(seed):
    coco = pytest.importorskip('pycocotools.coco', reason='pycocotools is not installed')
    evaluation = pytest.importorskip('pycocotools.cocoeval')
    pairs = random_pictures(seed)
    annotations, rows = [], []
    for picture, (result, expected) in enumerate(pairs):
        for (x, y, right, lower), label, crowd in zip(
            expected.boxes.tolist(), expected.classes, expected.crowd
        ):
            box = [x, y, right - x, lower - y]
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': picture + 1,
                    'category_id': int(label) + 7,
                    'bbox': box,
                    'area': box[2] * box[3],
                    'iscrowd': int(crowd),
                }
            )
        for (x, y, right, lower), value, label in zip(
            result.boxes.tolist(), result.scores.tolist(), result.classes
        ):
            rows.append(
                {
                    'image_id': picture + 1,
                    'category_id': int(label) + 7,
                    'bbox': [x, y, right - x, lower - y],
                    'score': value,
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        reference = coco.COCO()
        reference.dataset = {
            'info': {},
            'images': [{'id': number + 1} for number in range(len(pairs))],
            'categories': [{'id': 7, 'name': 'cat'}, {'id': 8, 'name': 'dog'}],
            'annotations': annotations,
        }
        reference.createIndex()
        judge = evaluation.COCOeval(reference, reference.loadRes(rows), 'bbox')
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert 0.2 < judge.stats[0] < 0.9
    scorer = AveragePrecisionScorer(LABELS)
    for result, expected in pairs:
        scorer.add(result, expected)
    values = scorer.values()
    names = ('map_50_95', 'map_50', 'map_75')
    assert [values[name] for name in names] == pytest.approx(list(judge.stats[:3]), abs=1e-9)


def test_says_how_to_install_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'faster_coco_eval', None)
    with pytest.raises(TaskError, match='pip install faster-coco-eval'):
        score((found((0, 0, 9, 9, 0.9, 0)), truth((0, 0, 9, 9, 0))))
