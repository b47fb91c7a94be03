# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
YOLO v7 exported with its own suppression for ONNX Runtime: `export.py --end2end --max-wh 640`.

One output (boxes, 7), as many as were found in all pictures: number of the picture, left, upper,
right, lower in pixels of the input, class, score. The same with `--end2end` alone has the four
outputs that `efficient_nms` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.classes import numbers_of
from dynamic_dnn_ros.tasks.decoders.contract import Candidates, Decoder
from dynamic_dnn_ros.tasks.decoders.selection import unordered
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float

_PICTURE, _CLASS, _SCORE = 0, 5, 6


@dataclass(frozen=True)
class Yolov7EndToEnd(Decoder):
    """
    Decodes rows of picture, box, class and score.

    :param output: its name; (boxes, 7), or (pictures, boxes, 7) where it was given an axis for
        the pictures
    """

    output: str = option('output')

    name: ClassVar[str] = 'yolov7_end_to_end'
    reads: ClassVar[str] = (
        'one output (boxes, 7): number of the picture, left, upper, right, lower, class, score '
        '(YOLO v7 with --end2end --max-wh)'
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
        if len(outputs) != 1 or not is_float(outputs[0]):
            return None
        (spec,) = outputs
        if len(spec.shape) != 2 or spec.shape[1] != 7:
            return None
        if not all(_is_end_to_end(sample[spec.name], len(labels)) for sample in samples):
            return None
        return cls(spec.name).options()

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that there is an output of seven values a box."""
        spec = find(outputs, self.output, f'Decoder {self.name}')
        if len(spec.shape) not in (2, 3) or not fits(spec.shape[-1], 7):
            raise self.refusal('an output (boxes, 7)', [spec], len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch."""
        rows = np.asarray(outputs[self.output], np.float32)
        rows = rows[index] if rows.ndim == 3 else rows[rows[:, _PICTURE] == index]
        return Candidates(rows[:, 1:5], rows[:, _SCORE], numbers_of(rows[:, _CLASS]))

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return scores in order, and the mean box."""
        rows = outputs[self.output]
        rows = rows if rows.ndim == 3 else rows[None]
        return unordered(rows[..., 1:5], rows[..., _SCORE])


def _is_end_to_end(rows: NDArray[Any], labels: int) -> bool:
    """Return whether rows of one picture hold its number, a class and a score where they are."""
    classes, scores = rows[:, _CLASS], rows[:, _SCORE]
    return bool(
        np.all(rows[:, _PICTURE] == 0)
        and np.all((classes == np.round(classes)) & (classes >= 0) & (classes < labels))
        and np.all((scores >= 0) & (scores <= 1))
    )
