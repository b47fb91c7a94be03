# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Exports of MMDetection and MMDeploy, which end with their own selection: dets and labels.

`dets` (pictures, boxes, 5) as left, upper, right, lower in pixels of the input, and score;
`labels` (pictures, boxes) as whole numbers from 0, -1 in places that hold nothing. Some exports
for one picture have no axis for it.
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
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float, is_integer


@dataclass(frozen=True)
class MmDetection(Decoder):
    """
    Decodes boxes with scores, and labels.

    :param dets: name of the output (pictures, boxes, 5) or (boxes, 5)
    :param labels: name of the output (pictures, boxes) or (boxes,)
    """

    dets: str = option('dets')
    labels: str = option('labels')

    name: ClassVar[str] = 'mmdetection'
    reads: ClassVar[str] = (
        'dets (1, boxes, 5): left, upper, right, lower, score, and labels (1, boxes) as whole '
        'numbers (MMDetection, MMDeploy)'
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
        dets = [spec for spec in outputs if is_float(spec)]
        numbers = [spec for spec in outputs if is_integer(spec)]
        if len(outputs) != 2 or len(dets) != 1 or len(numbers) != 1:
            return None
        if len(dets[0].shape) not in (2, 3) or dets[0].shape[-1] != 5:
            return None
        if len(numbers[0].shape) != len(dets[0].shape) - 1:
            return None
        return cls(dets[0].name, numbers[0].name).options()

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that the two outputs are there."""
        what = f'Decoder {self.name}'
        dets, numbers = (find(outputs, name, what) for name in (self.dets, self.labels))
        rank = len(dets.shape)
        if rank not in (2, 3) or not fits(dets.shape[-1], 5) or len(numbers.shape) != rank - 1:
            needed = f'{self.dets} (pictures, boxes, 5) and {self.labels} (pictures, boxes)'
            raise self.refusal(needed, outputs, len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture; without an axis for pictures, of the one."""
        dets, numbers = outputs[self.dets], outputs[self.labels]
        if dets.ndim == 3:
            dets, numbers = dets[index], numbers[index]
        rows = np.asarray(dets, np.float32)
        return Candidates(rows[:, :4], rows[:, 4], numbers_of(numbers))

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return scores in order, and the mean box."""
        dets = outputs[self.dets]
        rows = dets if dets.ndim == 3 else dets[None]
        return unordered(rows[..., :4], rows[..., 4])
