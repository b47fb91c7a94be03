# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all decoders share: limits, suppression, the way back to the camera's picture."""

from __future__ import annotations

import dataclasses
import math
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.tasks.contract import DECIDING_LIMITS, Limits, TaskError
from dynamic_dnn_ros.tasks.detection import MOST_CANDIDATES, Detection

LABELS = ('cat', 'dog')
INPUT = Size(64, 64)
STRETCH = Preprocessing(Resize.STRETCH, (0, 0, 0), (1, 1, 1))
PLACEMENT = Placement.of(INPUT, INPUT, STRETCH)
TASK = Detection.from_options({'decoder': 'ultralytics_v8', 'several': True})


def outputs(*rows, points=None):
    """Write rows of left, upper, right, lower, score of each label, as the decoder reads them."""
    values = np.zeros((1, 6, points or max(len(rows), 1)), np.float32)
    for number, (left, upper, right, lower, *scores) in enumerate(rows):
        values[0, :, number] = [
            (left + right) / 2,
            (upper + lower) / 2,
            right - left,
            lower - upper,
            *scores,
        ]
    return {'output0': values}


def decode(found, limits=None, placement=PLACEMENT, labels=LABELS):
    return TASK.decode(found, 0, placement, labels, limits or Limits())


def test_best_first():
    found = decode(
        outputs((0, 0, 8, 8, 0.3, 0), (20, 20, 30, 36, 0, 0.9), (40, 40, 50, 50, 0.5, 0))
    )
    np.testing.assert_allclose(found.scores, [0.9, 0.5, 0.3])
    np.testing.assert_array_equal(found.classes, [1, 0, 0])
    np.testing.assert_allclose(found.boxes, [[20, 20, 30, 36], [40, 40, 50, 50], [0, 0, 8, 8]])
    assert (found.boxes.dtype, found.scores.dtype, found.classes.dtype) == (
        np.float32,
        np.float32,
        np.int64,
    )


def test_nothing_found_is_an_empty_result():
    found = decode(outputs(points=84))
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)


def test_no_candidates_at_all():
    found = TASK.decode(
        {'output0': np.zeros((1, 6, 0), np.float32)}, 0, PLACEMENT, LABELS, Limits()
    )
    assert len(found) == 0


def test_limit_on_score_is_kept_and_reached():
    rows = [(10 * n, 0, 10 * n + 8, 8, score, 0) for n, score in enumerate((0.25, 0.5, 0.75))]
    assert len(decode(outputs(*rows), Limits(score=0.5))) == 2
    assert len(decode(outputs(*rows), Limits(score=0))) == 6


def test_limit_on_number_keeps_the_best():
    rows = [(10 * n, 0, 10 * n + 8, 8, score, 0) for n, score in enumerate((0.3, 0.9, 0.6))]
    np.testing.assert_allclose(decode(outputs(*rows), Limits(number=2)).scores, [0.9, 0.6])
    assert len(decode(outputs(*rows), Limits(number=0))) == 0


def test_of_boxes_that_overlap_the_best_of_each_class_stays():
    box = (10, 10, 30, 30)
    shifted = (12, 10, 32, 30)  # intersection 18 x 20, union 440: 0.818
    rows = outputs((*box, 0.6, 0.4), (*shifted, 0.8, 0.3))
    found = decode(rows, Limits(overlap=0.8))
    assert sorted(zip(found.classes, found.scores.round(3))) == [
        (0, pytest.approx(0.8)),
        (1, pytest.approx(0.4)),
    ]
    assert len(decode(rows, Limits(overlap=0.82))) == 4


def test_boxes_are_cut_at_the_picture_and_left_out_outside():
    rows = outputs((-10, -10, 8, 8, 0.9, 0), (70, 10, 80, 20, 0.8, 0), (20, 20, 20, 30, 0.7, 0))
    np.testing.assert_allclose(decode(rows).boxes, [[0, 0, 8, 8]])


def test_boxes_outside_leave_room_for_others():
    rows = outputs((70, 10, 80, 20, 0.9, 0), (20, 20, 30, 30, 0.8, 0))
    np.testing.assert_allclose(decode(rows, Limits(number=1)).scores, [0.8])


def test_boxes_come_back_through_a_letterbox():
    letterbox = Preprocessing(Resize.LETTERBOX, (0, 0, 0), (1, 1, 1))
    placement = Placement.of(Size(480, 640), INPUT, letterbox)  # 64 x 48, 8 rows above
    found = decode(outputs((16, 16, 32, 32, 0.9, 0)), placement=placement)
    np.testing.assert_allclose(found.boxes, [[160, 80, 320, 240]], rtol=1e-6)


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('place', range(6))
def test_values_that_are_not_finite_count_as_nothing(bad, place):
    rows = outputs((0, 0, 8, 8, 0.5, 0.1), (20, 20, 30, 30, 0.9, 0.1))
    rows['output0'][0, place, 0] = bad
    found = decode(rows)
    np.testing.assert_allclose(found.scores, [0.9, 0.5] if place == 5 else [0.9])


def test_a_network_of_nothing_but_nan_finds_nothing():
    assert len(decode({'output0': np.full((1, 6, 84), np.nan, np.float32)})) == 0


def test_scores_above_one_are_one():
    np.testing.assert_array_equal(decode(outputs((0, 0, 8, 8, 1.5, 0))).scores, [1])


def test_classes_without_a_label_are_left_out():
    rows = outputs((0, 0, 8, 8, 0.1, 0.9), (20, 20, 30, 30, 0.8, 0.1))
    np.testing.assert_array_equal(decode(rows, labels=('cat',)).classes, [0])


def test_a_hundred_thousand_candidates_keep_the_best():
    generator = np.random.default_rng(0)
    values = np.zeros((1, 6, 100_000), np.float32)
    values[0, :2] = generator.uniform(0, 64, (2, 100_000))
    values[0, 2:4] = 4
    values[0, 4] = generator.uniform(0.3, 0.9, 100_000)
    values[0, 4, 77] = 0.95
    found = decode({'output0': values})
    assert len(found) == 100
    assert found.scores[0] == np.float32(0.95)
    least = np.sort(values[0, 4])[-MOST_CANDIDATES]
    assert found.scores.min() >= least


def scene(seed, count):
    """Return boxes of which many overlap."""
    generator = np.random.default_rng(seed)
    corner = generator.uniform(-5, 50, (count, 2))
    sides = generator.uniform(1, 30, (count, 2))
    rows = np.concatenate([corner, corner + sides, generator.uniform(0, 1, (count, 2))], axis=1)
    return outputs(*rows.tolist())


SCENES = st.builds(scene, st.integers(0, 999), st.integers(1, 60))
LIMITS = st.builds(
    Limits, score=st.floats(0, 1), number=st.integers(0, 80), overlap=st.floats(0, 1)
)


def as_rows(found):
    return [tuple(row) for row in np.column_stack([found.boxes, found.scores, found.classes])]


@given(SCENES, LIMITS)
@settings(deadline=None, max_examples=80)
def test_of_what_is_kept_no_two_of_a_class_overlap_by_more(found, limits):
    kept = decode(found, limits, Placement.of(INPUT, Size(64, 64), STRETCH))
    assert len(kept) <= limits.number
    assert (kept.scores >= np.float32(limits.score)).all()
    assert (np.diff(kept.scores) <= 0).all()
    inner = decode(found, dataclasses.replace(limits, number=1000))
    assert as_rows(inner)[: limits.number] == as_rows(kept)


@given(SCENES, LIMITS)
@settings(deadline=None, max_examples=60)
def test_pairs_that_are_kept(found, limits):
    # A picture so wide that no box is cut: what is kept can be compared as it was decoded.
    wide = Placement(Size(640, 640), INPUT, (1.0, 1.0), (-100.0, -100.0))
    kept = decode(found, limits, wide)
    boxes = kept.boxes.astype(np.float64)
    for one in range(len(kept)):
        for other in range(one):
            if kept.classes[one] == kept.classes[other]:
                sides = np.minimum(boxes[one, 2:], boxes[other, 2:]) - np.maximum(
                    boxes[one, :2], boxes[other, :2]
                )
                shared = np.prod(np.maximum(sides, 0))
                areas = sum(np.prod(boxes[n, 2:] - boxes[n, :2]) for n in (one, other))
                assert shared / (areas - shared) <= limits.overlap + 1e-4


@given(SCENES, st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_a_higher_limit_on_the_score_only_takes_away(found, one, other):
    low, high = sorted((one, other))
    more, fewer = (decode(found, Limits(score=score, number=1000)) for score in (low, high))
    good = more.scores >= np.float32(high)
    assert as_rows(fewer) == [row for row, keep in zip(as_rows(more), good) if keep]


def test_departure():
    generator = np.random.default_rng(0)
    recorded = {'output0': generator.uniform(0, 1, (2, 6, 84)).astype(np.float32)}
    recorded['output0'][:, :4] *= 64
    assert TASK.departure(recorded, recorded) == 0
    found = {'output0': recorded['output0'].copy()}
    found['output0'][:, 4:] *= 1.1  # scores are small beside pixels, and count all the same
    assert TASK.departure(found, recorded) == pytest.approx(0.1, rel=1e-4)
    found['output0'][0, 0, 0] = np.nan
    assert TASK.departure(found, recorded) == math.inf
    assert TASK.departure({'output0': recorded['output0'][:1]}, recorded) == math.inf
    assert TASK.departure({'other': recorded['output0']}, recorded) == math.inf


def test_says_what_to_install_without_opencv(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv2', None)
    with pytest.raises(TaskError, match='Detectors need OpenCV, .* Install python3-opencv'):
        decode(outputs((0, 0, 8, 8, 0.9, 0), (1, 0, 8, 8, 0.8, 0)))


def test_options_are_read_as_written():
    assert Detection.from_options(TASK.options()) == TASK


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({}, "'decoder' is None. Allowed is one of ultralytics_"),
        ({'decoder': 'yolo'}, "decoder 'yolo' is unknown. Known are:\n  ultralytics_"),
        ({'decoder': 'ultralytics_v8', 'channels': 'middle'}, "'channels' is 'middle'"),
        ({'decoder': 'ultralytics_v8', 'anchors': 3}, "ultralytics_v8 has no option 'anchors'"),
    ],
)
def test_bad_options_are_refused(options, said):
    with pytest.raises(TaskError, match=said):
        Detection.from_options(options)


def confidence(found, limits=DECIDING_LIMITS):
    return TASK.confidence(found, 0, INPUT, limits)


def test_confidence_is_the_mean_score_of_what_is_found():
    # The second is the first one again, the last is below the limit.
    found = outputs(
        (0, 0, 20, 20, 0.9, 0),
        (1, 0, 20, 20, 0.5, 0),
        (40, 40, 60, 60, 0, 0.7),
        (2, 2, 5, 5, 0.2, 0),
    )
    assert confidence(found) == pytest.approx(0.8)
    assert confidence(found, Limits(score=0.8)) == pytest.approx(0.9)


def test_confidence_of_an_empty_picture_is_how_far_all_stay_below_the_limit():
    assert confidence(outputs((0, 0, 8, 8, 0.2, 0))) == pytest.approx(0.2)
    assert confidence(outputs((0, 0, 8, 8, 0.05, 0.02))) == pytest.approx(0.8)
    assert confidence(outputs((0, 0, 8, 8, 0.0, 0.0))) == 1


def test_confidence_without_any_candidate_is_none():
    ended = Detection.from_options({'decoder': 'yolov7_end_to_end'})
    nothing = {'output': np.zeros((0, 7), np.float32)}
    assert ended.confidence(nothing, 0, INPUT, DECIDING_LIMITS) == 0
    assert math.isnan(confidence(outputs((0, 0, 8, 8, math.nan, 0))))
