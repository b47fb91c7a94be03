# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
RT-DETR as Ultralytics exports it.

One output (pictures, queries, 4 + classes): center x, center y, width and height in parts of the
input, then the score of each class (sigmoid done). Newer releases (8.4) rank pairs of a query and
a class themselves and give (pictures, queries, 6): the box as before, score, class.
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
from dynamic_dnn_ros.tasks.decoders.selection import choose, corners, counts_parts, unordered
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float

_QUERIES = 300


@dataclass(frozen=True)
class UltralyticsRtDetr(Decoder):
    """
    Decodes RT-DETR of Ultralytics.

    :param output: its name
    :param ranked: rows end with a score and a class, not with the score of each class
    :param several: one box may have several classes; older releases keep the best
    """

    output: str = option('output0')
    ranked: bool = option(False)
    several: bool = option(False)

    name: ClassVar[str] = 'ultralytics_rt_detr'
    reads: ClassVar[str] = (
        'one output (1, 300, 4 + labels) or (1, 300, 6): x, y, width, height in parts of the '
        'input, scores or score and class (RT-DETR of Ultralytics)'
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
        spec = outputs[0]
        if len(spec.shape) != 3 or spec.shape[1] != _QUERIES:
            return None
        rows = [np.asarray(sample[spec.name]) for sample in samples]
        if not all(counts_parts(each[..., :4]) for each in rows):
            return None
        ranked = spec.shape[2] == 6 and all(holds_classes(each) for each in rows)
        if ranked and (rows or len(labels) != 2):
            return cls(spec.name, ranked=True).options()
        return cls(spec.name).options() if spec.shape[2] == 4 + len(labels) else None

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that there is an output of four values and the scores of the labels."""
        spec = find(outputs, self.output, f'Decoder {self.name}')
        length = 6 if self.ranked else 4 + len(labels)
        if len(spec.shape) != 3 or not fits(spec.shape[2], length):
            needed = f'an output (pictures, queries, {length})'
            raise self.refusal(needed, [spec], len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch."""
        rows = outputs[self.output][index]
        scale = np.array((size.width, size.height) * 2, np.float32)
        if self.ranked:
            boxes = corners(*rows[:, :4].astype(np.float32).T) * scale
            return Candidates(boxes, rows[:, 4].astype(np.float32), numbers_of(rows[:, 5]))
        chosen = choose(rows[:, 4:], score, self.several)
        boxes = corners(*rows[chosen.points, :4].astype(np.float32).T) * scale
        return Candidates(boxes, chosen.scores, chosen.classes)

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return the best score of each query in order, and the mean box."""
        rows = outputs[self.output]
        scores = rows[..., 4] if self.ranked else rows[..., 4:].max(axis=2)
        return unordered(rows[..., :4], scores)
