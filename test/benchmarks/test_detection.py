# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of detectors compares, and what it takes the time of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size

pytest.importorskip('torchvision', reason='torchvision is not installed')

SIZE = Size(320, 320)
PICTURE = np.zeros((240, 320, 3), np.uint8)


@pytest.fixture
def correct(benchmark):
    return benchmark('detection_correct')


@pytest.fixture
def speed(benchmark):
    return benchmark('detection_speed')


@pytest.fixture
def yolox_case(correct):
    generator = np.random.default_rng(0)
    rows = generator.uniform(0, 1, (1, 2100, 85)).astype(np.float32)
    fit = Preprocessing(Resize.LETTERBOX, (0, 0, 0), (1, 1, 1))

    def run(picture):
        return {'output': rows}, SIZE, Placement.of(Size(*picture.shape[:2]), SIZE, fit)

    return correct.Case(80, run, correct._yolox, decoder='yolox')


def test_equal_decoders_do_not_differ(correct, yolox_case):
    found = correct.compare(yolox_case, [PICTURE])
    assert (found.boxes, found.different, found.decoder) == (100, 0, 'yolox')
    assert found.largest_box < 1e-5


@pytest.mark.parametrize(
    'change',
    [
        lambda found: found._replace(boxes=found.boxes + np.float32(1)),
        lambda found: found._replace(scores=found.scores + np.float32(2e-4)),
        lambda found: found._replace(classes=(found.classes + 1) % 80),
    ],
    ids=['boxes', 'scores', 'classes'],
)
def test_what_differs_is_counted(correct, yolox_case, change):
    def reference(*arguments):
        return change(yolox_case.reference(*arguments))

    found = correct.compare(dataclasses.replace(yolox_case, reference=reference), [PICTURE])
    assert found.different >= 90


def test_a_box_that_is_missing_is_counted(correct, yolox_case):
    def reference(*arguments):
        found = yolox_case.reference(*arguments)
        return correct.Found(*(values[:-1] for values in found))

    found = correct.compare(dataclasses.replace(yolox_case, reference=reference), [PICTURE])
    assert found.different == 1


def test_a_hundred_boxes_become_a_message(speed):
    assert len(speed.ours(speed.outputs())()) == 100


def test_yolo_ros_is_named_where_it_is_absent(monkeypatch, speed):
    monkeypatch.delenv(speed.YOLO_ROS, raising=False)
    assert 'set DYNAMIC_DNN_YOLO_ROS to' in speed.theirs(speed.outputs())
