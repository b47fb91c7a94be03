# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detectors of Ultralytics, against plain loops over their published layouts."""

from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.tasks.contract import Limits, TaskError, TensorSpec
from dynamic_dnn_ros.tasks.decoders.registry import create_decoder, recognise
from support.detections import LABELS, SIZE, assert_same, centered, decode, kept

#: Points of 96 x 64 pixels at strides 8, 16, 32.
POINTS = 8 * 12 + 4 * 6 + 2 * 3
LIMITS = Limits(score=0.3, number=50, overlap=0.5)


def boxes(generator, count):
    """Return centers and sides in pixels, close enough that many overlap."""
    return np.concatenate(
        [generator.uniform((0, 0), (96, 64), (count, 2)), generator.uniform(8, 40, (count, 2))],
        axis=1,
    )


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('channels', ['first', 'last'])
@pytest.mark.parametrize('several', [False, True])
@pytest.mark.parametrize('normalised', [False, True])
def test_v8(seed, channels, several, normalised):
    generator = np.random.default_rng(seed)
    rows = np.concatenate(
        [boxes(generator, POINTS), generator.uniform(0, 0.6, (POINTS, 3))], axis=1
    ).astype(np.float32)
    expected = []
    for row in rows.tolist():
        scores = row[4:]
        for label, score in enumerate(scores):
            if several or score == max(scores):
                expected.append((*centered(*row[:4]), score, label))
    if normalised:
        rows[:, :4] /= (96, 64, 96, 64)
    values = rows.T if channels == 'first' else rows
    options = {'channels': channels, 'several': several, 'normalised': normalised}
    found = decode({'decoder': 'ultralytics_v8', **options}, {'output0': values[None]}, LIMITS)
    assert_same(found, kept(expected, LIMITS, nms=True))


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('several', [False, True])
@pytest.mark.parametrize('normalised', [False, True])
def test_v5(seed, several, normalised):
    generator = np.random.default_rng(seed)
    rows = np.concatenate(
        [boxes(generator, 3 * POINTS), generator.uniform(0, 1, (3 * POINTS, 4)) ** 2], axis=1
    ).astype(np.float32)
    expected = []
    for row in rows.tolist():
        for label, score in enumerate(row[5:]):
            if several or score == max(row[5:]):
                expected.append((*centered(*row[:4]), row[4] * score, label))
    if normalised:
        rows[:, :4] /= (96, 64, 96, 64)
    options = {'decoder': 'ultralytics_v5', 'several': several, 'normalised': normalised}
    found = decode(options, {'output0': rows[None]}, LIMITS)
    assert_same(found, kept(expected, LIMITS, nms=True))


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('normalised', [False, True])
def test_end_to_end(seed, normalised):
    generator = np.random.default_rng(seed)
    rows = np.zeros((2, 300, 6), np.float32)
    expected = []
    for place in range(120):
        row = (*centered(*boxes(generator, 1)[0]), generator.uniform(0, 1), place % 3)
        expected.append(tuple(np.float32(row[:5]).tolist()) + (place % 3,))
        rows[1, place] = row
    if normalised:
        rows[..., :4] /= (96, 64, 96, 64)
    options = {'decoder': 'ultralytics_end_to_end', 'normalised': normalised}
    found = decode(options, {'output0': rows}, LIMITS, index=1)
    assert_same(found, kept(expected, LIMITS, nms=False))
    assert len(decode(options, {'output0': rows}, LIMITS, index=0)) == 0


def test_end_to_end_classes_that_are_no_number():
    rows = np.zeros((1, 2, 6), np.float32)
    rows[0, 0] = (0, 0, 8, 8, 0.9, np.nan)
    rows[0, 1] = (0, 0, 8, 8, 0.8, -3)
    assert len(decode({'decoder': 'ultralytics_end_to_end'}, {'output0': rows})) == 0


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('several', [False, True])
def test_rt_detr(seed, several):
    generator = np.random.default_rng(seed)
    rows = np.concatenate(
        [generator.uniform(0.05, 0.6, (300, 4)), generator.uniform(0, 0.6, (300, 3))], axis=1
    ).astype(np.float32)
    expected = []
    for row in rows.tolist():
        x, y, width, height = row[:4]
        box = centered(x * 96, y * 64, width * 96, height * 64)
        for label, score in enumerate(row[4:]):
            if several or score == max(row[4:]):
                expected.append((*box, score, label))
    options = {'decoder': 'ultralytics_rt_detr', 'several': several}
    found = decode(options, {'output0': rows[None]}, LIMITS)
    assert_same(found, kept(expected, LIMITS, nms=False))


@pytest.mark.parametrize(
    ('shape', 'decoder'),
    [
        ((1, 7, POINTS), {'decoder': 'ultralytics_v8', 'channels': 'first'}),
        ((None, 7, POINTS + 2), {'decoder': 'ultralytics_v8', 'channels': 'first'}),
        ((1, POINTS, 7), {'decoder': 'ultralytics_v8', 'channels': 'last'}),
        ((1, 3 * POINTS, 8), {'decoder': 'ultralytics_v5'}),
        ((1, 3 * (POINTS + 2), 8), {'decoder': 'ultralytics_v5'}),
        ((1, 100, 6), {'decoder': 'ultralytics_end_to_end'}),
        ((1, 300, 7), {'decoder': 'ultralytics_rt_detr'}),
    ],
)
def test_shapes_tell(shape, decoder):
    found = recognise([TensorSpec('out', shape)], LABELS, SIZE)
    assert decoder.items() <= found.items()
    assert found['output'] == 'out'


@pytest.mark.parametrize('seed', range(3))
def test_rt_detr_that_ranks_itself(seed):
    generator = np.random.default_rng(seed)
    rows = np.concatenate(
        [
            generator.uniform(0.05, 0.6, (300, 4)),
            generator.uniform(0, 1, (300, 1)),
            generator.integers(0, 3, (300, 1)),
        ],
        axis=1,
    ).astype(np.float32)
    expected = [
        (*centered(x * 96, y * 64, width * 96, height * 64), score, int(label))
        for x, y, width, height, score, label in rows.tolist()
    ]
    outputs = {'output0': rows[None]}
    options = recognise([TensorSpec('output0', (1, 300, 6))], LABELS, SIZE, [outputs])
    assert (options['decoder'], options['ranked']) == ('ultralytics_rt_detr', True)
    assert_same(decode(options, outputs, LIMITS), kept(expected, LIMITS, nms=False))
    pixels = {'output0': rows[None] * np.float32((96, 64, 96, 64, 1, 1))}
    found = recognise([TensorSpec('output0', (1, 300, 6))], LABELS, SIZE, [pixels])
    assert found['decoder'] == 'ultralytics_end_to_end'


def test_rows_of_six_without_a_sample_have_to_be_named():
    with pytest.raises(TaskError, match='ultralytics_end_to_end and ultralytics_rt_detr could'):
        recognise([TensorSpec('output0', (1, 300, 6))], LABELS, SIZE)


def test_rows_of_six_in_which_nothing_was_found():
    outputs = {'output0': np.zeros((1, 300, 6), np.float32)}
    found = recognise([TensorSpec('output0', (1, 300, 6))], LABELS, SIZE, [outputs])
    assert found['decoder'] == 'ultralytics_end_to_end'


def test_two_labels_look_like_rows_of_six():
    spec, labels = TensorSpec('out', (1, 300, 6)), ('cat', 'dog')
    with pytest.raises(TaskError, match='could read. Name the one to take, for example: --deco'):
        recognise([spec], labels, SIZE)
    named = recognise([spec], labels, SIZE, decoder='ultralytics_rt_detr')
    assert named['decoder'] == 'ultralytics_rt_detr'
    generator = np.random.default_rng(0)
    queries = {'out': generator.uniform(0, 1, (1, 300, 6)).astype(np.float32)}
    assert recognise([spec], labels, SIZE, [queries])['decoder'] == 'ultralytics_rt_detr'
    rows = {'out': generator.uniform(0, 64, (1, 300, 6)).round().astype(np.float32)}
    assert recognise([spec], labels, SIZE, [rows])['decoder'] == 'ultralytics_end_to_end'


def test_labels_that_do_not_fit_are_named():
    spec = TensorSpec('output0', (1, 84, POINTS))
    with pytest.raises(TaskError) as error:
        recognise([spec], LABELS, SIZE)
    text = str(error.value)
    assert 'The network takes 96x64 and has output0 float32 (1, 84, 126)' in text
    assert 'no decoder reads with 3 labels. With 80 labels it would be ultralytics_v8' in text


def test_outputs_that_nobody_knows_list_what_is_known():
    with pytest.raises(TaskError) as error:
        recognise([TensorSpec('heat', (1, 5, 17, 9)), TensorSpec('b', (1, 2))], LABELS, SIZE)
    text = str(error.value)
    assert 'heat float32 (1, 5, 17, 9), b float32 (1, 2)' in text
    assert '  ultralytics_v8: one output' in text and '  tflite_ssd: boxes' in text
    assert 'Name one with --decoder NAME' in text


def test_a_named_decoder_that_does_not_fit():
    with pytest.raises(TaskError, match="decoder 'ultralytics_v5' cannot read with 3 labels; it"):
        recognise([TensorSpec('out', (1, 7, POINTS))], LABELS, SIZE, decoder='ultralytics_v5')
    with pytest.raises(TaskError, match="decoder 'yolo9' is unknown. Known are:"):
        recognise([TensorSpec('out', (1, 7, POINTS))], LABELS, SIZE, decoder='yolo9')


@pytest.mark.parametrize(
    ('decoder', 'shape', 'said'),
    [
        ('ultralytics_v8', (1, 8, POINTS), r'an output \(pictures, 7, points\) for 3 labels'),
        ('ultralytics_v5', (1, 378, 7), r'an output \(pictures, points, 8\) for 3 labels'),
        ('ultralytics_end_to_end', (1, 300, 7), r'an output \(pictures, boxes, 6\)'),
        ('ultralytics_rt_detr', (1, 300, 8), r'an output \(pictures, queries, 7\)'),
    ],
)
def test_checks_refuse_other_shapes(decoder, shape, said):
    with pytest.raises(TaskError, match=said):
        create_decoder(decoder, {}).check([TensorSpec('output0', shape)], LABELS, SIZE)
    with pytest.raises(TaskError, match="needs an output 'output0', and the network has other"):
        create_decoder(decoder, {}).check([TensorSpec('other', shape)], LABELS, SIZE)
