# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Ultralytics YOLO without anchors: v8, v9, v11, v12, and v5 and v6 as 'u' models.

One output (pictures, 4 + classes, points): center x, center y, width and height in pixels of the
input, then the score of each class (sigmoid done). Some exports have the axes the other way round.
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

FIRST, LAST = 'first', 'last'
_STRIDES = ((8, 16, 32), (8, 16, 32, 64))


@dataclass(frozen=True)
class UltralyticsV8(Decoder):
    """
    Decodes Ultralytics models without anchors.

    :param output: its name
    :param channels: `first` (pictures, 4 + classes, points) or `last`
    :param normalised: boxes in parts of the input, not in pixels, as exports to TensorFlow have
    :param several: one box may have several classes; Ultralytics keeps the best when it predicts
    """

    output: str = option('output0')
    channels: str = option(FIRST, choices=(FIRST, LAST))
    normalised: bool = option(False)
    several: bool = option(False)

    name: ClassVar[str] = 'ultralytics_v8'
    reads: ClassVar[str] = (
        'one output (1, 4 + labels, points): x, y, width, height, scores (YOLO v8 to v12)'
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
        _, first, second = outputs[0].shape
        points = [point_count(size, strides) for strides in _STRIDES]
        for channels, rows, length in ((FIRST, second, first), (LAST, first, second)):
            if length == 4 + len(labels) and rows in points:
                return cls(outputs[0].name, channels).options()
        return None

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that there is an output of four values and the scores of the labels."""
        spec = find(outputs, self.output, f'Decoder {self.name}')
        axis = 1 if self.channels == FIRST else 2
        if len(spec.shape) != 3 or not fits(spec.shape[axis], 4 + len(labels)):
            shape = f'(pictures, {4 + len(labels)}, points)'
            if self.channels == LAST:
                shape = f'(pictures, points, {4 + len(labels)})'
            raise self.refusal(f'an output {shape}', [spec], len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch."""
        values = outputs[self.output][index]
        rows = values.T if self.channels == FIRST else values
        chosen = choose(rows[:, 4:], score, self.several)
        boxes = rows[chosen.points, :4].astype(np.float32)
        if self.normalised:
            boxes *= np.array((size.width, size.height) * 2, np.float32)
        return Candidates(corners(*boxes.T), chosen.scores, chosen.classes)

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return boxes, and scores."""
        values = outputs[self.output]
        rows = values.swapaxes(1, 2) if self.channels == FIRST else values
        return rows[..., :4], rows[..., 4:]
