# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which of the labels a picture shows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.tasks.classification import Classification, Top1Scorer, softmax
from dynamic_dnn_ros.tasks.contract import (
    DECIDING_LIMITS,
    ClassScores,
    Limits,
    TaskError,
    TensorSpec,
)

LABELS = ('cat', 'dog', 'fox')
SIZE = Size(32, 32)
PLACEMENT = Placement.of(SIZE, SIZE, Preprocessing(Resize.STRETCH, (0, 0, 0), (1, 1, 1)))


def decode(task, values, index=0):
    return task.decode({'logits': np.asarray(values)}, index, PLACEMENT, LABELS, Limits()).scores


def test_softmax_of_logits():
    scores = decode(Classification(), np.array([[0, 0, 0], [1, 2, 3]], np.float32), index=1)
    expected = [
        math.exp(value) / sum(math.exp(other) for other in (1, 2, 3)) for value in (1, 2, 3)
    ]
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


def test_large_logits_do_not_overflow():
    np.testing.assert_array_equal(decode(Classification(), [[1e4, 0.0, 0.0]]), [1, 0, 0])


def test_probabilities_stay():
    np.testing.assert_allclose(decode(Classification('none'), [[0.2, 0.5, 0.3]]), [0.2, 0.5, 0.3])


def test_background_has_no_label():
    scores = decode(Classification('none', class_offset=1), [[0.1, 0.2, 0.4, 0.3]])
    np.testing.assert_allclose(scores, [0.2, 0.4, 0.3])


def test_planes_of_one_pixel_are_rows():
    values = np.array([0.2, 0.5, 0.3]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(decode(Classification('none'), values), [0.2, 0.5, 0.3])


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_count_as_nothing(bad):
    scores = decode(Classification(), [[1.0, bad, 2.0]])
    np.testing.assert_array_equal(scores, [0, 0, 0])
    scorer = Top1Scorer()
    scorer.add(ClassScores(scores), 0)
    assert scorer.value() == 0


def test_departure_is_relative_and_free_of_what_no_probability_depends_on():
    recorded = np.arange(24, dtype=np.float32).reshape(8, 3) ** 2

    def departure(found, recorded=recorded):
        return Classification().departure({'logits': found}, {'logits': recorded})

    assert departure(recorded) == 0.0
    assert departure(recorded + np.float32(7)) == pytest.approx(0, abs=1e-6)
    assert departure(recorded * np.float32(1.25)) == pytest.approx(0.25)
    assert departure(np.zeros_like(recorded)) == pytest.approx(1.0)
    assert departure(recorded, np.zeros_like(recorded)) > 1e6
    for value in (np.nan, np.inf):
        assert departure(np.where(recorded > 100, value, recorded)) == np.inf


def test_softmax_is_a_distribution_for_any_logits():
    for logits in ([0.0, 0.0], [1e4, -1e4], [-3.0, 2.0, 5.0]):
        probabilities = softmax(np.array(logits, np.float32))
        assert probabilities.sum() == pytest.approx(1.0)
        assert np.argmax(probabilities) == np.argmax(logits)


@pytest.mark.parametrize(
    'found',
    [
        {'logits': np.zeros((8, 11), np.float32)},
        {'other': np.zeros((8, 10), np.float32)},
        {'logits': np.full((8, 10), np.nan, np.float32)},
    ],
    ids=['shape', 'name', 'not finite'],
)
def test_departure_is_infinite_where_outputs_are_others(found):
    recorded = {'logits': np.ones((8, 10), np.float32)}
    assert Classification().departure(found, recorded) == math.inf


def test_options_are_read_as_written():
    task = Classification('none', 1)
    assert Classification.from_options(task.options()) == task
    assert Classification.from_options({}) == Classification('softmax', 0)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'activation': 'sigmoid'}, "'activation' is 'sigmoid'. Allowed is one of softmax, none"),
        ({'class_offset': 2}, "'class_offset' is 2. Allowed is a whole number of 0 to 1"),
        ({'class_offset': True}, "'class_offset' is True"),
        ({'softmax': True}, "no option 'softmax'. Known are: activation, class_offset"),
    ],
)
def test_bad_options_are_refused(options, said):
    with pytest.raises(TaskError, match=said):
        Classification.from_options(options)


def test_outputs_that_fit_pass():
    Classification().check([TensorSpec('logits', (None, 3))], LABELS, SIZE)
    Classification().check([TensorSpec('logits', (1, None))], LABELS, SIZE)
    Classification('none', 1).check([TensorSpec('logits', (1, 4, 1, 1))], LABELS, SIZE)


@pytest.mark.parametrize(
    ('outputs', 'said'),
    [
        ([TensorSpec('logits', (1, 4))], 'there are 3 labels. Give the labels'),
        ([TensorSpec('map', (1, 3, 8, 8))], 'needs one output .* map float32 .1, 3, 8, 8.'),
        ([TensorSpec('a', (1, 3)), TensorSpec('b', (1, 3))], 'needs one output'),
        ([TensorSpec('best', (1, 3), 'int64')], 'needs one output of real numbers'),
        ([], 'the network has none'),
    ],
)
def test_outputs_that_do_not_fit_are_refused(outputs, said):
    with pytest.raises(TaskError, match=said):
        Classification().check(outputs, LABELS, SIZE)


def test_recognises_logits_and_probabilities():
    spec = TensorSpec('out', (1, 3))
    logits = {'out': np.array([[1.0, -2.0, 3.0]], np.float32)}
    likely = {'out': np.array([[0.2, 0.5, 0.3]], np.float16)}
    assert Classification.recognise([spec], LABELS) == Classification('softmax').options()
    found = Classification.recognise([spec], LABELS, [logits, likely])
    assert found == Classification('softmax').options()
    assert Classification.recognise([spec], LABELS, [likely]) == Classification('none').options()


def test_recognises_the_background_of_the_first_mobilenets_alone():
    thousand = [str(number) for number in range(1000)]
    found = Classification.recognise([TensorSpec('out', (1, 1001))], thousand)
    assert found == Classification('softmax', 1).options()
    assert Classification.recognise([TensorSpec('out', (1, 4))], LABELS) is None


def test_top1():
    scorer = Top1Scorer()
    assert math.isnan(scorer.value())
    for truth in (0, 1, 1, 2):
        scorer.add(ClassScores(np.array([0.1, 0.7, 0.2])), truth)
    assert scorer.value() == 0.5


def test_confidence_is_the_largest_probability():
    outputs = {'logits': np.array([[0.0, math.log(2), 0.0], [900.0, 0.0, 0.0]], np.float32)}
    confidence = Classification().confidence
    assert confidence(outputs, 0, SIZE, DECIDING_LIMITS) == pytest.approx(0.5)
    assert confidence(outputs, 1, SIZE, DECIDING_LIMITS) == 1
    shares = {'logits': np.array([[0.2, 0.7, 0.1]], np.float32)}
    task = Classification('none')
    assert task.confidence(shares, 0, SIZE, DECIDING_LIMITS) == pytest.approx(0.7)


@pytest.mark.parametrize('activation', ['softmax', 'none'])
@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_confidence_of_what_is_not_finite_is_no_number(activation, bad):
    outputs = {'logits': np.array([[0.2, bad, 0.1]], np.float32)}
    assert math.isnan(Classification(activation).confidence(outputs, 0, SIZE, DECIDING_LIMITS))
