# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
YOLO with anchors and objectness: Ultralytics v3 and v5, and v7.

One output (pictures, 3 x points, 5 + classes), decoded by the network: center x, center y, width
and height in pixels of the input, objectness, the score of each class (sigmoid done). The score of
a detection is objectness x class (Redmon and Farhadi, YOLO9000, CVPR 2017).
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
from dynamic_dnn_ros.tasks.decoders.grids import point_count
from dynamic_dnn_ros.tasks.decoders.selection import choose, corners
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float

_ANCHORS = 3
_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (16, 32))


@dataclass(frozen=True)
class UltralyticsV5(Decoder):
    """
    Decodes YOLO with anchors.

    :param output: its name
    :param normalised: boxes in parts of the input, not in pixels, as exports to TensorFlow have
    :param several: one box may have several classes; Ultralytics keeps the best when it predicts
    """

    output: str = option('output0')
    normalised: bool = option(False)
    several: bool = option(False)

    name: ClassVar[str] = 'ultralytics_v5'
    reads: ClassVar[str] = (
        'one output (1, 3 x points, 5 + labels): x, y, width, height, objectness, scores '
        '(YOLO v3, v5, v7)'
    )
    nms: ClassVar[bool] = True

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
        _, rows, length = outputs[0].shape
        if length != 5 + len(labels):
            return None
        if rows not in [_ANCHORS * point_count(size, strides) for strides in _STRIDES]:
            return None
        return cls(outputs[0].name).options()

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that there is an output of five values and the scores of the labels."""
        spec = find(outputs, self.output, f'Decoder {self.name}')
        if len(spec.shape) != 3 or not fits(spec.shape[2], 5 + len(labels)):
            needed = f'an output (pictures, points, {5 + len(labels)})'
            raise self.refusal(needed, [spec], len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch."""
        rows = outputs[self.output][index]
        chosen = choose(rows[:, 5:], score, self.several, weights=rows[:, 4])
        boxes = rows[chosen.points, :4].astype(np.float32)
        if self.normalised:
            boxes *= np.array((size.width, size.height) * 2, np.float32)
        return Candidates(corners(*boxes.T), chosen.scores, chosen.classes)

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return boxes, objectness, and scores."""
        rows = outputs[self.output]
        return rows[..., :4], rows[..., 4], rows[..., 5:]
