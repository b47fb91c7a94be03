# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
RF-DETR: scores are sigmoids; one more class than labels, the last, is never used.

The networks that its authors trained on COCO have COCO's 91 numbers in place of labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.classes import COCO_CLASSES
from dynamic_dnn_ros.tasks.decoders.queries import QueryDecoder
from dynamic_dnn_ros.tasks.decoders.selection import SIGMOID
from dynamic_dnn_ros.tasks.options import option


@dataclass(frozen=True)
class RfDetr(QueryDecoder):
    """Decodes RF-DETR."""

    boxes: str = option('dets')
    logits: str = option('labels')

    name: ClassVar[str] = 'rf_detr'
    reads: ClassVar[str] = (
        "dets (1, queries, 4), labels (1, queries, labels + 1), or 91 with COCO's numbers "
        '(RF-DETR)'
    )
    activation: ClassVar[str] = SIGMOID
    no_object: ClassVar[int] = 1

    @classmethod
    def recognise(
        cls,
        outputs: Sequence[TensorSpec],
        labels: Sequence[str],
        size: Size,
        samples: Sequence[Outputs],
    ) -> dict[str, Any] | None:
        """Return the options under which outputs are of this kind, None where they are not."""
        if any('logit' in spec.name for spec in outputs):  # DETR has the same shapes
            return None
        return super().recognise(outputs, labels, size, samples)

    @classmethod
    def _coco_lengths(cls) -> tuple[int, ...]:
        return (COCO_CLASSES,)
