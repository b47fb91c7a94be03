# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
RT-DETR as Ultralytics exports it.

One output (pictures, queries, 4 + classes): center x, center y, width and height in parts of the
input, then the score of each class (sigmoid done).
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
from dynamic_dnn_ros.tasks.decoders.selection import choose, corners, unordered
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float

_QUERIES = 300


@dataclass(frozen=True)
class UltralyticsRtDetr(Decoder):
    """
    Decodes RT-DETR of Ultralytics.

    :param output: its name
    :param several: one box may have several classes; Ultralytics keeps the best
    """

    output: str = option('output0')
    several: bool = option(False)

    name: ClassVar[str] = 'ultralytics_rt_detr'
    reads: ClassVar[str] = (
        'one output (1, 300, 4 + labels): x, y, width, height in parts of the input, scores '
        '(RT-DETR of Ultralytics)'
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
        name = outputs[0].name
        if outputs[0].shape[1:] != (_QUERIES, 4 + len(labels)):
            return None
        if any(np.nanmax(sample[name][..., :4]) > 2 for sample in samples):  # pixels
            return None
        return cls(name).options()

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that there is an output of four values and the scores of the labels."""
        spec = find(outputs, self.output, f'Decoder {self.name}')
        if len(spec.shape) != 3 or not fits(spec.shape[2], 4 + len(labels)):
            needed = f'an output (pictures, queries, {4 + len(labels)})'
            raise self.refusal(needed, [spec], len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch."""
        rows = outputs[self.output][index]
        chosen = choose(rows[:, 4:], score, self.several)
        boxes = corners(*rows[chosen.points, :4].astype(np.float32).T)
        boxes *= np.array((size.width, size.height) * 2, np.float32)
        return Candidates(boxes, chosen.scores, chosen.classes)

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return the best score of each query in order, and the mean box."""
        rows = outputs[self.output]
        return unordered(rows[..., :4], rows[..., 4:].max(axis=2))
