# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Ultralytics YOLO that needs no suppression: v10, v26, and any export with `nms=True`.

One output (pictures, boxes, 6): left, upper, right, lower in pixels of the input, score, class.
Places beyond what was found hold zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.classes import holds_classes, numbers_of
from dynamic_dnn_ros.tasks.decoders.contract import Candidates, Decoder
from dynamic_dnn_ros.tasks.decoders.selection import counts_parts, unordered
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float

#: More rows than this are points of an input, not detections.
_MOST_ROWS = 1000


@dataclass(frozen=True)
class UltralyticsEndToEnd(Decoder):
    """
    Decodes rows of box, score and class.

    :param output: its name
    :param normalised: boxes in parts of the input, not in pixels
    """

    output: str = option('output0')
    normalised: bool = option(False)

    name: ClassVar[str] = 'ultralytics_end_to_end'
    reads: ClassVar[str] = (
        'one output (1, boxes, 6): left, upper, right, lower, score, class (YOLO v10, exports '
        'with nms=True)'
    )
    nms: ClassVar[bool] = False

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
        if spec.shape[2] != 6 or (spec.shape[1] or 0) > _MOST_ROWS:
            return None
        rows = [np.asarray(sample[spec.name]) for sample in samples]
        if any(counts_parts(each[..., :4]) or not holds_classes(each) for each in rows):
            return None
        return cls(spec.name).options()

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that there is an output of six values a box."""
        spec = find(outputs, self.output, f'Decoder {self.name}')
        if len(spec.shape) != 3 or not fits(spec.shape[2], 6):
            raise self.refusal('an output (pictures, boxes, 6)', [spec], len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch."""
        rows = np.asarray(outputs[self.output][index], np.float32)
        boxes = rows[:, :4]
        if self.normalised:
            boxes = boxes * np.array((size.width, size.height) * 2, np.float32)
        return Candidates(boxes, rows[:, 4], numbers_of(rows[:, 5]))

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return scores in order, and the mean box."""
        rows = outputs[self.output]
        return unordered(rows[..., :4], rows[..., 4])
