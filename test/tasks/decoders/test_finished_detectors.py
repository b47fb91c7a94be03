# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detectors that suppress nothing: DETR types, and exports with their own post-processing."""

from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.tasks.contract import Limits, TaskError, TensorSpec
from dynamic_dnn_ros.tasks.decoders.registry import create_decoder, recognise
from dynamic_dnn_ros.tasks.tensors import specs_of
from support.detections import LABELS, SIZE, assert_same, centered, decode, kept, sigmoid, softmax

LIMITS = Limits(score=0.3, number=50)
COCO = tuple(str(number) for number in range(80))


def queries(seed, classes, count=40):
    """Return boxes in parts of the input, and logits."""
    generator = np.random.default_rng(seed)
    boxes = generator.uniform(0.1, 0.5, (1, count, 4)).astype(np.float32)
    return boxes, generator.normal(-1, 1.5, (1, count, classes)).astype(np.float32)


def pixels(box):
    x, y, width, height = box.tolist()
    return centered(x * 96, y * 64, width * 96, height * 64)


@pytest.mark.parametrize('seed', range(5))
def test_detr(seed):
    boxes, logits = queries(seed, 4)
    expected = []
    for box, row in zip(boxes[0], logits[0].tolist()):
        shares = softmax(row)[:-1]
        best = max(range(3), key=lambda label: shares[label])
        expected.append((*pixels(box), shares[best], best))
    found = decode({'decoder': 'detr'}, {'pred_boxes': boxes, 'logits': logits}, LIMITS)
    assert_same(found, kept(expected, LIMITS, nms=False))


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize(('decoder', 'unused'), [('rt_detr', 0), ('rf_detr', 1)])
def test_sigmoid_queries(seed, decoder, unused):
    boxes, logits = queries(seed, 3 + unused)
    expected = [
        (*pixels(box), sigmoid(row[label]), label)
        for box, row in zip(boxes[0], logits[0].tolist())
        for label in range(3)
    ]
    options = {'decoder': decoder, 'boxes': 'b', 'logits': 'l'}
    found = decode(options, {'b': boxes, 'l': logits}, LIMITS)
    assert_same(found, kept(expected, LIMITS, nms=False))


@pytest.mark.parametrize(('decoder', 'length'), [('detr', 92), ('rt_detr', 91), ('rf_detr', 91)])
def test_numbers_of_coco(decoder, length):
    boxes = np.full((1, 3, 4), 0.5, np.float32)
    logits = np.full((1, 3, length), -20, np.float32)
    logits[0, 0, 1] = 20  # person, the first label
    logits[0, 1, 90] = 19  # toothbrush, the last
    logits[0, 2, 12] = 18  # a number that COCO does not use
    options = {'decoder': decoder, 'boxes': 'b', 'logits': 'l', 'coco_numbers': True}
    found = decode(options, {'b': boxes, 'l': logits}, labels=COCO)
    np.testing.assert_array_equal(found.classes, [0, 79])


@pytest.mark.parametrize(
    ('names', 'length', 'labels', 'decoder', 'coco'),
    [
        (('pred_boxes', 'logits'), 4, LABELS, 'detr', False),
        (('pred_boxes', 'logits'), 3, LABELS, 'rt_detr', False),
        (('dets', 'labels'), 4, LABELS, 'rf_detr', False),
        (('dets', 'labels'), 91, COCO, 'rf_detr', True),
        (('pred_boxes', 'logits'), 92, COCO, 'detr', True),
        (('pred_boxes', 'logits'), 91, COCO, 'rt_detr', True),
        (('dets', 'labels'), 91, tuple('x' * 91), 'rt_detr', False),
    ],
)
def test_queries_are_recognised(names, length, labels, decoder, coco):
    boxes, logits = (
        TensorSpec(name, (1, 300, values)) for name, values in zip(names, (4, length))
    )
    for outputs in ([boxes, logits], [logits, boxes]):
        found = recognise(outputs, labels, SIZE)
        assert (found['decoder'], found['coco_numbers']) == (decoder, coco)
        assert (found['boxes'], found['logits']) == names


def test_queries_whose_names_do_not_tell_have_to_be_named():
    outputs = [TensorSpec('4245', (1, 300, 4)), TensorSpec('4246', (1, 300, 81))]
    with pytest.raises(TaskError, match='detr and rf_detr could read'):
        recognise(outputs, COCO, SIZE)
    twins = [TensorSpec('4245', (1, 300, 4)), TensorSpec('4246', (1, 300, 4))]
    with pytest.raises(TaskError, match='no decoder reads with 3 labels'):
        recognise(twins, LABELS, SIZE)


def finished(seed, count, first):
    """Return boxes, numbers of labels, scores, and the rows that they stand for."""
    generator = np.random.default_rng(seed)
    corner = generator.uniform((-5, -5), (80, 50), (count, 2))
    boxes = np.concatenate([corner, corner + generator.uniform(4, 30, (count, 2))], axis=1)
    boxes = boxes.astype(np.float32)
    scores = generator.uniform(0, 1, count).astype(np.float32)
    numbers = generator.integers(0, 3, count)
    rows = [
        (*box, score, number)
        for box, score, number in zip(boxes.tolist(), scores.tolist(), numbers.tolist())
    ]
    return boxes, numbers + first, scores, kept(rows, LIMITS, nms=False)


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('batched', [False, True])
def test_labelled_boxes(seed, batched):
    boxes, numbers, scores, expected = finished(seed, 60, first=0 if batched else 1)
    outputs = {'boxes': boxes, 'labels': numbers, 'scores': scores}
    if batched:
        outputs = {
            name: np.stack([np.zeros_like(value), value]) for name, value in outputs.items()
        }
    specs = [
        TensorSpec('scores', (1, None) if batched else (None,)),
        TensorSpec('boxes', (1, 300, 4) if batched else (None, 4)),
        TensorSpec('labels', (1, None) if batched else (None,), 'int64'),
    ]
    options = recognise(specs, LABELS, SIZE)
    assert options['class_offset'] == (0 if batched else 1)
    assert_same(decode(options, outputs, LIMITS, index=1 if batched else 0), expected)


def test_torchvision_lists_its_background():
    specs = [
        TensorSpec('boxes', (None, 4)),
        TensorSpec('labels', (None,), 'int64'),
        TensorSpec('scores', (None,)),
    ]
    found = recognise(specs, ('__background__', *LABELS), SIZE)
    assert (found['decoder'], found['class_offset']) == ('labelled_boxes', 0)


def test_labelled_boxes_without_any_box():
    outputs = {
        'boxes': np.zeros((0, 4), np.float32),
        'labels': np.zeros(0, np.int64),
        'scores': np.zeros(0, np.float32),
    }
    assert len(decode({'decoder': 'labelled_boxes'}, outputs)) == 0
    decoder = create_decoder('labelled_boxes', {})
    scores, box = decoder.comparable(outputs)
    assert not scores.any() and not box.any()


@pytest.mark.parametrize('seed', range(5))
def test_efficient_nms(seed):
    boxes, numbers, scores, expected = finished(seed, 60, first=0)
    padding = ((0, 0), (0, 40), (0, 0))
    outputs = {
        'num_dets': np.array([[60]], np.int32),
        'det_boxes': np.pad(boxes[None], padding, constant_values=7),
        'det_scores': np.pad(scores[None], padding[:2], constant_values=1),
        'det_classes': np.pad(numbers[None].astype(np.int32), padding[:2]),
    }
    specs = [TensorSpec(name, value.shape, str(value.dtype)) for name, value in outputs.items()]
    options = recognise(specs, LABELS, SIZE)
    assert options['decoder'] == 'efficient_nms'
    assert_same(decode(options, outputs, LIMITS), expected)


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize(
    'names',
    [
        (
            'TFLite_Detection_PostProcess',
            *(f'TFLite_Detection_PostProcess:{n}' for n in (1, 2, 3)),
        ),
        ('detection_boxes', 'detection_classes', 'detection_scores', 'num_detections'),
    ],
)
def test_tflite_ssd(seed, names):
    boxes, numbers, scores, expected = finished(seed, 60, first=0)
    parts = boxes[:, [1, 0, 3, 2]] / np.float32((64, 96, 64, 96))
    outputs = {
        names[0]: parts[None],
        names[1]: numbers[None].astype(np.float32),
        names[2]: scores[None],
        names[3]: np.array([60], np.float32),
    }
    specs = [TensorSpec(name, value.shape) for name, value in outputs.items()]
    options = recognise(specs, LABELS, SIZE, [outputs])
    assert options['decoder'] == 'tflite_ssd'
    assert_same(decode(options, outputs, LIMITS), expected)
    if names[0] == 'detection_boxes':  # names tell, whatever their order
        assert recognise(specs[::-1], LABELS, SIZE) == options


@pytest.mark.parametrize('number', [np.nan, np.inf, -1, 1e9])
def test_a_number_of_boxes_that_cannot_be(number):
    outputs = {
        'b': np.array([[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]], np.float32),
        'c': np.zeros((1, 2), np.float32),
        's': np.full((1, 2), 0.9, np.float32),
        'n': np.array([number], np.float32),
    }
    options = {'decoder': 'tflite_ssd', 'boxes': 'b', 'classes': 'c', 'scores': 's', 'number': 'n'}
    assert len(decode(options, outputs)) == (2 if number == 1e9 else 0)


@pytest.mark.parametrize(
    ('decoder', 'specs', 'said'),
    [
        (
            'detr',
            [TensorSpec('pred_boxes', (1, 9, 4)), TensorSpec('logits', (1, 9, 3))],
            r'pred_boxes \(pictures, queries, 4\) and logits \(pictures, queries, 4\)',
        ),
        (
            'labelled_boxes',
            [
                TensorSpec('boxes', (None, 4)),
                TensorSpec('labels', (1, None), 'int64'),
                TensorSpec('scores', (None,)),
            ],
            r'boxes \(boxes, 4\), labels \(boxes,\) and scores',
        ),
        (
            'efficient_nms',
            [
                TensorSpec('num_dets', (1, 2), 'int32'),
                TensorSpec('det_boxes', (1, 9, 4)),
                TensorSpec('det_scores', (1, 9)),
                TensorSpec('det_classes', (1, 9), 'int32'),
            ],
            r'num_dets \(pictures,\)',
        ),
        ('tflite_ssd', [TensorSpec('b', (1, 9, 4))], "output 'TFLite_Detection_PostProcess'"),
    ],
)
def test_checks_refuse_other_shapes(decoder, specs, said):
    with pytest.raises(TaskError, match=said):
        create_decoder(decoder, {}).check(specs, LABELS, SIZE)


def selected(seed, count=40):
    """Return boxes in pixels, classes and scores, the best first, as exports select them."""
    generator = np.random.default_rng(seed)
    corner = generator.uniform(-5, 60, (count, 2))
    boxes = np.concatenate([corner, corner + generator.uniform(1, 30, (count, 2))], axis=1)
    scores = np.sort(generator.uniform(0.05, 1, count))[::-1]
    return boxes.astype(np.float32), generator.integers(0, 3, count), scores.astype(np.float32)


def rows_of(boxes, classes, scores):
    return [
        (*box.tolist(), float(score), int(label))
        for box, label, score in zip(boxes, classes, scores)
    ]


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('has_axis', [True, False])
def test_mmdetection(seed, has_axis):
    """MMDeploy writes `dets` and `labels`; places that hold nothing have score 0 and label -1."""
    boxes, classes, scores = selected(seed)
    dets = np.concatenate([boxes, scores[:, None]], axis=1)
    dets = np.concatenate([dets, np.zeros((5, 5), np.float32)])
    labels = np.concatenate([classes, np.full(5, -1)])
    outputs = {'dets': dets[None], 'labels': labels[None]}
    if not has_axis:
        outputs = {'dets': dets, 'labels': labels}
    options = recognise(specs_of(outputs), LABELS, SIZE, [outputs])
    assert options == {'decoder': 'mmdetection', 'dets': 'dets', 'labels': 'labels'}
    expected = kept(rows_of(boxes, classes, scores), LIMITS, nms=False)
    assert_same(decode(options, outputs, LIMITS), expected)
    everything = Limits(score=0.0, number=100)
    expected = kept(rows_of(boxes, classes, scores), everything, nms=False)
    assert_same(decode(options, outputs, everything), expected)


def test_mmdetection_with_masks_is_no_detection():
    outputs = [
        TensorSpec('dets', (1, 9, 5)),
        TensorSpec('labels', (1, 9), 'int64'),
        TensorSpec('masks', (1, 9, 28, 28)),
    ]
    with pytest.raises(TaskError, match='no decoder reads'):
        recognise(outputs, LABELS, SIZE)


@pytest.mark.parametrize('seed', range(3))
def test_yolov7_end_to_end(seed):
    """`models/experimental.py` of YOLO v7 joins picture, box, class, score: in this order."""
    boxes, classes, scores = selected(seed)
    pictures = np.random.default_rng(seed).integers(0, 2, len(boxes))
    rows = np.column_stack([pictures, boxes, classes, scores]).astype(np.float32)
    alone = {'output': rows * (rows[:, :1] == 0)}
    options = recognise(specs_of(alone), LABELS, SIZE, [alone])
    assert options == {'decoder': 'yolov7_end_to_end', 'output': 'output'}
    for index in range(2):
        own = pictures == index
        expected = rows_of(boxes[own], classes[own], scores[own])
        found = decode(options, {'output': rows}, LIMITS, index=index)
        assert_same(found, kept(expected, LIMITS, nms=False))
        with_axis = {'output': np.stack([rows, rows[own][[0] * len(rows)]])}
        assert len(decode(options, with_axis, index=1))


@pytest.mark.parametrize(
    ('column', 'value'), [(0, 1.0), (5, 0.5), (5, 3.0), (5, -1.0), (6, 1.2), (6, -0.1)]
)
def test_seven_values_that_are_something_else(column, value):
    boxes, classes, scores = selected(0)
    rows = np.column_stack([np.zeros(len(boxes)), boxes, classes, scores]).astype(np.float32)
    rows[7, column] = value
    outputs = {'output': rows}
    with pytest.raises(TaskError, match='no decoder reads'):
        recognise(specs_of(outputs), LABELS, SIZE, [outputs])


def test_yolov7_for_tensorrt_has_the_outputs_of_efficient_nms():
    outputs = [
        TensorSpec('num_dets', (1, 1), 'int32'),
        TensorSpec('det_boxes', (1, 100, 4)),
        TensorSpec('det_scores', (1, 100)),
        TensorSpec('det_classes', (1, 100), 'int32'),
    ]
    assert recognise(outputs, LABELS, SIZE)['decoder'] == 'efficient_nms'
