# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
YOLOX (Ge and others, YOLOX: Exceeding YOLO Series in 2021), as its own export writes it.

One output (pictures, points, 5 + classes): x, y, width, height, objectness, the score of each
class (sigmoid done). The center is (x + column) * stride, (y + row) * stride, the sides are
exp(width) * stride, exp(height) * stride. The score of a detection is objectness x class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.contract import Candidates, Decoder
from dynamic_dnn_ros.tasks.decoders.grids import grid, point_count
from dynamic_dnn_ros.tasks.decoders.selection import choose, corners
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float

_STRIDES = (8, 16, 32)

#: Sides of more than exp(this) steps are no boxes; it keeps exp() from running over.
_LARGEST = 20.0


@dataclass(frozen=True)
class Yolox(Decoder):
    """
    Decodes YOLOX whose boxes count in steps of their level.

    :param output: its name
    :param strides: pixels of the input from one point to the next, of each level
    :param several: one box may have several classes; YOLOX keeps the best
    """

    output: str = option('output')
    strides: tuple[int, ...] = option(_STRIDES)
    several: bool = option(False)

    name: ClassVar[str] = 'yolox'
    reads: ClassVar[str] = (
        'one output (1, points, 5 + labels): x, y, width, height in steps of their level, '
        'objectness, scores (YOLOX)'
    )
    nms: ClassVar[bool] = True
    decoded: ClassVar[bool] = False

    @classmethod
    def recognise(
        cls,
        outputs: Sequence[TensorSpec],
        labels: Sequence[str],
        size: Size,
        samples: Sequence[Outputs],
    ) -> dict[str, Any] | None:
        """Return the options under which outputs are of this kind, None where they are not."""
        if len(outputs) != 1 or not is_float(outputs[0]) or len(outputs[0].shape) != 3:
            return None
        spec = outputs[0]
        if spec.shape[2] != 5 + len(labels) or spec.shape[1] != point_count(size, _STRIDES):
            return None
        if any(_counts_pixels(sample[spec.name], size) != cls.decoded for sample in samples):
            return None
        return cls(spec.name).options()

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that there is an output of five values and the scores of the labels."""
        spec = find(outputs, self.output, f'Decoder {self.name}')
        points = point_count(size, self.strides)
        good = len(spec.shape) == 3 and fits(spec.shape[1], points)
        if not good or not fits(spec.shape[2], 5 + len(labels)):
            needed = f'an output (pictures, {points}, {5 + len(labels)}) at {size}'
            raise self.refusal(needed, [spec], len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch."""
        rows = outputs[self.output][index]
        chosen = choose(rows[:, 5:], score, self.several, weights=rows[:, 4])
        boxes = rows[chosen.points, :4].astype(np.float32)
        if not self.decoded:
            points = grid(size, self.strides)
            steps = points.strides[chosen.points, None]
            with np.errstate(invalid='ignore', over='ignore'):
                boxes[:, :2] = (boxes[:, :2] + points.cells[chosen.points]) * steps
                boxes[:, 2:] = np.exp(np.minimum(boxes[:, 2:], _LARGEST)) * steps
        return Candidates(corners(*boxes.T), chosen.scores, chosen.classes)

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return boxes, objectness, and scores."""
        rows = outputs[self.output]
        return rows[..., :4], rows[..., 4], rows[..., 5:]


def _counts_pixels(rows: NDArray[Any], size: Size) -> bool:
    """Return whether centers lie near the points in the input, not near 0."""
    points = grid(size, _STRIDES)
    centers = np.asarray(rows[..., :2], np.float64)
    expected = (points.cells + 0.5) * points.strides[:, None]
    return bool(np.median(abs(centers - expected)) < np.median(abs(centers)))
