# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Exports for TensorRT with its plugin EfficientNMS: number, boxes, scores, classes.

Number int32 (pictures, 1), boxes (pictures, boxes, 4) as left, upper, right, lower in pixels of
the input, scores (pictures, boxes), classes int32 (pictures, boxes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.padded import PaddedDecoder, is_number, is_padded
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import is_float, is_integer


@dataclass(frozen=True)
class EfficientNms(PaddedDecoder):
    """Decodes the four outputs of EfficientNMS."""

    boxes: str = option('det_boxes')
    scores: str = option('det_scores')
    classes: str = option('det_classes')
    number: str = option('num_dets')

    name: ClassVar[str] = 'efficient_nms'
    reads: ClassVar[str] = (
        'num_dets (1, 1), det_boxes (1, boxes, 4), det_scores and det_classes (1, boxes), number '
        'and classes as whole numbers (TensorRT EfficientNMS)'
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
        if not is_padded(outputs):
            return None
        number = [spec for spec in outputs if is_number(spec) and is_integer(spec)]
        boxes = [spec for spec in outputs if len(spec.shape) == 3 and is_float(spec)]
        rows = [spec for spec in outputs if spec not in number and spec not in boxes]
        scores = [spec for spec in rows if is_float(spec)]
        classes = [spec for spec in rows if is_integer(spec)]
        if not len(number) == len(boxes) == len(scores) == len(classes) == 1:
            return None
        return cls(boxes[0].name, scores[0].name, classes[0].name, number[0].name).options()
