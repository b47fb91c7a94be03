# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
SSD of TensorFlow Lite after its own suppression (TFLite_Detection_PostProcess).

Four outputs of real numbers: boxes (pictures, boxes, 4) as upper, left, lower, right in parts of
the input, classes (pictures, boxes), scores (pictures, boxes), number (pictures,); in this order
where their names do not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.padded import (
    X_FIRST,
    Y_FIRST,
    PaddedDecoder,
    is_number,
    is_padded,
)
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import is_float


@dataclass(frozen=True)
class TfliteSsd(PaddedDecoder):
    """Decodes the four outputs of SSD."""

    boxes: str = option('TFLite_Detection_PostProcess')
    scores: str = option('TFLite_Detection_PostProcess:2')
    classes: str = option('TFLite_Detection_PostProcess:1')
    number: str = option('TFLite_Detection_PostProcess:3')
    corners: str = option(Y_FIRST, choices=(X_FIRST, Y_FIRST))
    normalised: bool = option(True)

    name: ClassVar[str] = 'tflite_ssd'
    reads: ClassVar[str] = (
        'boxes (1, boxes, 4), classes and scores (1, boxes), number (1,), all as real numbers '
        '(SSD of TensorFlow Lite)'
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
        if not is_padded(outputs) or not all(is_float(spec) for spec in outputs):
            return None
        (boxes,) = (spec for spec in outputs if len(spec.shape) == 3)
        (number,) = (spec for spec in outputs if is_number(spec))
        rows = [spec.name for spec in outputs if spec not in (boxes, number)]
        classes = [name for name in rows if 'class' in name.lower()]
        scores = [name for name in rows if 'score' in name.lower()]
        if len(classes) != 1 and len(scores) != 1:
            classes, scores = rows[:1], rows[1:]
        elif len(classes) != 1:
            classes = [name for name in rows if name not in scores]
        else:
            scores = [name for name in rows if name not in classes]
        for sample in samples:
            values = np.asarray(sample[classes[0]])
            if not np.array_equal(values, np.round(values)):
                return None
        return cls(boxes.name, scores[0], classes[0], number.name).options()
