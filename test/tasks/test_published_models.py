# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detectors and a segmenter that others trained, recognised, decoded and scored."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import MEASURING_LIMITS, Limits
from dynamic_dnn_ros.tasks.registry import create_task, recognise
from dynamic_dnn_ros.tasks.tensors import specs_of
from support.published import PUBLISHED, VOC
from support.shared_data import shared_data

pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')


@functools.lru_cache(maxsize=1)
def labelled(kind):
    return open_dataset(shared_data('labelled/coco128'), kind, split='val')


def task_of(published, outputs, labels, size):
    name, options = recognise(
        specs_of(outputs), labels, size, [outputs], decoder=published.decoder
    )
    task = create_task(name, options)
    task.check(specs_of(outputs), labels, size)
    return task


@pytest.mark.slow
@pytest.mark.parametrize(
    ('network', 'side', 'expected'),
    [
        # AP as ../shared/data/README.md has it; of nanodet_m as it was measured here.
        ('nanodet_m', 320, 0.265),
        ('nanodet_plus_416', 224, 0.307),
        ('yolox_nano', 224, 0.256),
        ('fastestdet', 352, 0.194),
    ],
)
def test_ap_of_published_detectors(network, side, expected):
    published = PUBLISHED[network]
    session = published.session(shared_data('models'))
    data, size = labelled('detection'), Size(side, side)
    task = None
    for index in range(len(data)):
        picture = data[index]
        outputs, placement = published.run(session, picture.pixels, size)
        if task is None:
            task = task_of(published, outputs, data.labels, size)
            scorer = task.scorer(data.labels)
        found = task.decode(outputs, 0, placement, data.labels, MEASURING_LIMITS)
        scorer.add(found, picture.truth)
    assert scorer.value() == pytest.approx(expected, abs=0.01)


@pytest.mark.slow
def test_mean_iou_of_a_published_segmenter():
    published, size = PUBLISHED['deeplab'], Size(193, 193)
    session = published.session(shared_data('models'))
    data = labelled('segmentation')
    table = np.zeros(256, np.uint8)  # what VOC does not know is its background
    table[255] = 255
    for number, name in enumerate(data.labels):
        table[number] = VOC.index(name) if name in VOC else 0
    task = None
    for index in range(len(data)):
        picture = data[index]
        outputs, placement = published.run(session, picture.pixels, size)
        if task is None:
            task = task_of(published, outputs, VOC, size)
            scorer = task.scorer(VOC)
        found = task.decode(outputs, 0, placement, VOC, Limits())
        scorer.add(found, table[picture.truth])
    assert scorer.value() == pytest.approx(0.294, abs=0.02)


def test_a_person_is_found_in_a_picture_of_one():
    published, size = PUBLISHED['selfie'], Size(256, 256)
    session = published.session(shared_data('models'))
    data = labelled('segmentation')
    person = data.labels.index('person')
    labels = ('background', 'person')
    shares = []
    for index in range(len(data)):
        picture = data[index]
        truth = picture.truth == person
        if truth.mean() < 0.3:
            continue
        outputs, placement = published.run(session, picture.pixels, size)
        task = task_of(published, outputs, labels, size)
        found = task.decode(outputs, 0, placement, labels, Limits()).classes == 1
        shares.append((found & truth).sum() / (found | truth).sum())
    assert len(shares) >= 3
    assert np.median(shares) > 0.6, 'of pictures with a person near the camera'
