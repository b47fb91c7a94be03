# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""DETR (Carion and others, ECCV 2020): scores by softmax, the last class stands for no object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.queries import RF_DETR_NAMES, SOFTMAX, QueryDecoder


@dataclass(frozen=True)
class Detr(QueryDecoder):
    """Decodes DETR."""

    name: ClassVar[str] = 'detr'
    reads: ClassVar[str] = (
        'pred_boxes (1, queries, 4), logits (1, queries, labels + 1), the last for no object '
        '(DETR)'
    )
    activation: ClassVar[str] = SOFTMAX
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
        if {spec.name for spec in outputs} == RF_DETR_NAMES:  # it has the same shapes
            return None
        return super().recognise(outputs, labels, size, samples)
