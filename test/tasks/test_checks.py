# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every task keeps the contract, and the check finds those that do not."""

from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.datasets.contract import LabelledBoxes
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.checks import check_task
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.tasks.contract import ClassScores, Detections, Limits, Task
from dynamic_dnn_ros.tasks.decoders.registry import DECODER_NAMES
from dynamic_dnn_ros.tasks.detection import Detection
from dynamic_dnn_ros.tasks.segmentation import Segmentation
from support.detections import decode

LABELS = ('cat', 'dog', 'fox')
SIZE = Size(64, 96)
POINTS = 126
TRUTH = LabelledBoxes(np.array([[10, 10, 40, 40]], np.float32), np.array([1]), np.array([False]))


def real(*shape, low=0.0, high=1.0):
    return np.random.default_rng(len(shape)).uniform(low, high, shape).astype(np.float32)


def joined(boxes, *rest):
    """Put boxes in pixels before other values, shape (2, points, 4 + ...)."""
    return np.concatenate([boxes, *rest], axis=2)


def boxes(count, scale=1.0):
    corner = real(2, count, 2, low=0, high=60)
    return np.concatenate([corner, corner + real(2, count, 2, low=2, high=30)], axis=2) / scale


def whole(*shape):
    return np.random.default_rng(0).integers(0, 3, shape)


#: Outputs of two pictures for each decoder.
OUTPUTS = {
    'ultralytics_v8': lambda: {
        'output0': joined(boxes(POINTS), real(2, POINTS, 3)).swapaxes(1, 2)
    },
    'ultralytics_v5': lambda: {'output0': joined(boxes(378), real(2, 378, 4))},
    'ultralytics_end_to_end': lambda: {
        'output0': joined(boxes(300), real(2, 300, 1), whole(2, 300, 1)).astype(np.float32)
    },
    'ultralytics_rt_detr': lambda: {'output0': joined(boxes(300, 100), real(2, 300, 3))},
    'yolov7_end_to_end': lambda: {
        'output': np.concatenate(
            [whole(50, 1) % 2, boxes(25).reshape(-1, 4), whole(50, 1), real(50, 1)], axis=1
        ).astype(np.float32)
    },
    'yolox': lambda: {'output': real(2, POINTS, 8)},
    'yolox_decoded': lambda: {'output': joined(boxes(POINTS), real(2, POINTS, 4))},
    'nanodet': lambda: {'output': real(2, POINTS, 35)},
    'nanodet_levels': lambda: {
        f'{kind}_pred_stride_{stride}': real(2, points, values)
        for stride, points in ((8, 96), (16, 24), (32, 6))
        for kind, values in (('cls', 3), ('dis', 32))
    },
    'nanodet_plus': lambda: {'output': real(2, POINTS + 2, 35)},
    'points': lambda: {'output': real(2, POINTS, 35)},
    'fastestdet': lambda: {'output': real(2, 8, 4, 6)},
    'detr': lambda: {'pred_boxes': boxes(100, 100), 'logits': real(2, 100, 4)},
    'rt_detr': lambda: {'pred_boxes': boxes(100, 100), 'logits': real(2, 100, 3)},
    'rf_detr': lambda: {'dets': boxes(100, 100), 'labels': real(2, 100, 4)},
    'labelled_boxes': lambda: {
        'boxes': boxes(50),
        'labels': whole(2, 50),
        'scores': real(2, 50),
    },
    'mmdetection': lambda: {'dets': joined(boxes(50), real(2, 50, 1)), 'labels': whole(2, 50)},
    'efficient_nms': lambda: {
        'num_dets': np.full((2, 1), 50, np.int32),
        'det_boxes': boxes(100),
        'det_scores': real(2, 100),
        'det_classes': whole(2, 100).astype(np.int32),
    },
    'tflite_ssd': lambda: {
        'TFLite_Detection_PostProcess': boxes(20, 100)[..., [1, 0, 3, 2]],
        'TFLite_Detection_PostProcess:1': whole(2, 20).astype(np.float32),
        'TFLite_Detection_PostProcess:2': real(2, 20),
        'TFLite_Detection_PostProcess:3': np.full(2, 20, np.float32),
    },
}


@pytest.mark.parametrize('decoder', DECODER_NAMES)
def test_detection(decoder):
    task = Detection.from_options({'decoder': decoder})
    check_task(task, OUTPUTS[decoder](), LABELS, SIZE, TRUTH)


@pytest.mark.parametrize('decoder', DECODER_NAMES)
def test_detection_of_half_precision(decoder):
    outputs = {
        name: value.astype(np.float16) if value.dtype == np.float32 else value
        for name, value in OUTPUTS[decoder]().items()
    }
    check_task(Detection.from_options({'decoder': decoder}), outputs, LABELS, SIZE)


def test_detection_of_one_picture_without_an_axis_for_it():
    outputs = {name: value[0] for name, value in OUTPUTS['labelled_boxes']().items()}
    task = Detection.from_options({'decoder': 'labelled_boxes'})
    check_task(task, outputs, LABELS, SIZE, TRUTH)


@pytest.mark.parametrize('decoder', sorted({*DECODER_NAMES} - {'yolov7_end_to_end'}))
def test_each_picture_of_a_batch_is_its_own(decoder):
    """The second picture of two is decoded as it is alone; rows with its number: elsewhere."""
    outputs = OUTPUTS[decoder]()
    alone = {name: value[1:] for name, value in outputs.items()}
    options = {'decoder': decoder}
    expected, found = decode(options, alone), decode(options, outputs, index=1)
    assert len(expected)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize(
    ('task', 'shape'),
    [
        (Classification(), (2, 3)),
        (Classification(class_offset=1), (2, 4)),
        (Classification(), (2, 3, 1, 1)),
    ],
)
def test_classification(task, shape):
    check_task(task, {'logits': real(*shape, low=-3, high=3)}, LABELS, SIZE, truth=1)


def test_classification_of_probabilities():
    shares = real(2, 3)
    shares /= shares.sum(axis=1, keepdims=True)
    check_task(Classification('none'), {'likely': shares}, LABELS, SIZE, truth=1)


@pytest.mark.parametrize(
    ('task', 'values', 'labels'),
    [
        (Segmentation(), real(2, 3, 64, 96), LABELS),
        (Segmentation(), real(2, 3, 8, 12), LABELS),
        (Segmentation(channels='last'), real(2, 64, 96, 3), LABELS),
        (Segmentation(kind='binary'), real(2, 1, 64, 96), LABELS[:2]),
        (Segmentation(kind='binary', activation='sigmoid'), real(2, 1, 8, 12), LABELS[:2]),
        (Segmentation(kind='labels'), whole(2, 64, 96), LABELS),
        (Segmentation(kind='labels', channels='last'), whole(2, 64, 96, 1), LABELS),
    ],
)
def test_segmentation(task, values, labels):
    truth = np.zeros((64, 96), np.uint8)
    check_task(task, {'output': values}, labels, SIZE, truth)


class Forgets(Classification):
    def options(self):
        return {'activation': 'none', 'class_offset': 0}


class Ignores(Classification):
    @classmethod
    def from_options(cls, options):
        return cls(options['activation'], options['class_offset'])


class Writes(Classification):
    def decode(self, outputs, index, placement, labels, limits):
        outputs['logits'][index] -= 1
        return super().decode(outputs, index, placement, labels, limits)


class Overflows(Classification):
    def decode(self, outputs, index, placement, labels, limits):
        row = np.exp(outputs['logits'][index])
        return ClassScores(row / row.sum())


class Absolute(Classification):
    def departure(self, found, recorded):
        return 10 * float(abs(found['logits'] - recorded['logits']).max())


class Certain(Classification):
    def confidence(self, outputs, index, size, limits):
        return 1.5


class Gullible(Classification):
    def confidence(self, outputs, index, size, limits):
        return 0.9


class Unlimited(Detection):
    name = 'detection'

    def decode(self, outputs, index, placement, labels, limits):
        found = super().decode(outputs, index, placement, labels, limits)
        return Detections(found.boxes[::-1], found.scores[::-1], found.classes[::-1])


@pytest.mark.parametrize(
    ('task', 'said'),
    [
        (Forgets(), 'made from its options decodes the same'),
        (Ignores(), 'an option that is unknown is refused'),
        (Writes(), 'read-only'),
        (Overflows(), 'scores are 0..1'),
        (Certain(), 'confidence is a number of 0..1: 1.5'),
        (Gullible(), 'not finite give no confidence: 0.9'),
        (Absolute(), 'departure is relative to the size'),
    ],
)
@pytest.mark.filterwarnings('ignore::RuntimeWarning')
def test_finds_what_is_not_kept(task, said):
    outputs = {'logits': real(2, 3, low=-30, high=30)}
    with pytest.raises((AssertionError, ValueError), match=said):
        check_task(task, outputs, LABELS, SIZE)


def test_finds_detections_in_the_wrong_order():
    task = Unlimited.from_options({'decoder': 'ultralytics_v8'})
    with pytest.raises(AssertionError, match='the best comes first'):
        check_task(task, OUTPUTS['ultralytics_v8'](), LABELS, SIZE)


def test_a_task_that_does_not_say_how_sure_it_is_takes_all_stages():
    class Silent(Classification):
        confidence = Task.confidence

    outputs = {'logits': real(2, 3, low=-3, high=3)}
    check_task(Silent(), outputs, LABELS, SIZE)
    assert Silent().confidence(outputs, 0, SIZE, Limits()) == 0
