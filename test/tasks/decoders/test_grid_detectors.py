# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detectors that speak about the points of a grid, against plain loops over their papers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dynamic_dnn_ros.tasks.contract import Limits, TaskError, TensorSpec
from dynamic_dnn_ros.tasks.decoders.registry import create_decoder, recognise
from dynamic_dnn_ros.tasks.tensors import specs_of
from support.detections import (
    LABELS,
    SIZE,
    assert_same,
    centered,
    decode,
    kept,
    sigmoid,
    softmax,
)

LIMITS = Limits(score=0.3, number=50, overlap=0.5)


def points(strides, size=SIZE):
    """Return column, row and stride of each point."""
    return [
        (column, row, stride)
        for stride in strides
        for row in range(math.ceil(size.height / stride))
        for column in range(math.ceil(size.width / stride))
    ]


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('decoded', [False, True])
def test_yolox(seed, decoded):
    generator = np.random.default_rng(seed)
    places = points((8, 16, 32))
    raw = np.concatenate(
        [
            generator.uniform(-0.5, 1.5, (len(places), 2)),
            generator.normal(0, 0.7, (len(places), 2)),
            generator.uniform(0, 1, (len(places), 4)) ** 2,
        ],
        axis=1,
    ).astype(np.float32)
    values, expected = raw.copy(), []
    for number, (column, row, stride) in enumerate(places):
        x, y, width, height, objectness, *scores = raw[number].tolist()
        box = (
            (x + column) * stride,
            (y + row) * stride,
            math.exp(width) * stride,
            math.exp(height) * stride,
        )
        best = max(range(3), key=lambda label: scores[label])
        expected.append((*centered(*box), objectness * scores[best], best))
        if decoded:
            values[number, :4] = box
    name = 'yolox_decoded' if decoded else 'yolox'
    found = decode({'decoder': name}, {'output': values[None]}, LIMITS)
    assert_same(found, kept(expected, LIMITS, nms=True))
    spec = TensorSpec('output', (1, len(places), 8))
    sample = {'output': values[None]}
    assert recognise([spec], LABELS, SIZE, [sample])['decoder'] == name


def test_yolox_without_a_sample_has_to_be_named():
    spec = TensorSpec('output', (1, 126, 8))
    with pytest.raises(TaskError, match='which yolox and yolox_decoded could read'):
        recognise([spec], LABELS, SIZE)
    assert recognise([spec], LABELS, SIZE, decoder='yolox')['strides'] == [8, 16, 32]


def test_yolox_sides_that_run_over_are_no_boxes():
    values = np.zeros((1, 126, 8), np.float32)
    values[0, 0] = (0, 0, 1e9, 1e9, 1, 1, 0, 0)
    found = decode({'decoder': 'yolox'}, {'output': values})
    np.testing.assert_array_equal(found.boxes, [[0, 0, 96, 64]])


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize(
    ('decoder', 'strides', 'offset'),
    [
        ('nanodet', (8, 16, 32), 0.5),
        ('nanodet_plus', (8, 16, 32, 64), 0.0),
        ('nanodet_plus', (8, 16, 32), 0.0),
        ('points', (16, 32), 0.5),
    ],
)
@pytest.mark.parametrize('activation', ['none', 'sigmoid'])
def test_distances(seed, decoder, strides, offset, activation):
    generator = np.random.default_rng(seed)
    places = points(strides)
    logits = generator.normal(-1.5, 1.2, (len(places), 3)).astype(np.float32)
    bins = 8 if decoder != 'points' else 5
    sides = generator.normal(0, 2, (len(places), 4 * bins)).astype(np.float32)
    scores = logits
    if activation == 'none':
        scores = np.vectorize(sigmoid)(logits.astype(np.float64)).astype(np.float32)
    expected = []
    for number, (column, row, stride) in enumerate(places):
        x, y = (column + offset) * stride, (row + offset) * stride
        far = []
        for side in range(4):
            shares = softmax(sides[number, side * bins : (side + 1) * bins].tolist())
            far.append(stride * sum(share * place for place, share in enumerate(shares)))
        box = (
            max(x - far[0], 0),
            max(y - far[1], 0),
            min(x + far[2], SIZE.width),
            min(y + far[3], SIZE.height),
        )
        for label in range(3):
            expected.append((*box, sigmoid(float(logits[number, label])), label))
    values = np.concatenate([scores, sides], axis=1)[None]
    options = {
        'decoder': decoder,
        'strides': list(strides),
        'cell_offset': offset,
        'bins': bins,
        'activation': activation,
    }
    found = decode(options, {'output': values}, LIMITS)
    assert_same(found, kept(expected, LIMITS, nms=True))


@pytest.mark.parametrize('seed', range(3))
def test_nanodet_by_levels(seed):
    """Before 1.0 NanoDet has two outputs for each level, which hold what later is one row."""
    generator = np.random.default_rng(seed)
    outputs, levels = {}, []
    for stride in (8, 16, 32):
        count = len(points((stride,)))
        outputs[f'cls_pred_stride_{stride}'] = generator.uniform(0, 1, (1, count, 3)) ** 3
        outputs[f'dis_pred_stride_{stride}'] = generator.normal(0, 2, (1, count, 32))
        levels.append(np.concatenate(list(outputs.values())[-2:], axis=2))
    outputs = {name: value.astype(np.float32) for name, value in outputs.items()}
    options = recognise(specs_of(outputs), LABELS, SIZE)
    assert options['decoder'] == 'nanodet_levels'
    joined = {'output': np.concatenate(levels, axis=1).astype(np.float32)}
    expected = decode({'decoder': 'nanodet'}, joined, LIMITS)
    found = decode(options, outputs, LIMITS)
    assert len(expected)
    for name in ('boxes', 'scores', 'classes'):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_nanodet_is_recognised_by_its_levels():
    four = recognise([TensorSpec('o', (1, 128, 35))], LABELS, SIZE)
    assert (four['decoder'], four['strides']) == ('nanodet_plus', [8, 16, 32, 64])
    with pytest.raises(TaskError, match='which nanodet and nanodet_plus could read'):
        recognise([TensorSpec('o', (1, 126, 35))], LABELS, SIZE)
    named = recognise([TensorSpec('o', (1, 126, 35))], LABELS, SIZE, decoder='nanodet_plus')
    assert named['strides'] == [8, 16, 32]
    assert named['cell_offset'] == 0


@pytest.mark.parametrize('seed', range(5))
def test_fastestdet(seed):
    generator = np.random.default_rng(seed)
    planes = generator.normal(0, 1, (8, 4, 6)).astype(np.float32)
    planes[0] = generator.uniform(0, 1, (4, 6))
    planes[5:] = generator.uniform(0, 1, (3, 4, 6))
    expected = []
    for row in range(4):
        for column in range(6):
            objectness, x, y, width, height, *scores = planes[:, row, column].tolist()
            best = max(range(3), key=lambda label: scores[label])
            box = centered(
                (column + math.tanh(x)) / 6 * 96,
                (row + math.tanh(y)) / 4 * 64,
                sigmoid(width) * 96,
                sigmoid(height) * 64,
            )
            expected.append((*box, objectness**0.6 * scores[best] ** 0.4, best))
    found = decode({'decoder': 'fastestdet'}, {'output': planes[None]}, LIMITS)
    assert_same(found, kept(expected, LIMITS, nms=True))
    spec = TensorSpec('output', (1, 8, 4, 6))
    assert recognise([spec], LABELS, SIZE) == {'decoder': 'fastestdet', 'output': 'output'}


@pytest.mark.parametrize(
    ('decoder', 'shape', 'said'),
    [
        ('yolox', (1, 125, 8), r'an output \(pictures, 126, 8\) at 96x64 for 3 labels'),
        ('nanodet', (1, 126, 36), r'an output \(pictures, 126, 35\) at 96x64'),
        ('nanodet_plus', (1, 126, 35), r'an output \(pictures, 128, 35\)'),
        ('fastestdet', (1, 9, 4, 6), r'an output \(pictures, 8, rows, columns\)'),
    ],
)
def test_checks_refuse_other_shapes(decoder, shape, said):
    with pytest.raises(TaskError, match=said):
        create_decoder(decoder, {}).check([TensorSpec('output', shape)], LABELS, SIZE)


@pytest.mark.parametrize('decoder', ['yolox', 'yolox_decoded', 'nanodet', 'fastestdet'])
def test_checks_take_what_is_open(decoder):
    rank = 4 if decoder == 'fastestdet' else 3
    create_decoder(decoder, {}).check([TensorSpec('output', (None,) * rank)], LABELS, SIZE)
