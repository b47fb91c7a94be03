# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detectors with four outputs: number, boxes, scores and classes, filled up to a fixed length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.classes import labels_of, numbers_of
from dynamic_dnn_ros.tasks.decoders.contract import Candidates, Decoder
from dynamic_dnn_ros.tasks.decoders.selection import unordered
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits

X_FIRST, Y_FIRST = 'x_first', 'y_first'


@dataclass(frozen=True)
class PaddedDecoder(Decoder):
    """
    Decodes detections that are filled up to a fixed length.

    :param boxes: name of the output (pictures, boxes, 4)
    :param scores: name of the output (pictures, boxes)
    :param classes: name of the output (pictures, boxes)
    :param number: name of the output (pictures,) or (pictures, 1): how many boxes count
    :param corners: `x_first` left, upper, right, lower, or `y_first` upper, left, lower, right
    :param normalised: boxes in parts of the input, not in pixels
    :param class_offset: the number of the first label
    :param coco_numbers: classes are numbered as in COCO, 1 to 90 with gaps
    """

    boxes: str = option('boxes')
    scores: str = option('scores')
    classes: str = option('classes')
    number: str = option('number')
    corners: str = option(X_FIRST, choices=(X_FIRST, Y_FIRST))
    normalised: bool = option(False)
    class_offset: int = option(0, low=0, high=1)
    coco_numbers: bool = option(False)

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that the four outputs are there."""
        what = f'Decoder {self.name}'
        boxes = find(outputs, self.boxes, what)
        rows = [find(outputs, name, what) for name in (self.scores, self.classes)]
        number = find(outputs, self.number, what)
        good = len(boxes.shape) == 3 and fits(boxes.shape[2], 4)
        good &= all(len(spec.shape) == 2 for spec in rows)
        good &= is_number(number)
        if not good:
            needed = (
                f'{self.boxes} (pictures, boxes, 4), {self.scores} and {self.classes} (pictures, '
                f'boxes), {self.number} (pictures,)'
            )
            raise self.refusal(needed, outputs, len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch."""
        number = np.asarray(outputs[self.number]).reshape(len(outputs[self.boxes]))[index]
        count = int(number) if np.isfinite(number) else 0
        count = min(max(count, 0), outputs[self.boxes].shape[1])
        boxes = np.asarray(outputs[self.boxes][index][:count], np.float32)
        if self.corners == Y_FIRST:
            boxes = boxes[:, [1, 0, 3, 2]]
        if self.normalised:
            boxes = boxes * np.array((size.width, size.height) * 2, np.float32)
        scores = np.asarray(outputs[self.scores][index][:count], np.float32)
        classes = numbers_of(outputs[self.classes][index][:count])
        return Candidates(boxes, scores, labels_of(classes, self.class_offset, self.coco_numbers))

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return scores in order, and the mean box."""
        return unordered(outputs[self.boxes], outputs[self.scores])


def is_number(spec: TensorSpec) -> bool:
    """Return whether an output may say how many boxes count."""
    return len(spec.shape) == 1 or (len(spec.shape) == 2 and fits(spec.shape[1], 1))


def is_padded(outputs: Sequence[TensorSpec]) -> bool:
    """Return whether four outputs have the shapes of number, boxes, scores and classes."""
    boxes = [spec for spec in outputs if len(spec.shape) == 3 and spec.shape[2] == 4]
    if len(outputs) != 4 or len(boxes) != 1:
        return False
    numbers = [spec for spec in outputs if is_number(spec)]
    rest = [spec for spec in outputs if spec not in numbers and spec not in boxes]
    return (
        len(numbers) == 1
        and len(rest) == 2
        and all(
            len(spec.shape) == 2 and fits(spec.shape[1], boxes[0].shape[1] or 0) for spec in rest
        )
    )
