# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
FastestDet: one level, one box a cell.

One output (pictures, 5 + classes, rows, columns): objectness, x, y, width, height, the score of
each class (objectness and scores 0..1). The center is (column + tanh(x)) / columns,
(row + tanh(y)) / rows and the sides are sigmoid(width), sigmoid(height), in parts of the
input. The score of a detection is objectness^0.6 x class^0.4.
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
from dynamic_dnn_ros.tasks.decoders.grids import level_size
from dynamic_dnn_ros.tasks.decoders.selection import choose, corners, sigmoid
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float

_STRIDE = 16
_OBJECT, _CLASS = 0.6, 0.4


@dataclass(frozen=True)
class FastestDet(Decoder):
    """
    Decodes FastestDet.

    :param output: its name
    """

    output: str = option('output')

    name: ClassVar[str] = 'fastestdet'
    reads: ClassVar[str] = (
        'one output (1, 5 + labels, rows, columns) at a 16th of the input: objectness, x, y, '
        'width, height, scores (FastestDet)'
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
        if len(outputs) != 1 or not is_float(outputs[0]):
            return None
        if outputs[0].shape[1:] != (5 + len(labels), *level_size(size, _STRIDE)):
            return None
        return cls(outputs[0].name).options()

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that there is an output of five values and the scores of the labels."""
        spec = find(outputs, self.output, f'Decoder {self.name}')
        if len(spec.shape) != 4 or not fits(spec.shape[1], 5 + len(labels)):
            needed = f'an output (pictures, {5 + len(labels)}, rows, columns)'
            raise self.refusal(needed, [spec], len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch."""
        planes = outputs[self.output][index]
        _, height, width = planes.shape
        values = planes.reshape(len(planes), -1).T.astype(np.float32)
        with np.errstate(invalid='ignore'):
            objects, scores = values[:, 0] ** _OBJECT, values[:, 5:] ** _CLASS
        chosen = choose(scores, score, several=False, weights=objects)
        rows, columns = np.divmod(chosen.points, width)
        x, y, w, h = values[chosen.points, 1:5].T
        boxes = corners(
            (columns + np.tanh(x)) / width, (rows + np.tanh(y)) / height, sigmoid(w), sigmoid(h)
        )
        boxes *= np.array((size.width, size.height) * 2, np.float32)
        return Candidates(boxes, chosen.scores, chosen.classes)

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return objectness, boxes, and scores."""
        planes = outputs[self.output]
        return planes[:, 0], planes[:, 1:5], planes[:, 5:]
