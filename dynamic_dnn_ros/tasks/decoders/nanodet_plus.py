# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
NanoDet-Plus: four levels, points in the upper left corners of their cells.

See `decoders.distances`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.distances import DistanceDecoder, single_output
from dynamic_dnn_ros.tasks.decoders.grids import point_count
from dynamic_dnn_ros.tasks.options import option

_FOUR, _THREE = (8, 16, 32, 64), (8, 16, 32)


@dataclass(frozen=True)
class NanodetPlus(DistanceDecoder):
    """Decodes NanoDet-Plus, whose points are the upper left corners of their cells."""

    strides: tuple[int, ...] = option(_FOUR)
    cell_offset: float = option(0.0, low=0.0, high=1.0)

    name: ClassVar[str] = 'nanodet_plus'
    reads: ClassVar[str] = (
        'one output (1, points, labels + 32) of strides 8, 16, 32, 64 or 8, 16, 32, points in the '
        'corners of cells (NanoDet-Plus)'
    )
    nms: ClassVar[bool] = True

    @classmethod
    def recognise(
        cls,
        outputs: Sequence[TensorSpec],
        labels: Sequence[str],
        size: Size,
        samples: Sequence[Outputs],
    ) -> dict[str, Any] | None:
        """Return the options under which outputs are of this kind, None where they are not."""
        for strides in (_FOUR, _THREE):
            output = single_output(outputs, labels, point_count(size, strides))
            if output is not None:
                return cls(output, strides=strides).options()
        return None
