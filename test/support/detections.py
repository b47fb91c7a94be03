# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections decoded one by one, in plain loops: what vectorised decoders are compared with."""

from __future__ import annotations

import math

import numpy as np

from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.tasks.contract import Detections, Limits
from dynamic_dnn_ros.tasks.detection import Detection

SIZE = Size(64, 96)
LABELS = ('cat', 'dog', 'fox')
UNCHANGED = Placement.of(SIZE, SIZE, Preprocessing(Resize.STRETCH, (0, 0, 0), (1, 1, 1)))

#: Left, upper, right, lower, score, class.
Row = tuple[float, float, float, float, float, int]


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def softmax(values: list[float]) -> list[float]:
    """Return the shares of exp(x)."""
    highest = max(values)
    shares = [math.exp(value - highest) for value in values]
    return [share / sum(shares) for share in shares]


def centered(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    """Return the corners of a box with a center and sides."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def overlap(one: Row, other: Row) -> float:
    """Return intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(row[2] - row[0]) * (row[3] - row[1]) for row in (one, other)]
    return shared / (sum(areas) - shared) if sum(areas) > shared else 0.0


def kept(rows: list[Row], limits: Limits, nms: bool, size: Size = SIZE) -> list[Row]:
    """Return what the limits leave of candidates, the best first."""
    good = sorted((row for row in rows if row[4] >= limits.score), key=lambda row: -row[4])
    chosen: list[Row] = []
    for row in good:
        same = [other for other in chosen if other[5] == row[5]]
        if not nms or all(overlap(row, other) <= limits.overlap for other in same):
            chosen.append(row)
    cut = [
        (
            min(max(row[0], 0), size.width),
            min(max(row[1], 0), size.height),
            min(max(row[2], 0), size.width),
            min(max(row[3], 0), size.height),
            *row[4:],
        )
        for row in chosen
    ]
    return [row for row in cut if row[2] > row[0] and row[3] > row[1]][: limits.number]


def assert_same(found: Detections, expected: list[Row]) -> None:
    """Compare detections with rows; scores and boxes as float32 leaves them."""
    assert expected, 'nothing is expected: the test would show nothing'
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.scores, [row[4] for row in expected], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.classes, [row[5] for row in expected])
    np.testing.assert_allclose(found.boxes, [row[:4] for row in expected], rtol=1e-4, atol=2e-3)


def decode(options, outputs, limits=Limits(), labels=LABELS, index=0):  # noqa: B008
    """Decode outputs with the decoder of options; the picture has the size of the input."""
    return Detection.from_options(options).decode(outputs, index, UNCHANGED, labels, limits)
