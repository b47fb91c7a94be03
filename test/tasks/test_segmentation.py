# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which of the labels each pixel belongs to, at the camera's size."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.tasks.contract import (
    DECIDING_LIMITS,
    LabelMap,
    Limits,
    TaskError,
    TensorSpec,
)
from dynamic_dnn_ros.tasks.label_planes import best_classes, finer_classes
from dynamic_dnn_ros.tasks.mean_iou import MeanIouScorer
from dynamic_dnn_ros.tasks.segmentation import Segmentation

LABELS = ('floor', 'cat', 'dog')
INPUT = Size(12, 16)


def placed(resize, picture=INPUT):
    return Placement.of(picture, INPUT, Preprocessing(resize, (0, 0, 0), (1, 1, 1)))


def decode(task, values, placement=None, labels=LABELS, index=0):
    placement = placement or placed(Resize.STRETCH)
    return task.decode({'output': values}, index, placement, labels, Limits()).classes


def planes(seed=0, shape=(3, 12, 16)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_the_highest_plane_wins():
    values = planes()
    expected = values.argmax(axis=0)
    np.testing.assert_array_equal(decode(Segmentation(), values[None]), expected)
    last = np.moveaxis(values, 0, -1)[None]
    np.testing.assert_array_equal(decode(Segmentation(channels='last'), last), expected)
    assert decode(Segmentation(), values[None]).dtype == np.uint8


def test_of_a_batch_the_picture_that_is_asked_for():
    values = np.stack([planes(0), planes(1)])
    np.testing.assert_array_equal(
        decode(Segmentation(), values, index=1), values[1].argmax(axis=0)
    )


@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_best_classes_are_those_of_argmax(classes, height, width, seed):
    values = np.random.default_rng(seed).integers(0, 5, (classes, height, width))
    found = best_classes(values.astype(np.float32))
    np.testing.assert_array_equal(found, values.argmax(axis=0))


def interpolated(values, size):
    """Interpolate bilinearly, pixel by pixel."""
    classes, rows, columns = values.shape
    found = np.zeros((classes, *size))
    for y in range(size.height):
        for x in range(size.width):
            down = min(max((y + 0.5) * rows / size.height - 0.5, 0), rows - 1)
            across = min(max((x + 0.5) * columns / size.width - 0.5, 0), columns - 1)
            for row, share in ((int(down), 1 - down % 1), (math.ceil(down), down % 1)):
                for column, part in (
                    (int(across), 1 - across % 1),
                    (math.ceil(across), across % 1),
                ):
                    found[:, y, x] += values[:, row, column] * share * part
    return found


@pytest.mark.parametrize('seed', range(6))
def test_coarse_planes_are_interpolated(seed):
    values = planes(seed, (4, 3 + seed % 2, 4))
    size = Size(24, 32)
    exact = interpolated(values, size)
    best = np.sort(exact, axis=0)
    clear = best[-1] - best[-2] > 1e-5
    found = finer_classes(values, size)
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(found[clear], exact.argmax(axis=0)[clear])


def test_coarse_planes_come_back_at_the_size_of_the_picture():
    values = np.zeros((1, 3, 3, 4), np.float32)
    values[0, 1] = (-1, -1, 1, 1)
    values[0, 2] = -2
    found = decode(Segmentation(), values, placed(Resize.STRETCH, Size(48, 64)))
    np.testing.assert_array_equal(found, np.repeat([[0, 1]], 32, axis=1).repeat(48, axis=0))


@pytest.mark.parametrize('resize', list(Resize))
def test_label_maps_come_back_through_the_placement(resize):
    placement = placed(resize, Size(30, 60))
    expected = np.full((30, 60), LabelMap.UNLABELLED)
    marks = np.arange(12 * 16).reshape(12, 16) % 3
    for y in range(30):
        for x in range(60):
            row = (y + 0.5) * placement.scale[0] + placement.offset[0]
            column = (x + 0.5) * placement.scale[1] + placement.offset[1]
            if 0 <= row < 12 and 0 <= column < 16:
                expected[y, x] = marks[int(row), int(column)]
    found = decode(Segmentation(kind='labels'), marks[None], placement)
    np.testing.assert_array_equal(found, expected)
    assert (LabelMap.UNLABELLED in found) == (resize is Resize.CENTER_CROP)


@pytest.mark.parametrize('shape', [(1, 12, 16), (1, 1, 12, 16), (1, 12, 16, 1)])
@pytest.mark.parametrize('dtype', [np.int64, np.uint8, np.float32])
def test_label_maps_with_and_without_a_channel(shape, dtype):
    marks = (np.arange(12 * 16).reshape(12, 16) % 5).astype(dtype)
    task = Segmentation(kind='labels', channels='last' if shape[-1] == 1 else 'first')
    found = decode(task, marks.reshape(shape))
    np.testing.assert_array_equal(found, np.where(marks < 3, marks, LabelMap.UNLABELLED))


@pytest.mark.parametrize('threshold', [0.0, 0.3, 0.5, 1.0])
def test_one_plane_tells_two_labels_apart(threshold):
    values = np.linspace(-4, 4, 12 * 16, dtype=np.float32).reshape(1, 1, 12, 16)
    likely = 1 / (1 + np.exp(-values.astype(np.float64)))
    expected = (likely > threshold)[0, 0]
    task = Segmentation(kind='binary', activation='sigmoid', threshold=threshold)
    np.testing.assert_array_equal(decode(task, values, labels=('floor', 'cat')), expected)
    task = Segmentation(kind='binary', threshold=threshold)
    found = decode(task, likely.astype(np.float32), labels=('floor', 'cat'))
    np.testing.assert_array_equal(found, expected)


def test_half_precision():
    values = planes().astype(np.float16)
    np.testing.assert_array_equal(decode(Segmentation(), values[None]), values.argmax(axis=0))


@pytest.mark.parametrize('bad', [math.nan, math.inf])
@pytest.mark.parametrize('shape', [(3, 12, 16), (3, 3, 4)])
@pytest.mark.parametrize('kind', ['planes', 'binary'])
def test_values_that_are_not_finite_have_no_label(bad, shape, kind):
    values = planes(0, shape if kind == 'planes' else (1, *shape[1:]))
    values[0, 1, 1] = bad
    found = decode(Segmentation(kind=kind), values[None])
    step = 12 // shape[1]
    assert (found[step : 2 * step, step : 2 * step] == LabelMap.UNLABELLED).all()
    assert (found != LabelMap.UNLABELLED).mean() > 0.4


def test_a_network_of_nothing_but_nan():
    found = decode(Segmentation(), np.full((1, 3, 12, 16), np.nan, np.float32))
    assert (found == LabelMap.UNLABELLED).all()


@pytest.mark.parametrize(
    ('spec', 'labels', 'expected'),
    [
        (TensorSpec('o', (1, 3, 12, 16)), LABELS, ('planes', 'first')),
        (TensorSpec('o', (1, 12, 16, 3)), LABELS, ('planes', 'last')),
        (TensorSpec('o', (1, 1, 12, 16)), LABELS[:2], ('binary', 'first')),
        (TensorSpec('o', (1, 12, 16), 'int64'), LABELS, ('labels', 'first')),
        (TensorSpec('o', (1, 1, 12, 16), 'uint8'), LABELS, ('labels', 'first')),
        (TensorSpec('o', (1, 12, 16, 1), 'int32'), LABELS, ('labels', 'last')),
    ],
)
def test_recognises(spec, labels, expected):
    found = Segmentation.recognise([spec], labels)
    assert (found['kind'], found['channels'], found['output']) == (*expected, 'o')
    Segmentation.from_options(found).check([spec], labels, INPUT)


def test_recognises_probabilities_of_one_plane():
    spec, labels = TensorSpec('o', (1, 1, 12, 16)), LABELS[:2]
    values = planes(0, (1, 1, 12, 16))
    found = Segmentation.recognise([spec], labels, [{'o': values}])
    assert found['activation'] == 'sigmoid'
    found = Segmentation.recognise([spec], labels, [{'o': abs(values) / 10}])
    assert found['activation'] == 'none'


def test_recognises_the_first_of_torchvisions_two_outputs():
    outputs = [TensorSpec(name, (1, 3, 12, 16)) for name in ('out', 'aux')]
    assert Segmentation.recognise(outputs, LABELS)['output'] == 'out'
    others = [TensorSpec(name, (1, 3, 12, 16)) for name in ('one', 'two')]
    assert Segmentation.recognise(others, LABELS) is None
    assert Segmentation.recognise([TensorSpec('o', (1, 7, 126))], LABELS) is None


@pytest.mark.parametrize(
    ('task', 'shape', 'labels', 'said'),
    [
        (Segmentation(), (1, 4, 12, 16), LABELS, r'\(pictures, 3, rows, columns\) for 3 labels'),
        (Segmentation(channels='last'), (1, 3, 12, 16), LABELS, r'\(pictures, rows, columns, 3\)'),
        (Segmentation(kind='binary'), (1, 1, 12, 16), LABELS, 'tells two labels apart, and there'),
        (Segmentation(kind='labels'), (1, 2, 12, 16), LABELS, r'\(pictures, 1, rows, columns\)'),
        (Segmentation(), (1, 300, 12, 16), tuple('x' * 300), 'a label map holds 255 at most'),
    ],
)
def test_outputs_that_do_not_fit_are_refused(task, shape, labels, said):
    with pytest.raises(TaskError, match=said):
        task.check([TensorSpec('output', shape)], labels, INPUT)


def test_departure():
    recorded = {'output': planes()[None]}
    assert Segmentation().departure(recorded, recorded) == 0
    found = {'output': recorded['output'] * np.float32(1.1)}
    assert Segmentation().departure(found, recorded) == pytest.approx(0.1, rel=1e-4)
    assert Segmentation().departure({'output': found['output'][..., 1:]}, recorded) == math.inf
    marks = {'output': np.zeros((1, 10, 10), np.int64)}
    other = {'output': marks['output'].copy()}
    other['output'][0, 0, :3] = 1
    assert Segmentation(kind='labels').departure(other, marks) == pytest.approx(0.03)


def test_options_are_read_as_written():
    task = Segmentation('o', 'binary', 'last', 'sigmoid', 0.25)
    assert Segmentation.from_options(task.options()) == task
    assert Segmentation.from_options({'threshold': 1}).threshold == 1.0
    with pytest.raises(TaskError, match="'threshold' is 1.5. Allowed is a number of 0.0 to 1.0"):
        Segmentation.from_options({'threshold': 1.5})


def test_mean_iou_by_hand():
    scorer = MeanIouScorer(4)
    truth = np.array([[0, 0, 0, 255], [1, 1, 2, 255]], np.uint8)
    result = np.array([[0, 0, 1, 1], [1, 255, 2, 2]], np.uint8)
    scorer.add(LabelMap(result), truth)
    # 0: 2 of 3. 1: 1 of {one right, one not seen, one of 0 taken for it}. 2: 1 of 1. 3: not shown.
    np.testing.assert_allclose(scorer.values(), [2 / 3, 1 / 3, 1, np.nan])
    assert scorer.value() == pytest.approx(2 / 3)
    scorer.add(LabelMap(np.full((1, 3), 2, np.uint8)), np.full((1, 3), 3, np.uint8))
    np.testing.assert_allclose(scorer.values(), [2 / 3, 1 / 3, 1 / 4, 0])


def test_mean_iou_of_nothing():
    assert math.isnan(MeanIouScorer(3).value())
    with pytest.raises(ValueError, match='both must have the picture'):
        MeanIouScorer(3).add(LabelMap(np.zeros((2, 2), np.uint8)), np.zeros((3, 2), np.uint8))


def confidence(task, values):
    return task.confidence({'output': values}, 0, INPUT, DECIDING_LIMITS)


def test_confidence_is_the_mean_of_the_best_probabilities():
    sure = np.log(np.array([0.8, 0.1, 0.1]))[:, None]
    unsure = np.log(np.array([0.3, 0.3, 0.4]))[:, None]
    values = np.stack([sure, unsure], axis=2)[None].astype(np.float32)
    assert values.shape == (1, 3, 1, 2)
    assert confidence(Segmentation(), values) == pytest.approx(0.6)
    last = np.moveaxis(values, 1, -1)
    assert confidence(Segmentation(channels='last'), last) == pytest.approx(0.6)


def test_confidence_of_one_plane():
    shares = np.array([[[[0.1, 0.7]]]], np.float32)
    assert confidence(Segmentation(kind='binary'), shares) == pytest.approx(0.8)
    arguments = np.log(shares / (1 - shares))
    task = Segmentation(kind='binary', activation='sigmoid')
    assert confidence(task, arguments) == pytest.approx(0.8)
    assert confidence(task, np.full((1, 1, 2, 2), -1e30, np.float32)) == 1


def test_confidence_looks_at_some_of_many_places():
    values = np.zeros((1, 2, 256, 512), np.float32)
    values[:, 0, :128] = 50
    assert confidence(Segmentation(), values) == pytest.approx(0.75)


def test_confidence_of_labels_and_of_what_is_not_finite():
    assert confidence(Segmentation(kind='labels'), np.zeros((1, 12, 16), np.int64)) == 0
    assert math.isnan(confidence(Segmentation(), np.full((1, 3, 12, 16), math.nan, np.float32)))
