# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""RT-DETR and others whose scores are sigmoids, a class for each label (Lv and others, 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.queries import RF_DETR_NAMES, QueryDecoder
from dynamic_dnn_ros.tasks.decoders.selection import SIGMOID


@dataclass(frozen=True)
class RtDetr(QueryDecoder):
    """Decodes RT-DETR before its own post-processing."""

    name: ClassVar[str] = 'rt_detr'
    reads: ClassVar[str] = 'pred_boxes (1, queries, 4), logits (1, queries, labels) (RT-DETR)'
    activation: ClassVar[str] = SIGMOID
    no_object: ClassVar[int] = 0

    @classmethod
    def recognise(
        cls,
        outputs: Sequence[TensorSpec],
        labels: Sequence[str],
        size: Size,
        samples: Sequence[Outputs],
    ) -> dict[str, Any] | None:
        """Return the options under which outputs are of this kind, None where they are not."""
        options = super().recognise(outputs, labels, size, samples)
        of_rf_detr = {spec.name for spec in outputs} == RF_DETR_NAMES
        return None if options and options['coco_numbers'] and of_rf_detr else options
